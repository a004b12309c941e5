"""Writing a batch: the rows of its events and the checkpoints, in one transaction.

`write` is the fast way for any number of builds: one failure fails all of it. `write_carefully` is
the way through a batch that failed, for one build: each event in a savepoint of its own, so that
the event that fails is found and its key parked.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from datetime import datetime
from typing import Any

import psycopg

from eventstore.event import Recorded
from projections.catalogue import use_schema
from projections.faults import fault_point
from projections.log import Undecodable
from projections.member import Member, Share
from projections.projection import Projection

Connection = psycopg.Connection[Any]

NOT_KEPT = "(values are not kept)"
MOVED, HELD = "LJ001", "LJ002"
SYNC_EVENTS = 8
_TRANSIENT = ("08", "40", "53", "55", "57", "58")
"""Classes of SQLSTATE that say nothing about the event: connection, conflict, resources, lock,
intervention, system."""

_ADVANCE = (
    "SELECT projections.advance(%s::bigint[], %s::integer[], %s::bigint[], %s::bigint[],"
    " %s::bigint[], %s::bigint[], %s::bigint[], %s)"
)
_WAIT = (
    "INSERT INTO projections.parked_events (build_id, position, key)"
    " VALUES (%s, %s, %s) ON CONFLICT DO NOTHING"
)


class TooSlow(Exception):
    """A build took more than its time in a transaction that others wait for."""

    def __init__(self, member: Member) -> None:
        self.member = member
        super().__init__(f"{member} is slow")


def is_transient(error: BaseException) -> bool:
    """Whether the same batch may well pass when tried again."""
    if not isinstance(error, psycopg.Error):
        return False
    state = sqlstate(error)
    if state is None:
        return isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
    return state.startswith(_TRANSIENT)


def is_out_of_resources(error: BaseException) -> bool:
    """Whether the server had no disk, memory or connection left: that never tells of an event."""
    return (sqlstate(error) or "").startswith("53")


def sqlstate(error: BaseException) -> str | None:
    """The code PostgreSQL gave the error; None if the error is not from there."""
    return error.diag.sqlstate if isinstance(error, psycopg.Error) else None


def write(
    connection: Connection,
    shares: Sequence[Share],
    recorded_at: datetime | None,
    *,
    budget_seconds: float | None = None,
) -> None:
    """Write all shares or nothing. Raises what a projection raises, TooSlow when one takes longer
    than the budget, psycopg errors with MOVED or HELD when a checkpoint may not move.
    """
    folding = any(share.events and share.member.projection.folds for share in shares)
    try:
        with nullcontext() if folding else connection.pipeline() as pipeline:
            connection.execute("BEGIN")
            for share in shares:
                if share.events:
                    _fold(connection, share, budget_seconds, pipeline)
                for position, key in share.waiting:
                    connection.execute(_WAIT, (share.member.build.id, position, key))
            _advance(connection, shares, recorded_at)
            fault_point("projections.before_commit")
            connection.execute("COMMIT")
        fault_point("projections.after_commit")
    except BaseException:
        roll_back(connection)
        raise


def write_by_sql(
    connection: Connection, share: Share, batch: str, recorded_at: datetime | None
) -> None:
    """Fold what the query `batch` gives, by the projection's own statements, and move on."""
    try:
        connection.execute("BEGIN")
        use_schema(connection, share.member.build.schema_name)
        for statement in share.member.projection.fold_sql:
            connection.execute(over_batch(statement, batch).encode())
        _advance(connection, [share], recorded_at)
        fault_point("projections.before_commit")
        connection.execute("COMMIT")
        fault_point("projections.after_commit")
    except BaseException:
        roll_back(connection)
        raise


def over_batch(statement: str, batch: str) -> str:
    """The statement with `batch` as its first common table expression."""
    words = statement.lstrip()
    if words[:5].upper() == "WITH ":
        return f"WITH batch AS ({batch}), {words[5:]}"
    return f"WITH batch AS ({batch}) {words}"


def _fold(
    connection: Connection,
    share: Share,
    budget_seconds: float | None,
    pipeline: psycopg.Pipeline | None,
) -> None:
    projection, member = share.member.projection, share.member
    if share.undecodable:
        refuse_undecodable(share.events)
    use_schema(connection, member.build.schema_name)
    cursor = connection.cursor()
    started = time.perf_counter()
    if projection.folds or budget_seconds is None:
        projection.fold(share.events, cursor)
        return
    for count, recorded in enumerate(share.events, 1):
        projection.apply(recorded, cursor)
        if count % SYNC_EVENTS == 0 and pipeline is not None:
            pipeline.sync()  # so that the time its statements take is seen
        if time.perf_counter() - started > budget_seconds:
            raise TooSlow(member)


def refuse_undecodable(events: Sequence[Recorded[Any]]) -> None:
    """Raise what made one of them unreadable."""
    for recorded in events:
        if isinstance(recorded.event, Undecodable):
            raise recorded.event.error


def _advance(connection: Connection, shares: Sequence[Share], recorded_at: datetime | None) -> None:
    connection.execute(
        _ADVANCE,
        (
            [share.member.build.id for share in shares],
            [share.member.part for share in shares],
            [share.member.position for share in shares],
            [share.end for share in shares],
            [share.seen for share in shares],
            [share.applied for share in shares],
            [share.unknown for share in shares],
            recorded_at,
        ),
    )


def write_carefully(
    connection: Connection, share: Share, recorded_at: datetime | None, *, forgive: bool = False
) -> list[str]:
    """Write one share event by event and park the keys of events that fail; return those keys.

    Transient errors are raised for another try, unless `forgive` says that there were enough; a
    server without disk or memory is always waited for.
    """
    member = share.member
    projection, build_id = member.projection, member.build.id
    parked: list[str] = []
    try:
        connection.execute("BEGIN")
        for position, key in share.waiting:
            connection.execute(_WAIT, (build_id, position, key))
        for recorded in share.events:
            key = projection.key(recorded)
            if key in parked:
                connection.execute(_WAIT, (build_id, recorded.position, key))
                continue
            error = try_one(connection, member, recorded, forgive=forgive)
            if error is not None:
                _park(connection, build_id, key, error)
                connection.execute(_WAIT, (build_id, recorded.position, key))
                parked.append(key)
        _advance(connection, [share], recorded_at)
        fault_point("projections.before_commit")
        connection.execute("COMMIT")
    except BaseException:
        roll_back(connection)
        raise
    return parked


def try_one(
    connection: Connection, member: Member, recorded: Recorded[Any], *, forgive: bool = False
) -> Exception | None:
    """Apply one event in a savepoint; return what it raised, having undone it."""
    projection: Projection = member.projection
    connection.execute("SAVEPOINT one")
    use_schema(connection, member.build.schema_name)
    try:
        refuse_undecodable([recorded])
        projection.apply(recorded, connection.cursor())
        connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
        connection.execute("SET CONSTRAINTS ALL DEFERRED")
        connection.execute("RELEASE SAVEPOINT one")
    except Exception as error:
        if is_transient(error) and (not forgive or is_out_of_resources(error)):
            raise
        if connection.broken:
            raise
        connection.execute("ROLLBACK TO SAVEPOINT one")
        connection.execute("RELEASE SAVEPOINT one")
        return error
    return None


def _park(connection: Connection, build_id: int, key: str, error: Exception) -> None:
    connection.execute(
        "INSERT INTO projections.parked_keys (build_id, key, error, traceback)"
        " VALUES (%s, %s, %s, %s)",
        (build_id, key, *described(error)),
    )


def described(error: BaseException) -> tuple[str, str]:
    """An error in one line, and its traceback; neither with the NULs that PostgreSQL refuses.

    Nor with the detail that PostgreSQL adds: it shows values of the row, which may be somebody's,
    and what is described is kept.
    """
    line = f"{type(error).__name__}: {error}"
    trace = "".join(traceback.format_exception(error))
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, psycopg.Error) and (detail := cause.diag.message_detail):
            line, trace = line.replace(detail, NOT_KEPT), trace.replace(detail, NOT_KEPT)
        cause = cause.__cause__ or cause.__context__
    return line.replace("\0", "\\0"), trace.replace("\0", "\\0")


def roll_back(connection: Connection) -> None:
    """End the transaction, if there is one and the connection still can."""
    with suppress(psycopg.Error):
        connection.rollback()

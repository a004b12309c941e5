"""Keys whose events wait because one of them failed: listing, redriving, skipping.

Only the owner of a build writes its rows. Asking for a redrive therefore only marks the key; the
owner looks for marks (`redrive_asked`), within a second.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
import structlog
from psycopg.rows import class_row

from projections import catalogue
from projections.batch import described, is_transient, roll_back, try_one
from projections.errors import ReasonNeeded
from projections.faults import fault_point
from projections.log import Log
from projections.member import Member

Connection = psycopg.Connection[Any]

REDRIVEN_EVENTS_MAX = 1_000
"""How many events of one key are redriven in one transaction."""
LISTED_MAX = 10_000

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ParkedKey:
    """A key of one build, and why it waits. `first_position` is that of the event that failed."""

    projection: str
    build_number: int
    build_id: int
    key: str
    error: str
    traceback: str
    attempts: int
    parked_at: datetime
    redrive: bool
    events: int
    first_position: int

    @property
    def id(self) -> str:
        """One key of one build."""
        return f"{self.build_id}:{self.key}"


def listed(
    connection: Connection,
    name: str | None = None,
    *,
    after: tuple[str, str] | None = None,
    limit: int = LISTED_MAX,
) -> list[ParkedKey]:
    """What is parked, of one projection or of all, longest first: `limit` at most, beyond the time
    and the id of another.
    """
    time, id_ = after or (None, None)
    with connection.cursor(row_factory=class_row(ParkedKey)) as cursor:
        return cursor.execute(
            "SELECT b.name AS projection, b.number AS build_number, b.id AS build_id, k.key,"
            " k.error, k.traceback, k.attempts, k.parked_at, k.redrive,"
            " count(e.position) AS events, coalesce(min(e.position), 0) AS first_position"
            " FROM projections.parked_keys k JOIN projections.builds b ON b.id = k.build_id"
            " LEFT JOIN projections.parked_events e USING (build_id, key)"
            " WHERE (%(name)s::text IS NULL OR b.name = %(name)s) AND (%(time)s::text IS NULL"
            " OR (k.parked_at, b.id || ':' || k.key) > (%(time)s::timestamptz, %(id)s::text))"
            " GROUP BY b.id, k.build_id, k.key"
            " ORDER BY k.parked_at, b.id || ':' || k.key LIMIT %(limit)s",
            {"name": name, "time": time, "id": id_, "limit": limit},
        ).fetchall()


def ask_redrive(connection: Connection, name: str | None = None, key: str | None = None) -> int:
    """Ask the owners to apply parked events again, in order; return how many keys are asked for."""
    with catalogue.changing(connection):
        cursor = connection.execute(
            "UPDATE projections.parked_keys k SET redrive = true FROM projections.builds b"
            " WHERE b.id = k.build_id AND (%(name)s::text IS NULL OR b.name = %(name)s)"
            " AND (%(key)s::text IS NULL OR k.key = %(key)s)",
            {"name": name, "key": key},
        )
        return cursor.rowcount


def skip(connection: Connection, build_id: int, key: str, *, reason: str) -> int:
    """Give up the one event that failed; those behind it are redriven. Returns its position, 0 if
    nothing is parked under the key. Raises ReasonNeeded without a reason.
    """
    if not reason.strip():
        raise ReasonNeeded("skipping an event")
    with catalogue.changing(connection):
        row = connection.execute(
            "DELETE FROM projections.parked_events WHERE build_id = %(id)s AND position ="
            " (SELECT min(position) FROM projections.parked_events"
            "  WHERE build_id = %(id)s AND key = %(key)s) RETURNING position",
            {"id": build_id, "key": key},
        ).fetchone()
        connection.execute(
            "UPDATE projections.parked_keys SET redrive = true WHERE build_id = %s AND key = %s",
            (build_id, key),
        )
    return 0 if row is None else int(row[0])


def redrive_asked(connection: Connection, members: Sequence[Member], source: Log) -> None:
    """Redrive what was asked for, of builds that this connection owns."""
    if not any(member.parked for member in members):
        return
    by_id = {member.build.id: member for member in members if member.parked}
    asked = connection.execute(
        "SELECT build_id, key FROM projections.parked_keys"
        " WHERE redrive AND build_id = ANY(%s) ORDER BY parked_at, key LIMIT 100",
        (list(by_id),),
    ).fetchall()
    for build_id, key in asked:
        redrive(connection, by_id[build_id], key, source)


def redrive(connection: Connection, member: Member, key: str, source: Log) -> bool:
    """Apply the parked events of one key in order, up to one that fails again; True if none did.

    The rows and what is left parked are one transaction.
    """
    build_id = member.build.id
    try:
        connection.execute("BEGIN")
        waiting = connection.execute(
            "SELECT position FROM projections.parked_events WHERE build_id = %s AND key = %s"
            " ORDER BY position LIMIT %s",
            (build_id, key, REDRIVEN_EVENTS_MAX),
        ).fetchall()
        done = 0
        error: Exception | None = None
        for (position,) in waiting:
            recorded = source.event(connection, position)
            if recorded is not None:
                error = try_one(connection, member, recorded)
            if error is not None:
                break
            done = position
        _settle(connection, build_id, key, done, error)
        left = connection.execute(
            "SELECT count(*) FROM projections.parked_events WHERE build_id = %s AND key = %s",
            (build_id, key),
        ).fetchone()
        gone = left is not None and left[0] == 0
        if gone:
            connection.execute(
                "DELETE FROM projections.parked_keys WHERE build_id = %s AND key = %s",
                (build_id, key),
            )
        fault_point("redrive.before_commit")
        connection.execute("COMMIT")
    except Exception as failure:
        roll_back(connection)
        if not is_transient(failure) or connection.broken:
            raise
        log.warning("projections.redrive_delayed", build=str(member), key=key, error=str(failure))
        return False
    if gone:
        member.parked.discard(key)
    return error is None


def _settle(
    connection: Connection, build_id: int, key: str, done: int, error: Exception | None
) -> None:
    connection.execute(
        "DELETE FROM projections.parked_events WHERE build_id = %s AND key = %s AND position <= %s",
        (build_id, key, done),
    )
    if error is not None:
        connection.execute(
            "UPDATE projections.parked_keys SET error = %s, traceback = %s,"
            " attempts = attempts + 1, redrive = false WHERE build_id = %s AND key = %s",
            (*described(error), build_id, key),
        )

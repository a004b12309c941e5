"""Two builds of a projection at one position, while both go on.

The one that is ahead is held where it is until the other arrives; then both are seen in one
snapshot and let go. The hold ends by itself, should who asked for it die.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from projections import catalogue
from projections.batch import Connection
from projections.catalogue import Build
from projections.drive import advance
from projections.errors import NotCaughtUp
from projections.log import Log
from projections.member import Member
from projections.supervision import Declared

HOLD_SECONDS = 5.0
PAUSE_SECONDS = 0.005


@contextmanager
def meeting(
    conninfo: str,
    source: Log,
    declared: Declared,
    live: Build,
    other: Build,
    *,
    timeout_seconds: float,
) -> Iterator[tuple[Connection, int]]:
    """A connection whose snapshot shows both builds at one position, and that position.

    Raises NotCaughtUp when the one behind does not arrive in time.
    """
    deadline = time.monotonic() + timeout_seconds
    role = f"{source.name} compare {live.name}"
    with catalogue.connect(conninfo, role) as connection:
        try:
            while True:
                connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
                first, second = _positions(connection, live, other)
                if first == second:
                    break
                connection.execute("COMMIT")
                if time.monotonic() >= deadline:
                    behind = live if first < second else other
                    raise NotCaughtUp(
                        str(behind), min(first, second), max(first, second), timeout_seconds
                    )
                _hold(conninfo, role, live, other)
                _bring(conninfo, source, declared, live if first < second else other)
        finally:
            _release(conninfo, role, live, other)
        yield connection, first
        connection.execute("COMMIT")


def _positions(connection: Connection, live: Build, other: Build) -> tuple[int, int]:
    rows = connection.execute(
        "SELECT build_id, min(position) FROM projections.checkpoints"
        " WHERE build_id IN (%s, %s) GROUP BY build_id",
        (live.id, other.id),
    ).fetchall()
    found = dict(rows)
    return found[live.id], found[other.id]


def _hold(conninfo: str, role: str, live: Build, other: Build) -> None:
    """Neither goes beyond the one that is ahead now."""
    with catalogue.connect(conninfo, role) as connection, connection.transaction():
        connection.execute(
            "SELECT FROM projections.checkpoints WHERE build_id IN (%s, %s)"
            " ORDER BY build_id, part FOR UPDATE",
            (live.id, other.id),
        )
        connection.execute(
            "UPDATE projections.checkpoints SET"
            " hold_until = clock_timestamp() + make_interval(secs => %(seconds)s), hold_at ="
            " (SELECT max(position) FROM projections.checkpoints WHERE build_id = ANY(%(ids)s))"
            " WHERE build_id = ANY(%(ids)s)",
            {"seconds": HOLD_SECONDS, "ids": [live.id, other.id]},
        )


def _bring(conninfo: str, source: Log, declared: Declared, behind: Build) -> None:
    """Bring on the one that is behind, if nobody else does; or give its owner time to."""
    projection = declared.of(behind)
    with catalogue.connect(conninfo, f"{source.name} compare") as connection:
        row = connection.execute(
            "SELECT max(hold_at) FROM projections.checkpoints WHERE build_id = %s", (behind.id,)
        ).fetchone()
    if projection is not None and row is not None and row[0] is not None:
        advance(source, conninfo, Member(behind, projection), row[0])
    time.sleep(PAUSE_SECONDS)


def _release(conninfo: str, role: str, live: Build, other: Build) -> None:
    with catalogue.connect(conninfo, role) as connection:
        connection.execute(
            "UPDATE projections.checkpoints SET hold_at = NULL, hold_until = NULL"
            " WHERE build_id IN (%s, %s) AND hold_at IS NOT NULL",
            (live.id, other.id),
        )

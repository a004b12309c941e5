"""Making another build the live one: one transaction, in which readers wait or see the old one."""

from __future__ import annotations

import time
from typing import Any

import psycopg

from projections import catalogue, views
from projections.catalogue import Build, State
from projections.errors import NotCaughtUp
from projections.faults import fault_point

Connection = psycopg.Connection[Any]

GRACE_SECONDS = 24 * 3600.0
"""How long a build that is no longer live follows, so that one command brings it back."""
WAIT_SECONDS = 10.0


def exchange(
    connection: Connection,
    live: Build,
    chosen: Build,
    *,
    grace_seconds: float = GRACE_SECONDS,
    timeout_seconds: float = WAIT_SECONDS,
) -> int:
    """Show `chosen` instead of `live`, at a moment when it is not behind; return its position.

    Raises NotCaughtUp if it is not there, or readers do not let go, within the time.
    """
    deadline = time.monotonic() + timeout_seconds
    while True:
        there, needed = 0, live.position
        try:
            with catalogue.changing(connection):
                views.be_impatient(connection)
                there, needed = _positions(connection, live, chosen)
                if there >= needed:
                    _exchange(connection, live, chosen, grace_seconds)
                    return there
        except psycopg.errors.LockNotAvailable:
            pass
        if not views.pause_until(deadline):
            raise NotCaughtUp(str(chosen), there, needed, timeout_seconds)


def _positions(connection: Connection, live: Build, chosen: Build) -> tuple[int, int]:
    """Where both are, and stay until the transaction ends."""
    rows = connection.execute(
        "SELECT build_id, position FROM projections.checkpoints"
        " WHERE build_id IN (%s, %s) ORDER BY build_id, part FOR UPDATE",
        (live.id, chosen.id),
    ).fetchall()
    lowest = dict(sorted(rows, reverse=True))
    return lowest[chosen.id], lowest[live.id]


def _exchange(connection: Connection, live: Build, chosen: Build, grace_seconds: float) -> None:
    views.show(connection, chosen.schema_name, chosen.tables, hide=live.tables)
    catalogue.set_state(connection, live, State.FOLLOWING, follow_seconds=grace_seconds)
    catalogue.set_state(connection, chosen, State.LIVE)
    fault_point("switch.before_commit")

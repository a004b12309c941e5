"""What readers see: the live build of each projection as views by plain table names.

Changing what a name shows is one transaction, so a statement sees one build or the other. Readers
wait while it runs; it therefore takes its locks with a short patience and tries again, which also
keeps it from ever deadlocking with a reader of two views.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

import psycopg
from psycopg import sql

SCHEMA = "read_models"
LOCK_PATIENCE_MS = 25
"""How long readers that come later may wait behind the change for readers that came before."""
PAUSE_SECONDS = 0.02

Connection = psycopg.Connection[Any]


def show(connection: Connection, schema: str, tables: Iterable[str], hide: Iterable[str]) -> None:
    """Let each of `tables` in `read_models` show the table of that name in `schema`; `hide` are
    names shown until now. To be called in a transaction.
    """
    for name in sorted(set(hide)):
        connection.execute(sql.SQL("DROP VIEW IF EXISTS {}").format(sql.Identifier(SCHEMA, name)))
    for table in tables:
        connection.execute(
            sql.SQL("CREATE VIEW {} AS SELECT * FROM {}").format(
                sql.Identifier(SCHEMA, table), sql.Identifier(schema, table)
            )
        )


def be_impatient(connection: Connection) -> None:
    """Give up on a lock that readers hold longer than `LOCK_PATIENCE_MS`, in this transaction."""
    connection.execute(f"SET LOCAL lock_timeout = {LOCK_PATIENCE_MS}")


def pause_until(deadline: float) -> bool:
    """Wait before another try; False when the time (of `time.monotonic`) is over."""
    if time.monotonic() >= deadline:
        return False
    time.sleep(PAUSE_SECONDS)
    return True

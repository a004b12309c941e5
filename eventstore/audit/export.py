"""The log as lines of canonical JSON, in order: what its hashes are of, so nothing is lost."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg

from eventstore.layout import Layout, prepare
from eventstore.read import COLUMNS
from eventstore.record import record

PAGE_EVENTS = 5000


def export(
    connection: psycopg.Connection[Any], layout: Layout, *, after: int, up_to: int
) -> Iterator[list[tuple[int, bytes]]]:
    """Pages of (position, line) for the positions after `after` up to `up_to`, no line break."""
    prepare(connection)
    sql = (
        f"SELECT {COLUMNS} FROM {layout.schema}.events WHERE position > %s AND position <= %s "
        "ORDER BY position LIMIT %s"
    ).encode()
    cursor = connection.cursor(binary=True)
    while rows := cursor.execute(sql, [after, up_to, PAGE_EVENTS], prepare=True).fetchall():
        page = [(row[0], record(*row)) for row in rows]
        yield page
        after = page[-1][0]

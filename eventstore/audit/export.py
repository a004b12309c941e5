"""The log as lines of canonical JSON, in order: what its hashes are of, so nothing is lost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import psycopg

from eventstore.layout import Layout, prepare
from eventstore.read import Query, log_query
from eventstore.record import record

PAGE_EVENTS = 5000


def export(
    connection: psycopg.Connection[Any], layout: Layout, wanted: Query
) -> Iterator[list[tuple[int, bytes]]]:
    """Pages of (position, line) of the events that are wanted, forwards and whatever its limit; no
    line break.
    """
    prepare(connection)
    cursor = connection.cursor(binary=True)
    wanted = replace(wanted, limit=PAGE_EVENTS)
    while rows := cursor.execute(*statement(layout, wanted), prepare=not wanted.tags).fetchall():
        page = [(row[0], record(*row)) for row in rows]
        yield page
        wanted = replace(wanted, after=page[-1][0])


def statement(layout: Layout, wanted: Query) -> tuple[bytes, list[Any]]:
    sql, params = log_query(layout, wanted)
    return sql.encode(), params

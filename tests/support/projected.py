"""Read models made twice, event by event and by batches, to see that they are the same."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import psycopg

from eventstore import Recorded
from projections import Projection

Tables = dict[str, list[tuple[Any, ...]]]


def projected(
    conninfo: str, projection: Projection, events: Sequence[Recorded[Any]], *, batch: int
) -> Tables:
    """The rows of all tables after these events, folded `batch` at a time (1: applied singly)."""
    handled = [event for event in events if event.type in projection.types]
    with psycopg.connect(conninfo) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE SCHEMA projected_in_a_test")
        cursor.execute("SET search_path = projected_in_a_test, public")
        cursor.execute(projection.tables.encode())
        for start in range(0, len(handled), batch):
            part = handled[start : start + batch]
            if batch == 1:
                projection.apply(part[0], cursor)
            else:
                projection.fold(part, cursor)
        rows: Tables = {}
        for table in re.findall(r"CREATE TABLE (\w+)", projection.tables):
            cursor.execute(f"SELECT * FROM {table} ORDER BY 1, 2".encode())
            rows[table] = cursor.fetchall()
        connection.rollback()
    return rows


def shown(conninfo: str, projection: Projection) -> Tables:
    """The rows of the live build."""
    with psycopg.connect(conninfo, options="-c search_path=read_models,public") as connection:
        return {
            table: connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2".encode()).fetchall()
            for table in re.findall(r"CREATE TABLE (\w+)", projection.tables)
        }

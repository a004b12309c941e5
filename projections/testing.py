"""Checks for the projections of a service, against a real database.

`check_projection` folds a log in three ways: event by event, by batches cut at random, and twice
over a restart. All must leave the same rows: what an author may get wrong is found by it.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg import sql

from eventstore.event import Recorded
from projections import catalogue
from projections.batch import Connection
from projections.projection import Projection, check
from projections.verify import columns_of

Rows = dict[str, list[str]]
"""Table name to its rows as text, sorted."""


class Unequal(AssertionError):
    """Two ways of folding the same events left different rows."""

    def __init__(self, name: str, way: str, table: str, only: list[str], other: list[str]) -> None:
        super().__init__(
            f"projection {name!r}, {way}: {table} has {only[:5]} where `apply` leaves {other[:5]}"
        )


def check_projection(
    conninfo: str,
    projection: Projection,
    events: Sequence[Recorded[Any]],
    *,
    seed: int = 0,
    cuts: int = 3,
) -> Rows:
    """Raises Unequal unless `fold` on `cuts` random partitions of the events, and on a second
    database schema, leaves what `apply` leaves on each event. Returns those rows. Changes nothing.
    """
    check(projection)
    handled = [recorded for recorded in events if recorded.type in projection.types]
    with catalogue.connect(conninfo, "check") as connection:
        expected = _rows(connection, projection, [[one] for one in handled], by_fold=False)
        _compare(projection, "`apply` again", expected, _again(connection, projection, handled))
        chance = random.Random(seed)
        for _ in range(cuts if handled else 0):
            batches = _cut(handled, chance)
            found = _rows(connection, projection, batches, by_fold=True)
            _compare(projection, f"`fold` of {[len(b) for b in batches]}", expected, found)
    return expected


def _again(connection: Connection, projection: Projection, events: Sequence[Recorded[Any]]) -> Rows:
    return _rows(connection, projection, [[one] for one in events], by_fold=False)


def _cut(events: Sequence[Recorded[Any]], chance: random.Random) -> list[list[Recorded[Any]]]:
    batches: list[list[Recorded[Any]]] = [[]]
    for recorded in events:
        if batches[-1] and chance.random() < 0.3:
            batches.append([])
        batches[-1].append(recorded)
    return batches


def _rows(
    connection: Connection,
    projection: Projection,
    batches: Sequence[Sequence[Recorded[Any]]],
    *,
    by_fold: bool,
) -> Rows:
    schema = f"{projection.name}_check"
    try:
        connection.execute("BEGIN")
        catalogue.make_tables(connection, projection, schema)
        catalogue.use_schema(connection, schema)
        for batch in batches:
            if by_fold:
                projection.fold(batch, connection.cursor())
            else:
                for recorded in batch:
                    projection.apply(recorded, connection.cursor())
        return {
            table: _sorted(connection, schema, table)
            for table in catalogue.tables_of(connection, schema)
        }
    finally:
        if not connection.closed and connection.info.transaction_status != _IDLE:
            connection.execute("ROLLBACK")


_IDLE = psycopg.pq.TransactionStatus.IDLE


def _sorted(connection: Connection, schema: str, table: str) -> list[str]:
    columns = map(sql.Identifier, columns_of(connection, schema, table))
    query = sql.SQL("SELECT ROW({})::text FROM {} ORDER BY 1").format(
        sql.SQL(", ").join(columns), sql.Identifier(schema, table)
    )
    return [row[0] for row in connection.execute(query).fetchall()]


def _compare(projection: Projection, way: str, expected: Rows, found: Rows) -> None:
    for table, rows in expected.items():
        if rows != found[table]:
            only = [row for row in found[table] if row not in rows]
            other = [row for row in rows if row not in found[table]]
            raise Unequal(projection.name, way, table, only, other)

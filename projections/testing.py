"""Checks for the projections of a service, against a real database.

`check_projection` folds events in all ways that a projection has: one by one, by batches cut at
random, within the database. All must leave the same rows. Nothing stays of it in the database.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec
import psycopg
from psycopg import sql

from eventstore.event import Recorded
from projections import catalogue
from projections.batch import Connection
from projections.projection import Projection, check
from projections.store_log import NOT_READ
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
    prefixes: bool = False,
) -> Rows:
    """Raises Unequal unless `apply` leaves the same rows again, and `fold` on `cuts` random
    partitions of the events and `fold_sql` on all of them leave them, too. Returns those rows.

    With `prefixes`, `fold` (a rebuild) is compared with `apply` (what was live) at every prefix of
    the events: costs their square.
    """
    check(projection)
    given = [recorded for recorded in events if recorded.type in projection.types]
    handled = [bared(recorded) for recorded in given] if projection.bare else given
    with catalogue.connect(conninfo, "check") as connection:
        expected = _rows(connection, projection, [[one] for one in handled], by_fold=False)
        _compare(projection, "`apply` again", expected, _again(connection, projection, handled))
        if projection.fold_sql:
            found = _rows(connection, projection, [given], by_fold=True, by_sql=True)
            _compare(projection, "`fold_sql`", expected, found)
        chance = random.Random(seed)
        for _ in range(cuts if handled else 0):
            batches = _cut(handled, chance)
            found = _rows(connection, projection, batches, by_fold=True)
            _compare(projection, f"`fold` of {[len(b) for b in batches]}", expected, found)
        if prefixes:
            _check_prefixes(connection, projection, handled)
    return expected


def _check_prefixes(
    connection: Connection, projection: Projection, events: Sequence[Recorded[Any]]
) -> None:
    """Raises Unequal unless a rebuild at any position leaves the rows that were live there."""
    live, rebuilt = f"{projection.name}_check_live", f"{projection.name}_check"
    with _undone(connection):
        catalogue.make_tables(connection, projection, live)
        catalogue.make_tables(connection, projection, rebuilt)
        for end, recorded in enumerate(events, 1):
            catalogue.use_schema(connection, live)
            projection.apply(recorded, connection.cursor())
            connection.execute("SAVEPOINT empty")
            catalogue.use_schema(connection, rebuilt)
            projection.fold(events[:end], connection.cursor())
            expected = _tables(connection, live)
            _compare(projection, f"`fold` of {end}", expected, _tables(connection, rebuilt))
            connection.execute("ROLLBACK TO SAVEPOINT empty")


def bared(recorded: Recorded[Any]) -> Recorded[Any]:
    """The event as a rebuild gives it to a projection that says `bare`."""
    return msgspec.structs.replace(recorded, id=NOT_READ, metadata=NOT_READ)


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
    by_sql: bool = False,
) -> Rows:
    schema = f"{projection.name}_check"
    with _undone(connection):
        catalogue.make_tables(connection, projection, schema)
        catalogue.use_schema(connection, schema)
        for batch in batches:
            if by_sql:
                _fold_by_sql(connection, projection, batch)
            elif by_fold:
                projection.fold(batch, connection.cursor())
            else:
                for recorded in batch:
                    projection.apply(recorded, connection.cursor())
        return _tables(connection, schema)


@contextmanager
def _undone(connection: Connection) -> Iterator[None]:
    """A transaction of which nothing stays."""
    try:
        connection.execute("BEGIN")
        yield
    finally:
        if not connection.closed and connection.info.transaction_status != _IDLE:
            connection.execute("ROLLBACK")


def _tables(connection: Connection, schema: str) -> Rows:
    return {
        table: _sorted(connection, schema, table)
        for table in catalogue.tables_of(connection, schema)
    }


def _fold_by_sql(
    connection: Connection, projection: Projection, events: Sequence[Recorded[Any]]
) -> None:
    """Run the projection's statements over a table that holds the events."""
    connection.execute(
        "CREATE TEMP TABLE batch (position bigint, stream text, version bigint, id uuid, type text,"
        " recorded_at timestamptz, tags text[], metadata json, payload json) ON COMMIT DROP"
    )
    with connection.cursor().copy("COPY batch FROM STDIN") as copy:
        for one in events:
            row = (one.position, one.stream, one.version, one.id, one.type, one.recorded_at)
            encoded = (_encode(one.metadata).decode(), _encode(one.event).decode())
            copy.write_row((*row, list(one.tags), *encoded))
    for statement in projection.fold_sql:
        connection.execute(statement.encode())


_encode = msgspec.json.encode
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

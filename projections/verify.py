"""Comparing two builds of a projection at one position: rows, and a checksum of each key."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from psycopg import sql

from projections import catalogue
from projections.batch import Connection
from projections.catalogue import Build, State
from projections.errors import NothingToSwitch
from projections.log import Log
from projections.meeting import meeting
from projections.supervision import Declared

MEET_SECONDS_MAX = 30.0
EXAMPLES_MAX = 20


@dataclass(frozen=True, slots=True)
class TableComparison:
    """One table in both builds. `columns` are those compared: what both have. `differences` counts
    keys that are missing on one side or whose rows differ; `examples` names the first of them.
    """

    table: str
    columns: tuple[str, ...]
    live_rows: int
    other_rows: int
    differences: int
    examples: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Verification:
    """What a comparison found. Tables that only one build has are named in `missing`."""

    name: str
    live: Build
    other: Build
    position: int
    tables: tuple[TableComparison, ...]
    missing: tuple[str, ...]

    @property
    def differences(self) -> int:
        """How many keys differ in all tables; a missing table counts as one."""
        return sum(table.differences for table in self.tables) + len(self.missing)

    @property
    def equal(self) -> bool:
        """Whether both builds show the same."""
        return self.differences == 0

    @property
    def examples(self) -> list[str]:
        """Some of what differs, as `table key`."""
        named = [f"{t.table} {key}" for t in self.tables for key in t.examples]
        return ([f"table {name}" for name in self.missing] + named)[:EXAMPLES_MAX]


async def verify(
    source: Log,
    conninfo: str,
    declared: Declared,
    name: str,
    *,
    timeout_seconds: float = MEET_SECONDS_MAX,
) -> Verification:
    """Compare the live build with the one that would become live (or, after a switch, the one it
    replaced), at one position; writing to both goes on meanwhile.

    Raises UnknownProjection, NothingToSwitch when there is no other build, NotCaughtUp.
    """
    declared.newest(name)
    return await asyncio.to_thread(_verify, source, conninfo, declared, name, timeout_seconds)


def _verify(
    source: Log, conninfo: str, declared: Declared, name: str, timeout_seconds: float
) -> Verification:
    with catalogue.connect(conninfo, f"{source.name} verify") as connection:
        live, other = pair(catalogue.builds(connection, name), name)
    with meeting(conninfo, source, declared, live, other, timeout_seconds=timeout_seconds) as (
        connection,
        position,
    ):
        shared = [table for table in live.tables if table in other.tables]
        return Verification(
            name,
            live,
            other,
            position,
            tuple(compare(connection, live, other, table) for table in shared),
            tuple(sorted(set(live.tables) ^ set(other.tables))),
        )


def pair(found: list[Build], name: str) -> tuple[Build, Build]:
    """The live build, and the one to compare it with. Raises NothingToSwitch."""
    by_state: dict[State, list[Build]] = {}
    for build in found:
        by_state.setdefault(build.state, []).append(build)
    live = by_state.get(State.LIVE, [])
    others = by_state.get(State.READY, []) or by_state.get(State.FOLLOWING, [])
    if not live or not others:
        building = by_state.get(State.BUILDING)
        way_on = f"{building[0]} is still being built" if building else "rebuild it first"
        raise NothingToSwitch(name, way_on)
    return live[0], max(others, key=lambda build: build.number)


def compare(connection: Connection, live: Build, other: Build, table: str) -> TableComparison:
    """Compare one table; its keys only if its checksums differ."""
    ours, theirs = (columns_of(connection, build.schema_name, table) for build in (live, other))
    columns = [column for column in ours if column in theirs]
    sides = [sql.Identifier(build.schema_name, table) for build in (live, other)]
    row = sql.SQL("ROW({})::text").format(sql.SQL(", ").join(map(sql.Identifier, columns)))
    counts = [_checksum(connection, side, row) for side in sides]
    differences, examples = 0, tuple[str, ...]()
    if counts[0] != counts[1]:
        keys = key_of(connection, live.schema_name, table)
        whole = bool(keys) and all(key in theirs for key in keys)
        differences, examples = _differing(connection, sides, row, keys if whole else [])
    return TableComparison(table, tuple(columns), counts[0][0], counts[1][0], differences, examples)


def columns_of(connection: Connection, schema: str, table: str) -> list[str]:
    """The columns of a table, in order."""
    rows = connection.execute(
        "SELECT column_name FROM information_schema.columns"
        " WHERE table_schema = %s AND table_name = %s ORDER BY ordinal_position",
        (schema, table),
    ).fetchall()
    return [row[0] for row in rows]


def key_of(connection: Connection, schema: str, table: str) -> list[str]:
    """The columns of the primary key; empty without one."""
    rows = connection.execute(
        "SELECT a.attname FROM pg_index i"
        " JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey)"
        " WHERE i.indisprimary AND i.indrelid = %s::regclass"
        " ORDER BY array_position(i.indkey::int2[], a.attnum)",
        (f'"{schema}"."{table}"',),
    ).fetchall()
    return [row[0] for row in rows]


def _checksum(connection: Connection, side: sql.Identifier, row: sql.Composed) -> tuple[int, Any]:
    """How many rows, and the sum of their hashes: the same whatever their order."""
    query = sql.SQL("SELECT count(*), sum(hashtextextended({}, 0)::numeric) FROM {}")
    found = connection.execute(query.format(row, side)).fetchone()
    assert found is not None
    rows, total = found
    return rows, total


def _differing(
    connection: Connection, sides: list[sql.Identifier], row: sql.Composed, keys: list[str]
) -> tuple[int, tuple[str, ...]]:
    """How many keys differ, and which; without a key, rows stand for themselves."""
    if keys:
        key = sql.SQL("concat_ws(', ', {})").format(sql.SQL(", ").join(map(sql.Identifier, keys)))
        part = sql.SQL("SELECT {} AS key, {} AS value FROM {}")
        queries = [part.format(key, row, side) for side in sides]
    else:
        part = sql.SQL("SELECT {} AS key, count(*)::text AS value FROM {} GROUP BY 1")
        queries = [part.format(row, side) for side in sides]
    query = sql.SQL(
        "SELECT count(*) OVER (), coalesce(l.key, o.key) FROM ({}) l FULL JOIN ({}) o USING (key)"
        " WHERE l.value IS DISTINCT FROM o.value ORDER BY 2 LIMIT {}"
    ).format(*queries, EXAMPLES_MAX)
    rows = connection.execute(query).fetchall()
    return (rows[0][0] if rows else 0), tuple(found[1] for found in rows)

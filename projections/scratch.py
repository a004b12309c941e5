"""Trying a rebuild out: some streams, or the events since a time, folded into tables of their own.

A dry run undoes everything at its end and says what a rebuild would take, and what it would change
for the sample. A scratch copy stays, in the schema `<name>_scratch`, until the next one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from psycopg import sql

from eventstore.event import Recorded
from projections import catalogue
from projections.batch import Connection, described, refuse_undecodable
from projections.catalogue import Build, State
from projections.errors import NothingToFold, UnknownProjection
from projections.projection import Projection, check
from projections.store_log import StoreLog
from projections.verify import EXAMPLES_MAX, columns_of, key_of

SAMPLE_STREAMS = 50
PAGE_EVENTS = 4_096


@dataclass(frozen=True, slots=True)
class Trial:
    """What a trial found. `differences` counts rows that differ from the live row of their key (or
    have none); rows that gather more streams than were taken differ by nature. `errors` names the
    keys that would be parked. `schema` is empty after a dry run.
    """

    name: str
    version: int
    schema: str
    streams: int
    events: int
    rows: dict[str, int]
    differences: int
    examples: tuple[str, ...]
    errors: tuple[str, ...]
    total_events: int
    estimated_seconds: float
    estimated_bytes: int


async def dry_run(
    source: StoreLog, conninfo: str, projection: Projection, *, streams: int = SAMPLE_STREAMS
) -> Trial:
    """Fold a sample of streams, estimate time and disk for all, compare, and undo it."""
    check(projection)
    return await asyncio.to_thread(_trial, source, conninfo, projection, streams, None, None)


async def scratch(
    source: StoreLog,
    conninfo: str,
    projection: Projection,
    *,
    stream: str | None = None,
    since: datetime | None = None,
) -> Trial:
    """Fold one stream, or what was recorded since a time, into tables that stay to be looked at.

    Raises NothingToFold where nothing is that the projection handles.
    """
    check(projection)
    return await asyncio.to_thread(_trial, source, conninfo, projection, 0, stream, since)


def _trial(
    source: StoreLog,
    conninfo: str,
    projection: Projection,
    sample: int,
    stream: str | None,
    since: datetime | None,
) -> Trial:
    with catalogue.connect(conninfo, f"{source.name} trial") as connection:
        found = catalogue.builds(connection, projection.name)
        live = next((build for build in found if build.state is State.LIVE), None)
        if live is None:
            raise UnknownProjection(
                projection.name, [build.name for build in catalogue.builds(connection)]
            )
        connection.execute("BEGIN")
        taken, total = source.sample(connection, projection.types, max(sample, 1))
        if since is not None:
            batches = _since(source, connection, projection, since, stream)
        else:
            taken = taken if stream is None else [stream]
            batches = iter([source.streams(connection, taken, projection.types)])
        schema = f"{projection.name}_scratch"
        catalogue.make_tables(connection, projection, schema)
        folded = _fold(connection, projection, schema, batches)
        if not folded.events and not sample:
            connection.execute("ROLLBACK")
            raise NothingToFold(projection.name, stream, since)
        rows, differences, examples = _compare(connection, live, schema)
        size = _size(connection, schema)
        connection.execute("ROLLBACK" if sample else "COMMIT")
    scale = total / folded.events if folded.events else 0.0
    return Trial(
        projection.name,
        projection.version,
        "" if sample else schema,
        len(folded.streams),
        folded.events,
        rows,
        differences,
        examples,
        tuple(folded.errors.values())[:EXAMPLES_MAX],
        total,
        folded.seconds * scale,
        round(size * scale),
    )


def _since(
    source: StoreLog,
    connection: Connection,
    projection: Projection,
    since: datetime,
    stream: str | None,
) -> Iterator[list[Recorded[Any]]]:
    after = source.position_at(connection, since)
    while True:
        page = source.read_page(connection, after, limit=PAGE_EVENTS, types=projection.types)
        yield [found for found in page.events if stream is None or found.stream == stream]
        if page.position == after:
            return
        after = page.position


@dataclass(slots=True)
class _Folded:
    """What was folded, in which time; the errors by their keys."""

    events: int = 0
    seconds: float = 0.0
    streams: set[str] = field(default_factory=set)
    errors: dict[str, str] = field(default_factory=dict)


def _fold(
    connection: Connection,
    projection: Projection,
    schema: str,
    batches: Iterable[list[Recorded[Any]]],
) -> _Folded:
    """Fold by batches; event by event where a batch fails."""
    folded = _Folded()
    for given in batches:
        catalogue.use_schema(connection, schema)
        started = time.perf_counter()
        for start in range(0, len(given), PAGE_EVENTS):
            batch = given[start : start + PAGE_EVENTS]
            connection.execute("SAVEPOINT batch")
            try:
                refuse_undecodable(batch)
                projection.fold(batch, connection.cursor())
                connection.execute("RELEASE SAVEPOINT batch")
            except Exception:
                connection.execute("ROLLBACK TO SAVEPOINT batch")
                _fold_singly(connection, projection, batch, folded.errors)
        folded.seconds += time.perf_counter() - started
        folded.events += len(given)
        folded.streams.update(recorded.stream for recorded in given)
    return folded


def _fold_singly(
    connection: Connection,
    projection: Projection,
    batch: Sequence[Recorded[Any]],
    errors: dict[str, str],
) -> None:
    for recorded in batch:
        key = projection.key(recorded)
        if key in errors:
            continue
        connection.execute("SAVEPOINT one")
        try:
            refuse_undecodable([recorded])
            projection.apply(recorded, connection.cursor())
            connection.execute("RELEASE SAVEPOINT one")
        except Exception as error:
            connection.execute("ROLLBACK TO SAVEPOINT one")
            errors[key] = f"{key}: {described(error)[0]}"


def _compare(
    connection: Connection, live: Build, schema: str
) -> tuple[dict[str, int], int, tuple[str, ...]]:
    rows: dict[str, int] = {}
    differences, examples = 0, list[str]()
    for table in catalogue.tables_of(connection, schema):
        counted = connection.execute(
            sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(schema, table))
        ).fetchone()
        assert counted is not None
        rows[table] = counted[0]
        keys = key_of(connection, schema, table)
        if table not in live.tables or not keys:
            continue
        theirs = columns_of(connection, live.schema_name, table)
        columns = [name for name in columns_of(connection, schema, table) if name in theirs]
        if not set(keys) <= set(columns):
            continue
        found = connection.execute(_differing(live.schema_name, schema, table, columns, keys))
        for count, key in found.fetchall():
            differences += count if not examples or not examples[-1].startswith(f"{table} ") else 0
            examples.append(f"{table} {key}")
    return rows, differences, tuple(examples[:EXAMPLES_MAX])


def _differing(
    live: str, schema: str, table: str, columns: Sequence[str], keys: Sequence[str]
) -> sql.Composed:
    def each(pattern: str, names: Sequence[str], joined: str) -> sql.Composed:
        parts = [sql.SQL(pattern).format(n=sql.Identifier(name)) for name in names]
        return sql.SQL(joined).join(parts)

    return sql.SQL(
        "SELECT count(*) OVER (), concat_ws(', ', {key}) FROM {ours} s LEFT JOIN {theirs} l"
        " ON {same} WHERE ROW({row})::text IS DISTINCT FROM ROW({other})::text"
        " ORDER BY 2 LIMIT {limit}"
    ).format(
        key=each("s.{n}", keys, ", "),
        ours=sql.Identifier(schema, table),
        theirs=sql.Identifier(live, table),
        same=each("s.{n} = l.{n}", keys, " AND "),
        row=each("s.{n}", columns, ", "),
        other=each("l.{n}", columns, ", "),
        limit=EXAMPLES_MAX,
    )


def _size(connection: Connection, schema: str) -> int:
    row = connection.execute(
        "SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint FROM pg_class c"
        " JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname = %s AND relkind IN ('r', 'm')",
        (schema,),
    ).fetchone()
    return 0 if row is None else int(row[0])

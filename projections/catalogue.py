"""The builds of all projections of one database: what there is, in which state, how far.

Every function takes an open connection in autocommit mode and makes its own transactions. Changes
of builds are serialised by one advisory lock and announced on the channel `projections`.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from importlib.resources import files
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import kwargs_row

from projections.errors import TableTaken, UnknownLayout
from projections.faults import fault_point
from projections.projection import Projection

Connection = psycopg.Connection[Any]

LAYOUT = 2
"""Of the tables that the engine keeps (projections/sql): the number of the last step."""
CHANNEL = "projections"
BUILD_LOCK_CLASS = 0x4C4A
"""First half of the advisory lock of a build; the second half is the build's id."""
CHANGE_LOCK = (0x4C4B, 0)
"""Advisory lock of whoever changes builds or tables of the catalogue."""


class State(StrEnum):
    """BUILDING replays towards the head, READY has been there and follows, LIVE is what readers
    see, FOLLOWING was live and follows for a grace period, RETIRED has no tables any more.
    """

    BUILDING = "building"
    READY = "ready"
    LIVE = "live"
    FOLLOWING = "following"
    RETIRED = "retired"


@dataclass(frozen=True, slots=True)
class Build:
    """One set of tables of a projection. Of a build in several parts, `position` is that of the
    part that is furthest behind; each part sees all positions and applies its share of the events.
    """

    id: int
    name: str
    version: int
    number: int
    schema_name: str
    tables: list[str]
    shape: str
    state: State
    upgrade: bool
    owner: str
    created_at: datetime
    live_at: datetime | None
    follow_until: datetime | None
    part_count: int
    position: int
    seen: int
    applied: int
    unknown: int
    recorded_at: datetime | None
    updated_at: datetime
    parked_keys: int
    parked_events: int

    def __str__(self) -> str:
        return f"{self.name} build {self.number} (version {self.version})"


_BUILDS = """
SELECT b.id, b.name, b.version, b.number, b.schema_name, b.tables, b.shape, b.state, b.upgrade,
    b.owner, b.created_at, b.live_at, b.follow_until, c.part_count, c.position, c.seen, c.applied,
    c.unknown, c.recorded_at, c.updated_at,
    (SELECT count(*) FROM projections.parked_keys k WHERE k.build_id = b.id) AS parked_keys,
    (SELECT count(*) FROM projections.parked_events e WHERE e.build_id = b.id) AS parked_events
FROM projections.builds b CROSS JOIN LATERAL (
    SELECT count(*) AS part_count, coalesce(min(position), 0) AS position,
        coalesce(min(seen), 0)::bigint AS seen, coalesce(sum(applied), 0)::bigint AS applied,
        coalesce(max(unknown), 0)::bigint AS unknown, min(recorded_at) AS recorded_at,
        coalesce(max(updated_at), b.created_at) AS updated_at
    FROM projections.checkpoints c WHERE c.build_id = b.id) c
"""


def connect(conninfo: str, role: str, *, timeout_ms: int = 0) -> Connection:
    """A connection for the engine, in autocommit mode, named after its `role`.

    Its commits do not wait for the disk: rows and checkpoint are lost together or not at all, and
    what is lost is folded again from the log, which is durable.
    """
    return psycopg.connect(
        conninfo,
        autocommit=True,
        connect_timeout=5,
        application_name=f"projections {role}"[:63],
        options=f"-c synchronous_commit=off -c statement_timeout={timeout_ms}",
    )


def install(connection: Connection) -> None:
    """Create what the engine keeps, or bring what an earlier release kept to the layout of this
    one, step by step. Raises UnknownLayout for that of a later release.
    """
    if _layout(connection) == LAYOUT:
        return
    with changing(connection):
        found = _layout(connection)
        if found > LAYOUT:
            raise UnknownLayout(found, LAYOUT)
        if found == 0:
            _run(connection, "catalogue.sql")
        for number in range(max(found, 1) + 1, LAYOUT + 1):
            _run(connection, f"catalogue_{number}.sql")
            connection.execute("UPDATE projections.layout SET number = %s", (number,))


def _layout(connection: Connection) -> int:
    """Which layout is there; 0 for none. The first did not say."""
    names = connection.execute(
        "SELECT relname FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace"
        " WHERE nspname = 'projections' AND relname IN ('timers', 'layout')"
    ).fetchall()  # `to_regclass` may say what was true before others were waited for
    if len(names) < 2:
        return len(names)
    row = connection.execute("SELECT number FROM projections.layout").fetchone()
    return 1 if row is None else int(row[0])


def _run(connection: Connection, name: str) -> None:
    connection.execute(files("projections").joinpath("sql", name).read_text().encode())


@contextmanager
def changing(connection: Connection) -> Iterator[None]:
    """A transaction in which builds may be changed: one at a time in a database."""
    with connection.transaction():
        connection.execute("SET LOCAL synchronous_commit = on")
        connection.execute("SELECT pg_advisory_xact_lock(%s, %s)", CHANGE_LOCK)
        yield
        connection.execute(sql.SQL("NOTIFY {}").format(sql.Identifier(CHANNEL)))
        fault_point("catalogue.before_commit")


def builds(
    connection: Connection, name: str | None = None, *, retired: bool = False
) -> list[Build]:
    """The builds, of one projection or of all, oldest first."""
    query = _BUILDS + (
        "WHERE (%(name)s::text IS NULL OR b.name = %(name)s) AND (%(all)s OR b.state <> 'retired')"
        "ORDER BY b.name, b.number"
    )
    with connection.cursor(row_factory=kwargs_row(_build)) as cursor:
        return cursor.execute(query, {"name": name, "all": retired}).fetchall()


def build(connection: Connection, build_id: int) -> Build | None:
    """One build by id, retired or not."""
    with connection.cursor(row_factory=kwargs_row(_build)) as cursor:
        return cursor.execute(_BUILDS + "WHERE b.id = %s", (build_id,)).fetchone()


def _build(*, state: str, **columns: Any) -> Build:
    return Build(state=State(state), **columns)


def create(
    connection: Connection,
    projection: Projection,
    state: State,
    *,
    upgrade: bool = False,
    owner: str = "",
    parts: int = 1,
) -> Build:
    """Make the tables of a new build in a schema of their own. Call it inside `changing`.

    Raises TableTaken if another projection has a table of the same name.
    """
    row = connection.execute(
        "SELECT coalesce(max(number), 0) + 1 FROM projections.builds WHERE name = %s",
        (projection.name,),
    ).fetchone()
    assert row is not None
    number = row[0]
    schema = f"{projection.name}_b{number}"
    make_tables(connection, projection, schema)
    tables = tables_of(connection, schema)
    for table in tables:
        _refuse_taken(connection, projection.name, table)
    row = connection.execute(
        "INSERT INTO projections.builds"
        " (name, version, number, schema_name, tables, shape, state, upgrade, owner, live_at)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s,"
        " CASE WHEN %s THEN clock_timestamp() END) RETURNING id",
        (
            *(projection.name, projection.version, number, schema, tables, projection.shape),
            *(state, upgrade, owner, state is State.LIVE),
        ),
    ).fetchone()
    assert row is not None
    for part in range(parts):
        connection.execute(
            "INSERT INTO projections.checkpoints (build_id, part, parts) VALUES (%s, %s, %s)",
            (row[0], part, parts),
        )
    made = build(connection, row[0])
    assert made is not None
    return made


def make_tables(connection: Connection, projection: Projection, schema: str) -> None:
    """Make the tables of a projection in a new schema. Call it in a transaction."""
    name = sql.Identifier(schema)
    connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(name))
    connection.execute(sql.SQL("CREATE SCHEMA {}").format(name))
    use_schema(connection, schema)
    connection.execute(projection.tables.encode())
    connection.execute("RESET search_path")


def use_schema(connection: Connection, schema: str) -> None:
    """Resolve unqualified names in the schema of a build, until the transaction ends."""
    connection.execute("SELECT set_config('search_path', %s, true)", (f"{schema}, public",))


def tables_of(connection: Connection, schema: str) -> list[str]:
    """What can be read by name in a schema: tables and views."""
    rows = connection.execute(
        "SELECT relname FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace"
        " WHERE n.nspname = %s AND relkind IN ('r', 'p', 'v', 'm') AND NOT relispartition"
        " ORDER BY relname",
        (schema,),
    ).fetchall()
    return [row[0] for row in rows]


def _refuse_taken(connection: Connection, name: str, table: str) -> None:
    row = connection.execute(
        "SELECT name FROM projections.builds"
        " WHERE name <> %s AND state <> 'retired' AND %s = ANY(tables) LIMIT 1",
        (name, table),
    ).fetchone()
    if row is not None:
        raise TableTaken(name, table, f"projection {row[0]!r}")


def set_state(
    connection: Connection,
    changed: Build,
    state: State,
    *,
    follow_seconds: float | None = None,
) -> None:
    """Move a build to another state. Call it inside `changing`."""
    connection.execute(
        "UPDATE projections.builds SET state = %(state)s,"
        " live_at = CASE WHEN %(state)s = 'live' THEN clock_timestamp() ELSE live_at END,"
        " retired_at = CASE WHEN %(state)s = 'retired' THEN clock_timestamp() END,"
        " follow_until = clock_timestamp() + make_interval(secs => %(seconds)s)"
        " WHERE id = %(id)s",
        {"state": state.value, "seconds": follow_seconds, "id": changed.id},
    )


def retire(connection: Connection, ended: Build) -> None:
    """Stop following a build for good; `sweep` drops its tables. Call it inside `changing`."""
    connection.execute("DELETE FROM projections.parked_keys WHERE build_id = %s", (ended.id,))
    set_state(connection, ended, State.RETIRED)


def sweep(connection: Connection) -> list[str]:
    """Drop the tables of retired builds that nobody writes any more; return their schemas."""
    rows = connection.execute(
        "SELECT id, schema_name FROM projections.builds JOIN pg_namespace ON nspname = schema_name"
        " WHERE state = 'retired' ORDER BY id"
    ).fetchall()
    dropped = []
    for build_id, schema in rows:
        if own(connection, build_id):
            drop = sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(schema))
            connection.execute(drop)
            disown(connection, [build_id])
            dropped.append(schema)
    return dropped


def sizes(connection: Connection) -> dict[int, int]:
    """Bytes on disk of the tables and indexes of each build, by its id."""
    rows = connection.execute(
        "SELECT b.id, coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint"
        " FROM projections.builds b JOIN pg_namespace n ON n.nspname = b.schema_name"
        " LEFT JOIN pg_class c ON c.relnamespace = n.oid AND c.relkind IN ('r', 'm')"
        " GROUP BY b.id"
    ).fetchall()
    return dict(rows)


def own(connection: Connection, build_id: int) -> bool:
    """Become the one that may write a build, for as long as this connection lives."""
    row = connection.execute(
        "SELECT pg_try_advisory_lock(%s, %s::integer)", (BUILD_LOCK_CLASS, build_id)
    ).fetchone()
    return row is not None and row[0] is True


def disown(connection: Connection, build_ids: Sequence[int]) -> None:
    """Let another connection write these builds."""
    for build_id in build_ids:
        connection.execute(
            "SELECT pg_advisory_unlock(%s, %s::integer)", (BUILD_LOCK_CLASS, build_id)
        )


def owned_by_another(connection: Connection, build_id: int) -> bool:
    """Whether some other connection may write this build now."""
    row = connection.execute(
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = %s AND objid = %s"
        " AND objsubid = 2 AND granted AND pid <> pg_backend_pid()"
        " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
        (BUILD_LOCK_CLASS, build_id),
    ).fetchone()
    return row is not None and row[0] > 0


def this_process() -> str:
    """Host and process, to name who builds."""
    return f"{socket.gethostname()} process {os.getpid()}"

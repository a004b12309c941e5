"""The tables of a log: made when missing, and the statements that use them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from typing import Any

import psycopg
from psycopg.types.string import ByteaBinaryLoader

from eventstore.errors import EventStoreError, InvalidAppend, WrongStore

LAYOUT = 5
"""Counts the shapes of the tables. `sql/layout.sql` makes the first one, `sql/layout_N.sql` the Nth
of the one before.
"""
STORE_PARAMETERS = 23
"""Of the function that stores a batch."""
PARTITION_EVENTS = 1_000_000
"""Positions in one partition of the events."""

CONNECT_SECONDS_MAX = 5
NEAR_EVENTS = 5_000
"""How many events are looked through, by position, for those that match a condition."""
THREADS = "eventstore"
"""What the names of all threads of a store start with."""

_SCHEMA = re.compile(r"[a-z_][a-z0-9_]{0,40}\Z")
_JSON_OID = 114


def connect(conninfo: str, application: str) -> psycopg.Connection[Any]:
    """A connection in autocommit that gives JSON as bytes. Raises psycopg.OperationalError.

    What it prepares is planned once, not for each use: planning for all partitions costs more than
    most reads do.
    """
    connection = psycopg.connect(
        conninfo,
        autocommit=True,
        application_name=application,
        connect_timeout=CONNECT_SECONDS_MAX,
        keepalives_idle=10,
        keepalives_interval=5,
        keepalives_count=3,
        tcp_user_timeout=20_000,
    )
    connection.execute("SET plan_cache_mode = force_generic_plan")
    prepare(connection)
    return connection


def prepare(connection: psycopg.Connection[Any]) -> None:
    """Make a connection give JSON as it is stored, as bytes."""
    connection.adapters.register_loader(_JSON_OID, ByteaBinaryLoader)


class Layout:
    """The tables of the log `name` in `schema`, and what is said to them."""

    def __init__(self, name: str, schema: str, partition_events: int = PARTITION_EVENTS) -> None:
        if not _SCHEMA.match(schema):
            raise InvalidAppend("schema", repr(schema), "lower-case letters, digits and _")
        self.name, self.schema, self.partition_events = name, schema, partition_events
        self.channel, self.erasure_notice = schema, b"erasure"
        self.sql = Statements(schema)

    def application(self, part: str) -> str:
        """The name a connection shows in pg_stat_activity."""
        return f"eventstore {self.name} {part}"

    @staticmethod
    def prepare_cursor(cursor: psycopg.Cursor[Any]) -> None:
        """Make somebody else's cursor give JSON as it is stored, as bytes."""
        cursor.adapters.register_loader(_JSON_OID, ByteaBinaryLoader)

    def migrate(self, connection: psycopg.Connection[Any]) -> None:
        """Make what is missing. Raises WrongStore if the tables hold another service's log, and
        NotOwner if they are of an older release and the connection's role may not change them.

        Several processes may do so at once: they take turns.
        """
        with connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [self.schema])
            found = connection.execute(
                "SELECT to_regclass(%s) IS NOT NULL", [f"{self.schema}.log"]
            ).fetchone()
            if found != (True,):
                self._run(connection, "layout.sql")
                connection.execute(
                    f"INSERT INTO {self.schema}.log (name, layout) VALUES (%s, 1)", [self.name]
                )
            row = connection.execute(
                f"SELECT name, layout FROM {self.schema}.log FOR UPDATE"
            ).fetchone()
            assert row is not None
            if row[0] != self.name:
                raise WrongStore(self.name, row[0])
            if not 1 <= row[1] <= LAYOUT:
                raise UnknownLayout(self.name, row[1])
            try:
                for number in range(row[1] + 1, LAYOUT + 1):
                    self._run(connection, f"layout_{number}.sql")
                    connection.execute(f"UPDATE {self.schema}.log SET layout = %s", [number])
            except psycopg.errors.InsufficientPrivilege as error:
                raise NotOwner(self.name, row[1], connection.info.user) from error
            connection.execute(self.sql.partitions, [1, self.partition_events])

    def _run(self, connection: psycopg.Connection[Any], name: str) -> None:
        script = files("eventstore").joinpath("sql", name).read_text()
        connection.execute(script.format(schema=self.schema).encode())


class UnknownLayout(EventStoreError):
    """The tables were made by another release."""

    code = "UNKNOWN_LAYOUT"

    def __init__(self, name: str, found: int) -> None:
        self.name, self.found = name, found
        super().__init__(f"the log {name!r} has layout {found}, this release knows 1 to {LAYOUT}")


class NotOwner(EventStoreError):
    """The tables are of an older release, and not ours to change (eventstore/guard.py)."""

    code = "NOT_OWNER"

    def __init__(self, name: str, found: int, role: str) -> None:
        self.name, self.found, self.role = name, found, role
        super().__init__(
            f"the log {name!r} has layout {found}, this release needs {LAYOUT}, and role {role!r} "
            "does not own its tables: let who guards the log bring it up to date "
            "(`lonja db guard`), then start again"
        )


@dataclass(frozen=True)
class Statements:
    """SQL over the tables of one schema."""

    schema: str

    @cached_property
    def head(self) -> str:
        return f"SELECT position FROM {self.schema}.log"

    @cached_property
    def standing(self) -> str:
        return f"SELECT position, erasures FROM {self.schema}.log"

    @cached_property
    def known(self) -> str:
        return (
            "SELECT key, request_hash, position, versions, outcome "
            f"FROM {self.schema}.idempotency WHERE key = ANY(%s)"
        )

    @cached_property
    def appending(self) -> dict[bytes, str]:
        """What the committer prepares, with parameters in PostgreSQL's own way.

        `lock` takes the turn to append, and says where the log stands. Statements after it see all
        that was committed before.
        """
        schema = self.schema
        return {
            b"begin": "BEGIN",
            b"commit": "COMMIT",
            b"lock": f"SELECT position FROM {schema}.log FOR UPDATE",
            b"heads": f"SELECT stream, version FROM {schema}.streams WHERE stream = ANY($1)",
            b"known": self.known.replace("%s", "$1"),
            b"matching": f"SELECT coalesce(max(position), 0) FROM ({self._near} UNION ALL "
            f"{self._far}) matching WHERE $3::text[] = '{{}}' OR type = ANY($3)",
            b"found": f"SELECT id, position, recorded_at FROM {schema}.events WHERE id = ANY($1)",
            b"store": f"SELECT log_after, new_time FROM {schema}.store("
            + ", ".join(f"${number}" for number in range(1, STORE_PARAMETERS + 1))
            + ")",
        }

    @property
    def _near(self) -> str:
        """Of the events soon after $1, which are all looked at: those with the tags $2. Whoever
        appends under a condition has just read the log.
        """
        return (
            "SELECT position, type FROM (SELECT position, type, tags "
            f"FROM {self.schema}.events WHERE position > $1::bigint "
            f"AND position <= $1::bigint + {NEAR_EVENTS} OFFSET 0) near WHERE tags @> $2::text[]"
        )

    @property
    def _far(self) -> str:
        """Of the later ones, if there are any: found by their tags. `OFFSET 0` keeps the planner
        from looking through the whole log for the largest position.
        """
        return (
            "SELECT position, type FROM (SELECT position, type "
            f"FROM {self.schema}.events WHERE tags <> '{{}}' AND tags @> $2::text[] OFFSET 0) far "
            f"WHERE position > $1::bigint + {NEAR_EVENTS} "
            f"AND (SELECT position FROM {self.schema}.log) > $1::bigint + {NEAR_EVENTS}"
        )

    @cached_property
    def partitions(self) -> str:
        return f"SELECT {self.schema}.partitions_up_to(%s, %s)"

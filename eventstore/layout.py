"""The tables of a log: made when missing, and the statements that use them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from typing import Any

import psycopg
from psycopg.types.string import ByteaBinaryLoader

from eventstore import arrays
from eventstore.errors import EventStoreError, InvalidAppend, WrongStore

LAYOUT = 1
PARTITION_EVENTS = 1_000_000
"""Positions in one partition of the events."""

_SCHEMA = re.compile(r"[a-z_][a-z0-9_]{0,40}\Z")
_JSON_OID = 114


def connect(conninfo: str, application: str, **options: Any) -> psycopg.Connection[Any]:
    """A connection in autocommit that gives JSON as bytes. Raises psycopg.OperationalError."""
    connection = psycopg.connect(
        conninfo, autocommit=True, application_name=application, connect_timeout=5, **options
    )
    prepare(connection)
    return connection


def prepare(connection: psycopg.Connection[Any]) -> None:
    """Make a connection send our arrays and give JSON as it is stored, as bytes."""
    arrays.register(connection.adapters)
    connection.adapters.register_loader(_JSON_OID, ByteaBinaryLoader)


class Layout:
    """The tables of the log `name` in `schema`, and what is said to them."""

    def __init__(self, name: str, schema: str) -> None:
        if not _SCHEMA.match(schema):
            raise InvalidAppend("schema", repr(schema), "lower-case letters, digits and _")
        self.name, self.schema = name, schema
        self.channel = schema
        self.sql = Statements(schema)

    def application(self, part: str) -> str:
        """The name a connection shows in pg_stat_activity."""
        return f"eventstore {self.name} {part}"

    @staticmethod
    def prepare_cursor(cursor: psycopg.Cursor[Any]) -> None:
        """Make somebody else's cursor give JSON as it is stored, as bytes."""
        cursor.adapters.register_loader(_JSON_OID, ByteaBinaryLoader)

    def migrate(self, connection: psycopg.Connection[Any]) -> None:
        """Make what is missing. Raises WrongStore if the tables hold another service's log.

        Several processes may do so at once: they take turns.
        """
        with connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [self.schema])
            found = connection.execute(
                "SELECT to_regclass(%s) IS NOT NULL", [f"{self.schema}.log"]
            ).fetchone()
            if found != (True,):
                script = files("eventstore").joinpath("sql/layout.sql").read_text()
                connection.execute(script.format(schema=self.schema).encode())
                connection.execute(
                    f"INSERT INTO {self.schema}.log (name, layout) VALUES (%s, %s)",
                    [self.name, LAYOUT],
                )
            row = connection.execute(
                f"SELECT name, layout FROM {self.schema}.log FOR UPDATE"
            ).fetchone()
            assert row is not None
            if row[0] != self.name:
                raise WrongStore(self.name, row[0])
            if row[1] != LAYOUT:
                raise UnknownLayout(self.name, row[1])
            connection.execute(self.sql.partitions, [1, PARTITION_EVENTS])


class UnknownLayout(EventStoreError):
    """The tables were made by another release."""

    code = "UNKNOWN_LAYOUT"

    def __init__(self, name: str, found: int) -> None:
        self.name, self.found = name, found
        super().__init__(f"the log {name!r} has layout {found}, this release knows {LAYOUT}")


@dataclass(frozen=True)
class Statements:
    """SQL over the tables of one schema."""

    schema: str

    @cached_property
    def head(self) -> str:
        return f"SELECT position FROM {self.schema}.log"

    @cached_property
    def lock(self) -> str:
        """Take the turn to append: where the log stands, and the time, which never goes back."""
        return (
            "SELECT position, greatest(recorded_at, clock_timestamp()) "
            f"FROM {self.schema}.log FOR UPDATE"
        )

    @cached_property
    def heads(self) -> str:
        return f"SELECT stream, version FROM {self.schema}.streams WHERE stream = ANY(%s)"

    @cached_property
    def known(self) -> str:
        return (
            "SELECT key, request_hash, position, versions, outcome "
            f"FROM {self.schema}.idempotency WHERE key = ANY(%s)"
        )

    @cached_property
    def at(self) -> str:
        return f"SELECT id FROM {self.schema}.events WHERE position = %s"

    @cached_property
    def insert_events(self) -> str:
        return (
            f"INSERT INTO {self.schema}.events (recorded_at, position, version, type_version, id, "
            "stream, type, leaf, tags, metadata, payload) "
            "SELECT %s, p, v, tv, i, s, t, l, g::text[], m, d FROM unnest(%s, %s, %s, %s, %s, %s, "
            "%s, %s, %s, %s) AS new (p, v, tv, i, s, t, l, g, m, d)"
        )

    @cached_property
    def move_streams(self) -> str:
        return (
            f"INSERT INTO {self.schema}.streams AS old (stream, version, first_position, position) "
            "SELECT * FROM unnest(%s, %s, %s, %s) ON CONFLICT (stream) "
            "DO UPDATE SET version = excluded.version, position = excluded.position"
        )

    @cached_property
    def insert_keys(self) -> str:
        return (
            f"INSERT INTO {self.schema}.idempotency "
            "(recorded_at, key, request_hash, position, versions, outcome) "
            "SELECT %s, new.* FROM unnest(%s, %s, %s, %s, %s) AS new"
        )

    @cached_property
    def move_log(self) -> str:
        return f"UPDATE {self.schema}.log SET position = %s, recorded_at = %s"

    @cached_property
    def partitions(self) -> str:
        return f"SELECT {self.schema}.partitions_up_to(%s, %s)"

"""A guarded log: the role of its service appends and seals, and can take no guard away."""

from __future__ import annotations

from datetime import UTC, datetime

import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from psycopg.conninfo import make_conninfo

from eventstore import Append, EventStore, Idempotency, Limits
from eventstore.audit import Signer, seal_next, verify
from eventstore.guard import guard
from eventstore.layout import LAYOUT, Layout, NotOwner
from tests.support.shelf import BoxPlaced, metadata, shelf_types

SIGNER = Signer(Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
OWNER, SERVICE = "shelf_log", "shelf"
SIZE = 10


@pytest.fixture
def guarded(database: str) -> str:
    """A conninfo of the service's role."""
    with psycopg.connect(database, autocommit=True) as connection:
        for role, can in ((OWNER, "NOLOGIN"), (SERVICE, "LOGIN")):
            if not connection.execute("SELECT FROM pg_roles WHERE rolname = %s", [role]).rowcount:
                connection.execute(f"CREATE ROLE {role} {can}".encode())
        for _ in "once", "again":
            guard(connection, Layout("shelf", "eventstore", SIZE), owner=OWNER, service=SERVICE)
    return make_conninfo(database, user=SERVICE)


def open_store(conninfo: str) -> EventStore:
    return EventStore(conninfo, shelf_types(), name="shelf", limits=Limits(partition_events=SIZE))


async def test_the_service_does_all_that_it_does(guarded: str) -> None:
    async with open_store(guarded) as store:
        for n in range(3 * SIZE):
            append = Append(f"box_{n % 3}", [BoxPlaced("x")], tags=("a",))
            await store.append(append, metadata=metadata(), idempotency=Idempotency(f"{n}", b""))
        assert len(await store.read(0)) == 3 * SIZE
    with psycopg.connect(guarded, autocommit=True) as connection:
        assert seal_next(connection, store.layout, SIGNER, datetime.now(UTC)) is not None
        keys = {SIGNER.key_id: SIGNER.key.public_key()}
        assert verify(connection, store.layout, keys).intact
        for table in "events_0000000000000000030", "streams", "seals":  # as pg_dump does
            with connection.transaction():
                connection.execute(f"LOCK TABLE eventstore.{table} IN ACCESS SHARE MODE".encode())
                connection.execute(f"SELECT FROM eventstore.{table}".encode())
        connection.execute("CREATE SCHEMA its_own")
        connection.execute("CREATE TABLE its_own.rows (n int)")


REFUSED = [
    "UPDATE eventstore.events SET payload = '{}'",
    "DELETE FROM eventstore.events",
    "TRUNCATE eventstore.events",
    "DELETE FROM eventstore.events_0000000000000000010",
    "TRUNCATE eventstore.events_0000000000000000020",
    "UPDATE eventstore.seals SET number = 5",
    "DELETE FROM eventstore.seals",
    "TRUNCATE eventstore.seals",
    "ALTER TABLE eventstore.events DISABLE TRIGGER ALL",
    "ALTER TABLE eventstore.events DISABLE TRIGGER refuse_change",
    "ALTER TABLE eventstore.events_0000000000000000020 DISABLE TRIGGER refuse_truncate",
    "DROP TRIGGER refuse_change ON eventstore.events",
    "CREATE OR REPLACE FUNCTION eventstore.refuse_change() RETURNS trigger LANGUAGE plpgsql"
    " AS 'BEGIN RETURN NULL; END'",
    "ALTER TABLE eventstore.events DETACH PARTITION eventstore.events_0000000000000000010",
    "ALTER TABLE eventstore.events RENAME TO other",
    "ALTER TABLE eventstore.events OWNER TO shelf",
    "DROP TABLE eventstore.seals CASCADE",
    "DROP SCHEMA eventstore CASCADE",
    "CREATE TABLE eventstore.other (n int)",
    "SET session_replication_role = replica",
    "SET ROLE shelf_log",
]


async def test_what_the_service_is_refused(guarded: str) -> None:
    async with open_store(guarded) as store:
        for _ in range(2 * SIZE):
            await store.append(Append("box", [BoxPlaced("x")]), metadata=metadata())
    with psycopg.connect(guarded, autocommit=True) as connection:
        for statement in REFUSED:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement.encode())


async def test_an_older_log_is_not_brought_up_to_date_by_the_service(
    guarded: str, database: str
) -> None:
    with psycopg.connect(database) as connection:
        connection.execute("UPDATE eventstore.log SET layout = layout - 1")
    with pytest.raises(NotOwner, match=f"has layout {LAYOUT - 1}, this release needs {LAYOUT}, "):
        await open_store(guarded).open()


async def test_the_owner_cannot_change_events_either(guarded: str, database: str) -> None:
    async with open_store(guarded) as store:
        await store.append(Append("box", [BoxPlaced("x")]), metadata=metadata())
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("SET ROLE shelf_log")
        with pytest.raises(psycopg.IntegrityError, match="events are never changed"):
            connection.execute("DELETE FROM eventstore.events")

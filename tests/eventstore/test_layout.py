"""The tables: partitions made ahead, events that cannot be changed, hashes that agree."""

from __future__ import annotations

import asyncio
import hashlib
from datetime import UTC, datetime
from importlib.resources import files
from uuid import uuid4

import psycopg
import pytest

from eventstore import Append, Effect, EffectFailed, EventStore, InvalidAppend, Limits
from eventstore.audit import verify
from eventstore.audit.merkle import leaf_hash
from eventstore.layout import LAYOUT, Layout, UnknownLayout
from eventstore.record import record
from eventstore.request import encode_metadata
from eventstore.wire import Wire
from tests.support.shelf import BoxMoved, BoxPlaced, metadata, open_shelf, shelf_types

SMALL = Limits(partition_events=20)


def partitions(conninfo: str) -> list[tuple[str, int]]:
    """Each partition with its number of events."""
    with psycopg.connect(conninfo) as connection:
        names = connection.execute(
            "SELECT inhrelid::regclass::text FROM pg_inherits "
            "WHERE inhparent = 'eventstore.events'::regclass ORDER BY 1"
        ).fetchall()
        return [
            (name, connection.execute(f"SELECT count(*) FROM {name}".encode()).fetchall()[0][0])
            for (name,) in names
        ]


async def test_partitions_are_made_before_they_are_needed(database: str) -> None:
    async with open_shelf(database, limits=SMALL) as store:
        for n in range(17):
            await store.append(Append("box_1", [BoxMoved(str(n))], n), metadata=metadata())
        assert [count for _, count in partitions(database)] == [17]
        await store.append(Append("box_1", [BoxMoved("x")], 17), metadata=metadata())
        await store.append(Append("box_1", [BoxMoved("y")], 18), metadata=metadata())
        assert [count for _, count in partitions(database)] == [19, 0]


async def test_one_append_may_fill_several_partitions(database: str) -> None:
    async with open_shelf(database, limits=SMALL) as store:
        await store.append(
            Append("box_1", [BoxMoved(str(n)) for n in range(70)]), metadata=metadata()
        )
        await store.append(Append("box_1", [BoxMoved("last")], 70), metadata=metadata())
        assert [count for _, count in partitions(database)] == [20, 20, 20, 11]
        versions = [event.version for event in await store.read_stream("box_1")]
        assert versions == list(range(1, 72))
        positions = [event.position for event in await store.read(0)]
        assert positions == versions


async def test_two_stores_make_partitions(database: str) -> None:
    async with (
        open_shelf(database, limits=SMALL) as one,
        open_shelf(database, limits=SMALL) as other,
    ):
        await asyncio.gather(
            *(
                store.append(Append(f"box_{n}", [BoxPlaced("x")] * 3), metadata=metadata())
                for n in range(30)
                for store in (one, other)
            )
        )
    assert sum(count for _, count in partitions(database)) == 180


async def test_a_lock_in_the_way_of_a_partition_is_not_waited_for(database: str) -> None:
    """There is room left: the append goes on, and the partition is made later."""
    async with open_shelf(database, limits=SMALL) as store:
        await store.append(Append("box_1", [BoxPlaced("x")] * 17), metadata=metadata())
        with psycopg.connect(database) as blocker:
            blocker.execute("LOCK TABLE eventstore.events IN SHARE UPDATE EXCLUSIVE MODE")
            await store.append(Append("box_1", [BoxPlaced("x")] * 2), metadata=metadata())
            assert len(partitions(database)) == 1
        await store.append(Append("box_1", [BoxPlaced("x")]), metadata=metadata())
        assert len(partitions(database)) == 2


async def test_a_partition_that_was_rolled_back_is_made_again(database: str) -> None:
    """It was made in the transaction of an append that failed."""
    async with open_shelf(database, limits=SMALL) as store:
        await store.append(Append("box_1", [BoxPlaced("x")] * 17), metadata=metadata())
        with pytest.raises(EffectFailed):
            await store.append(
                Append("box_1", [BoxPlaced("x")] * 2),
                metadata=metadata(),
                effects=[Effect("SELECT 1 / 0")],
            )
        assert len(partitions(database)) == 1
        await store.append(Append("box_1", [BoxPlaced("x")] * 4), metadata=metadata())
        assert [count for _, count in partitions(database)] == [20, 1]


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE eventstore.events SET payload = '{{}}'",
        "UPDATE eventstore.events SET position = 7 WHERE position = 1",
        "DELETE FROM eventstore.events",
        "TRUNCATE eventstore.events",
        "DELETE FROM {partition}",
        "TRUNCATE {partition}",
        "SET session_replication_role = replica; DELETE FROM eventstore.events",
        "SET session_replication_role = replica; TRUNCATE {partition}",
    ],
)
async def test_events_cannot_be_changed(store: EventStore, change: str) -> None:
    await store.append(Append("box_1", [BoxPlaced("x")]), metadata=metadata())
    partition = partitions(store.conninfo)[0][0]
    with (
        psycopg.connect(store.conninfo, autocommit=True) as connection,
        pytest.raises(psycopg.IntegrityError, match="events are never changed"),
    ):
        connection.execute(change.format(partition=partition).encode())
    assert len(await store.read()) == 1


async def test_the_leaf_is_the_hash_of_the_record_as_others_would_write_it(
    store: EventStore,
) -> None:
    """Computed here by hand, from what SQL says of the row."""
    await store.append(
        Append('bo"x\n1', [BoxMoved('ü"\\\t')], tags=('t"', "ü")), metadata=metadata(reason="é")
    )
    with psycopg.connect(store.conninfo) as connection:
        row = connection.execute(
            """SELECT leaf, sha256('\\x00'::bytea || convert_to(
                 '{"id":' || to_json(id) || ',"metadata":' || metadata || ',"payload":' || payload
                 || ',"position":' || position || ',"recorded_at":"'
                 || to_char(recorded_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
                 || '","stream":' || to_json(stream) || ',"tags":'
                 || to_json(tags) || ',"type":' || to_json(type)
                 || ',"type_version":' || type_version || ',"version":' || version
                 || '}', 'UTF8')) FROM eventstore.events"""
        ).fetchone()
    assert row is not None
    assert row[0] == row[1]
    assert len(row[0]) == hashlib.sha256().digest_size


async def test_what_is_stored_is_canonical_json(store: EventStore) -> None:
    await store.append(Append("box_1", [BoxPlaced("é", grams=5)]), metadata=metadata(reason="x"))
    with psycopg.connect(store.conninfo) as connection:
        row = connection.execute(
            "SELECT payload::text, metadata::text FROM eventstore.events"
        ).fetchone()
    assert row is not None
    assert row[0] == '{"grams":5,"label":"é"}'
    assert row[1] == (
        '{"actor":{"id":"usr_1","kind":"user"},"command_id":"cmd_1","correlation_id":"cmd_1",'
        '"occurred_at":"2026-11-24T08:30:00Z","reason":"x"}'
    )


async def test_the_log_can_be_read_in_sql(store: EventStore) -> None:
    await store.append(Append("box_1", [BoxPlaced("x")]), metadata=metadata(causation_id="evt_9"))
    with psycopg.connect(store.conninfo) as connection:
        row = connection.execute(
            "SELECT actor_kind, actor_id, command_id, correlation_id, causation_id, "
            "payload->>'label' FROM eventstore.audit"
        ).fetchone()
    assert row == ("user", "usr_1", "cmd_1", "cmd_1", "evt_9", "x")


async def test_a_version_twice_in_a_partition_is_refused_below_the_guard(
    store: EventStore,
) -> None:
    """The backstop: even with a stream's row gone, its versions cannot be given twice."""
    await store.append(Append("box_1", [BoxPlaced("x")]), metadata=metadata())
    with psycopg.connect(store.conninfo) as connection:
        connection.execute("DELETE FROM eventstore.streams")
    with pytest.raises(Exception, match="_stream"):
        await store.append(Append("box_1", [BoxPlaced("x")]), metadata=metadata())
    assert await store.head() == 1


async def test_tables_of_another_release_are_not_touched(store: EventStore) -> None:
    with psycopg.connect(store.conninfo) as connection:
        connection.execute("UPDATE eventstore.log SET layout = 99")
    with pytest.raises(UnknownLayout, match="layout 99"):
        await EventStore(store.conninfo, store.types, name=store.name).open()


async def test_stores_open_at_the_same_time(database: str) -> None:
    async with (
        asyncio.timeout(20),
        open_shelf(database) as one,
        open_shelf(database) as other,
    ):
        assert await one.head() == await other.head() == 0


@pytest.mark.parametrize("schema", ["", "Upper", "a-b", "1a", 'x"; DROP', "a" * 50])
def test_a_schema_is_a_plain_name(schema: str) -> None:
    with pytest.raises(InvalidAppend):
        Layout("shelf", schema)


def test_an_error_in_a_pipeline_leaves_the_connection_usable(database: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        wire = Wire(connection, {b"one": "SELECT 1", b"zero": "SELECT 1 / 0"})
        for _ in range(2):
            with pytest.raises(psycopg.errors.DivisionByZero):
                wire.run([(b"one", ()), (b"zero", ()), (b"one", ())])
            assert [result.ntuples for result in wire.run([(b"one", ())] * 3)] == [1, 1, 1]


def make_first_layout(conninfo: str) -> None:
    """A log as the first layout had it, with an event of `box_1`."""
    layout = Layout("shelf", "eventstore")
    at = datetime(2026, 11, 1, tzinfo=UTC)
    id_, meta, payload = uuid4(), encode_metadata(metadata()), b'{"grams":5,"label":"old"}'
    kept = record(1, "box_1", 1, id_, "box.placed", 1, payload, meta, at, ())
    with psycopg.connect(conninfo) as connection:
        script = files("eventstore").joinpath("sql/layout.sql").read_text()
        connection.execute(script.format(schema="eventstore").encode())
        connection.execute(
            "INSERT INTO eventstore.log (name, layout, position, recorded_at) "
            "VALUES ('shelf', 1, 1, %s)",
            [at],
        )
        connection.execute(layout.sql.partitions, [1, layout.partition_events])
        connection.execute("INSERT INTO eventstore.streams VALUES ('box_1', 1, 1, 1)")
        connection.execute(
            "INSERT INTO eventstore.events (position, version, recorded_at, type_version, id, "
            "stream, type, leaf, tags, metadata, payload) "
            "VALUES (1, 1, %s, 1, %s, 'box_1', 'box.placed', %s, '{}', %s::json, %s::json)",
            [
                at,
                id_,
                leaf_hash(kept),
                meta.decode(),
                payload.decode(),
            ],
        )


async def test_a_log_of_the_first_layout_is_brought_up_to_date(database: str) -> None:
    make_first_layout(database)
    async with open_shelf(database) as store, open_shelf(database) as other:
        await store.append(Append("box_1", [BoxMoved("here")], 1), metadata=metadata())
        await store.persons.erase("usr_1", reason="asked to", metadata=metadata())
        events = [recorded.event for recorded in await other.read_stream("box_1")]
        assert events == [BoxPlaced("old", grams=5), BoxMoved("here")]
    with psycopg.connect(database, autocommit=True) as connection:
        row = connection.execute("SELECT layout, erasures FROM eventstore.log").fetchone()
        assert row == (LAYOUT, 1)
        assert verify(connection, store.layout, {}).intact


async def test_a_step_that_fails_leaves_the_log_as_it_was(database: str) -> None:
    make_first_layout(database)
    with psycopg.connect(database) as connection:
        connection.execute("CREATE TABLE eventstore.subject_keys ()")
    with pytest.raises(psycopg.errors.DuplicateTable):
        await EventStore(database, shelf_types(), name="shelf").open()
    with psycopg.connect(database) as connection:
        assert connection.execute("SELECT layout FROM eventstore.log").fetchone() == (1,)
        connection.execute("DROP TABLE eventstore.subject_keys")
    async with open_shelf(database) as store:
        assert await store.head() == 1

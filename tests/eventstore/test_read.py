"""Reading by stream, position, type, actor, correlation, tag and time; upcasting; tailing."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import psycopg
import pytest

from eventstore import (
    Actor,
    Append,
    EventStore,
    ForeignPosition,
    InvalidRead,
    MalformedEvent,
    Query,
    UnknownEventType,
    WrongStore,
    position_of,
    positions,
)
from eventstore.event import Recorded
from tests.support.shelf import BoxMoved, BoxPlaced, BoxWeighed, metadata, open_shelf


async def fill(store: EventStore, streams: int = 3, each: int = 4) -> None:
    for turn in range(each):
        for stream in range(streams):
            event = BoxPlaced("x") if turn == 0 else BoxMoved(f"{turn}")
            await store.append(
                Append(f"box_{stream}", [event], turn, tags=(f"turn:{turn}",)),
                metadata=metadata(f"cmd_{stream}", actor=Actor("user", f"usr_{turn}")),
            )


def places(events: list[Recorded[BoxMoved]]) -> list[int]:
    return [event.position for event in events]


@pytest.mark.parametrize("tag", ["a b", "it's", 'say "x"', "100 %s", "back\\slash", "{a,b}", "ü"])
async def test_any_text_may_be_a_tag(store: EventStore, tag: str) -> None:
    for tags in ((tag, "x"), ("y",)):
        await store.append(Append("box", [BoxPlaced("x")], tags=tags), metadata=metadata())
    assert [event.tags for event in await store.read(tags=[tag])] == [(tag, "x")]


async def test_a_stream_by_version_both_ways(store: EventStore) -> None:
    await fill(store)
    versions = [event.version for event in await store.read_stream("box_1")]
    assert versions == [1, 2, 3, 4]
    some = await store.read_stream("box_1", after_version=1, up_to_version=3)
    assert [event.version for event in some] == [2, 3]
    last = await store.read_stream("box_1", backwards=True, limit=1)
    assert [event.version for event in last] == [4]
    assert await store.read_stream("nowhere") == []


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 12, 100])
@pytest.mark.parametrize("backwards", [False, True])
async def test_all_pages_both_ways(store: EventStore, limit: int, backwards: bool) -> None:
    await fill(store)
    order = -1 if backwards else 1
    for query, expected in (
        (Query(), range(1, 13)),
        (Query(types=["box.placed"]), [1, 2, 3]),
        (Query(correlation_id="cmd_1"), [2, 5, 8, 11]),
        (Query(after=7), range(1, 7) if backwards else range(8, 13)),
        (Query(types=["box.unknown"]), []),
    ):
        pages = store.pages(replace(query, limit=limit, backwards=backwards))
        found = [places(page) async for page in pages]
        assert [position for page in found for position in page] == list(expected)[::order]
        assert all(len(page) == limit for page in found[:-1])


async def test_pages_end_where_the_log_ended_when_they_were_asked_for(store: EventStore) -> None:
    await fill(store, streams=1)
    seen: list[int] = []
    async for page in store.pages(Query(limit=1)):
        seen += places(page)
        await store.append(Append("more", [BoxMoved("x")]), metadata=metadata())
        assert len(seen) <= 4
    assert seen == [1, 2, 3, 4]


async def test_the_log_by_position_both_ways(store: EventStore) -> None:
    await fill(store)
    assert places(await store.read(0, limit=5)) == [1, 2, 3, 4, 5]
    assert places(await store.read(10)) == [11, 12]
    assert places(await store.read(backwards=True, limit=2)) == [12, 11]
    assert places(await store.read(3, backwards=True)) == [2, 1]


async def test_the_log_by_what_the_events_are(store: EventStore) -> None:
    await fill(store)
    assert places(await store.read(types=["box.placed"])) == [1, 2, 3]
    assert places(await store.read(types=[])) == []
    assert places(await store.read(correlation_id="cmd_1")) == [2, 5, 8, 11]
    assert places(await store.read(actor_id="usr_3")) == [10, 11, 12]
    assert places(await store.read(tags=["turn:2"], limit=2)) == [7, 8]
    all_of_it = await store.read()
    since, until = all_of_it[4].recorded_at, all_of_it[8].recorded_at
    assert places(await store.read(since=since, until=until)) == [5, 6, 7, 8]


async def test_time_never_goes_back(store: EventStore) -> None:
    await fill(store)
    with psycopg.connect(store.conninfo) as connection:
        connection.execute("UPDATE eventstore.log SET recorded_at = '2100-01-01'")
    await store.append(Append("late", [BoxPlaced("x")]), metadata=metadata())
    assert (await store.read(12))[0].recorded_at.year in (2099, 2100)


async def test_old_payloads_are_upcast(store: EventStore) -> None:
    await store.append(Append("box_1", [BoxMoved("here")]), metadata=metadata())
    disable = "ALTER TABLE eventstore.events DISABLE TRIGGER refuse_change"
    old = """UPDATE eventstore.events SET type_version = 1, payload = '{"to": "there"}'"""
    with psycopg.connect(store.conninfo) as connection:
        connection.execute(disable)
        connection.execute(old)
    recorded = (await store.read())[0]
    assert (recorded.event, recorded.type_version) == (BoxMoved("there"), 2)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ("payload = '{\"label\": 5}'", MalformedEvent, "at 1"),
        ("type = 'box.burnt'", UnknownEventType, "box.burnt"),
        ("type_version = 9", UnknownEventType, "version 9"),
        ("metadata = '{}'", MalformedEvent, "actor"),
    ],
)
async def test_what_cannot_be_read_is_named(
    store: EventStore, change: str, error: type[Exception], message: str
) -> None:
    await store.append(Append("box_1", [BoxPlaced("x")]), metadata=metadata())
    with psycopg.connect(store.conninfo) as connection:
        connection.execute("ALTER TABLE eventstore.events DISABLE TRIGGER refuse_change")
        connection.execute(f"UPDATE eventstore.events SET {change}".encode())
    with pytest.raises(error, match=message):
        await store.read()


async def test_a_page_over_the_callers_own_connection(store: EventStore) -> None:
    await fill(store)
    with psycopg.connect(store.conninfo) as connection:
        assert places(store.read_sync(connection, 0, 2)) == [1, 2]
        with connection.cursor() as cursor:
            assert places(store.read_sync(cursor, 2, 10, ["box.placed"])) == [3]
            assert cursor.execute("SELECT '{\"a\": 1}'::json").fetchone() == ({"a": 1},)


async def test_absurd_reads_are_refused(store: EventStore) -> None:
    for read in (
        store.read(-1),
        store.read(limit=0),
        store.read(limit=10**9),
        store.read(2**63),
        store.read_stream("a", after_version=-1),
        store.read_stream("a", limit=0),
    ):
        with pytest.raises(InvalidRead):
            await read


async def test_tail_gives_what_is_there_and_what_comes(store: EventStore) -> None:
    await fill(store, each=1)
    seen: list[int] = []
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        group.create_task(fill_later(store))
        async for page in store.tail(1):
            seen += places(page)
            if len(seen) == 22:
                break
    assert seen == list(range(2, 24))


async def fill_later(store: EventStore) -> None:
    for n in range(20):
        await store.append(Append(f"later_{n}", [BoxWeighed(n / 3)]), metadata=metadata())


async def test_tail_sees_what_other_processes_append(store: EventStore) -> None:
    async with open_shelf(store.conninfo) as other:
        waiting = asyncio.create_task(store.wait(0, 10))
        await other.append(Append("box_1", [BoxPlaced("x")]), metadata=metadata())
        assert await waiting == 1


async def test_waiting_ends_when_time_is_over(store: EventStore) -> None:
    assert await store.wait(5, 0.01) == 0
    assert await asyncio.to_thread(store.wait_sync, 5, 0.01) == 0


async def test_a_database_belongs_to_one_service(store: EventStore) -> None:
    with pytest.raises(WrongStore, match=r"log of 'shelf', expected that of 'orders'"):
        await EventStore(store.conninfo, store.types, name="orders").open()


async def test_opening_again_keeps_all(store: EventStore) -> None:
    await fill(store)
    async with open_shelf(store.conninfo) as again:
        assert await again.head() == 12


def test_positions_carry_the_name_of_their_log() -> None:
    assert position_of("orders", "orders:12") == 12
    assert positions("orders:12, users:5,orders:3") == {"orders": 12, "users": 5}
    for wrong in ("users:12", "orders:-1", "orders:1e3", "12", "orders:01", "orders:" + "9" * 30):
        with pytest.raises(ForeignPosition):
            position_of("orders", wrong)

"""When connections, servers and processes end: all that is acknowledged is stored, and once."""

from __future__ import annotations

import asyncio
import random
import signal
import sys
from collections import Counter

import psycopg
import pytest

from eventstore import (
    NO_STREAM,
    Append,
    EventStore,
    Idempotency,
    Limits,
    StoreUnavailable,
)
from tests.projections.waiting import until
from tests.support.faults import CuttingProxy
from tests.support.postgres import TestServer
from tests.support.shelf import BoxMoved, BoxPlaced, metadata, open_shelf

QUICK = Limits(retry_seconds=0.01, poll_seconds=0.05)


def places(conninfo: str) -> Counter[str | None]:
    """How often each place is in the log, by plain SQL."""
    with psycopg.connect(conninfo) as connection:
        return Counter(
            row[0] for row in connection.execute("SELECT payload->>'place' FROM eventstore.events")
        )


def terminate(conninfo: str, part: str) -> int:
    """End the connections of a part of a store; how many there were."""
    with psycopg.connect(conninfo) as connection:
        sql = """SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                 WHERE application_name = %s AND datname = current_database()"""
        row = connection.execute(sql, [f"eventstore shelf {part}"]).fetchone()
    assert row is not None
    return int(row[0])


@pytest.mark.slow
@pytest.mark.parametrize("assumed", [False, True])
async def test_a_lost_acknowledgement_is_resolved(database: str, *, assumed: bool) -> None:
    """The connection is cut with the answer to BEGIN… or to …COMMIT on its way: every append is
    acknowledged, and stored once, though it has no key to tell by. Those to streams that must not
    exist (`assumed`) are one round trip, two batches being on their way, the others are two.
    """
    chance = random.Random(4)

    def to(turn: int, n: int) -> Append:
        event = BoxMoved(f"{turn}:{n}")
        return Append(f"{turn}_{n}", [event], NO_STREAM) if assumed else Append(f"{n % 3}", [event])

    async with CuttingProxy(database) as proxy, open_shelf(proxy.conninfo, limits=QUICK) as store:
        await store.append(Append("box", [BoxPlaced("x")]), metadata=metadata())
        for turn in range(40):
            if assumed:  # a batch that follows another one is on an assumption
                await store.append(
                    Append(f"{turn}", [BoxPlaced("x")], NO_STREAM), metadata=metadata()
                )
            proxy.cut_after(1 + turn % 2)
            many = chance.randint(32, 64) if assumed else chance.randint(1, 5)
            appends = [store.append(to(turn, n), metadata=metadata()) for n in range(many)]
            async with asyncio.timeout(10):
                answers = await asyncio.gather(*appends)
            log = {event.position: event.event for event in await store.read(backwards=True)}
            for n, answer in enumerate(answers):
                assert log[answer.position] == BoxMoved(f"{turn}:{n}")
        assert proxy.cuts >= 30  # two batches may be seen as one by the proxy
    found = places(database)
    del found[None]
    assert set(found.values()) == {1}


@pytest.mark.slow
async def test_a_lost_conflict_stays_a_conflict(database: str) -> None:
    """The writer's own event must not look to it like somebody else's."""
    async with CuttingProxy(database) as proxy, open_shelf(proxy.conninfo, limits=QUICK) as store:
        for turn in range(10):
            await store.append(Append("warm", [BoxPlaced("x")]), metadata=metadata())
            proxy.cut_after(1)
            answer = await store.append(
                Append(f"box_{turn}", [BoxPlaced("x")], NO_STREAM), metadata=metadata()
            )
            assert answer.versions == {f"box_{turn}": 1}


@pytest.mark.slow
async def test_a_lost_answer_to_a_key_is_found_by_the_key(database: str) -> None:
    async with CuttingProxy(database) as proxy, open_shelf(proxy.conninfo, limits=QUICK) as store:
        for turn in range(10):
            key = Idempotency(f"inbox:{turn}", b"")
            await store.append(Append("warm", [BoxPlaced("x")]), metadata=metadata())
            proxy.cut_after(1)
            answer = await store.append((), metadata=metadata(), idempotency=key, outcome=b"yes")
            assert answer.outcome == b"yes"


async def test_an_outcome_that_cannot_be_learnt_is_called_unknown(database: str) -> None:
    limits = Limits(unavailable_seconds=0.1, retry_seconds=0.01)
    async with CuttingProxy(database) as proxy, open_shelf(proxy.conninfo, limits=limits) as store:
        await store.append(Append("warm", [BoxPlaced("x")]), metadata=metadata())
        key = Idempotency("key", b"1")
        proxy.cut_after(2)
        proxy.refuse = True
        with pytest.raises(StoreUnavailable) as unavailable:
            await store.append(Append("box", [BoxMoved("x")]), metadata=metadata(), idempotency=key)
        assert unavailable.value.unknown
        proxy.refuse = False
        assert await store.replayed(key) is not None  # so ask
        proxy.cut_after(1)
        proxy.refuse = True
        with pytest.raises(StoreUnavailable) as unavailable:
            await store.append(Append("box", [BoxMoved("y")]), metadata=metadata())
        assert not unavailable.value.unknown
    assert places(database)["y"] == 0


@pytest.mark.slow
@pytest.mark.parametrize("how", ["stop", "crash", "kill", "session"])
async def test_a_database_that_goes_away_and_comes_back(own_server: TestServer, how: str) -> None:
    """Stopped, crashed, killed, or one of its processes killed in the middle of an append."""
    conninfo = own_server.create_database("shelf")
    acknowledged: list[str] = []
    progress = asyncio.Condition()
    stopped = asyncio.Event()

    async def acknowledge(place: str) -> None:
        async with progress:
            acknowledged.append(place)
            progress.notify_all()

    async def until(count: int) -> None:
        async with progress:
            await progress.wait_for(lambda: len(acknowledged) >= count)

    async def write(store: EventStore, name: str) -> None:
        n = 0
        while not stopped.is_set():
            await store.append(Append(name, [BoxMoved(f"{name}:{n}")]), metadata=metadata())
            await acknowledge(f"{name}:{n}")
            n += 1

    async def read(store: EventStore) -> list[int]:
        seen: list[int] = []
        async for page in store.tail(0):
            seen += [event.position for event in page]
            if page[-1].stream == "last":
                break
        return seen

    def go_away_and_come_back() -> None:
        if how == "session":
            own_server.kill_session(conninfo, "eventstore shelf append")
        else:
            getattr(own_server, how)()
            own_server.start()

    async with open_shelf(conninfo, limits=QUICK) as store, asyncio.timeout(60):
        reading = asyncio.create_task(read(store))
        writing = [asyncio.create_task(write(store, f"box_{n}")) for n in range(8)]
        for turn in range(1, 4):
            await until(turn * 100)
            await asyncio.to_thread(go_away_and_come_back)
        await until(len(acknowledged) + 50)
        stopped.set()
        await asyncio.gather(*writing)
        await store.append(Append("last", [BoxMoved("last")]), metadata=metadata())
        seen = await reading
    found = places(conninfo)
    assert set(found.values()) == {1}
    assert set(acknowledged) | {"last"} == set(found)
    assert seen == list(range(1, len(seen) + 1))
    assert len(seen) == len(found)


@pytest.mark.slow
async def test_a_writer_that_is_killed(store: EventStore) -> None:
    """What it was told is stored once, or is not there; its keys say what it was not told."""
    chance = random.Random(7)
    acknowledged: set[str] = set()
    refused: set[str] = set()
    count = 3000
    for turn in range(3):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.support.shelf_writer"),
            *(store.conninfo, str(turn), str(count)),
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        lines = [await process.stdout.readline() for _ in range(chance.randint(100, 300))]
        process.send_signal(signal.SIGKILL)
        rest, _ = await process.communicate()
        lines += rest.splitlines(keepends=True)
        for position, place in (line.decode().split() for line in lines if line.endswith(b"\n")):
            (refused if position == "refused" else acknowledged).add(place)
    found = places(store.conninfo)
    assert set(found.values()) == {1}
    assert acknowledged <= set(found)
    assert refused.isdisjoint(found)
    for turn in range(3):
        for n in range(count):
            place = f"{turn}:{n}"
            answer = await store.replayed(Idempotency(place, b""))
            assert (answer is not None) == (place in found)
            if answer is None and n > len(found):
                break
    head = await store.head()
    assert head == len(found)
    appended = await store.append(Append("after", [BoxMoved("after")]), metadata=metadata())
    assert appended.position == head + 1


async def test_notifications_that_are_lost(database: str) -> None:
    async with (
        open_shelf(database, limits=QUICK) as writer,
        open_shelf(database, limits=QUICK) as reader,
    ):
        assert writer._committer is not None
        writer._committer._committed = lambda: None
        waiting = asyncio.create_task(reader.wait(0, 10))
        await writer.append(Append("box", [BoxPlaced("x")]), metadata=metadata())
        async with asyncio.timeout(5):
            assert await waiting == 1


@pytest.mark.parametrize("part", ["append", "listen", "read"])
async def test_connections_that_are_ended_are_made_anew(database: str, part: str) -> None:
    async with (
        open_shelf(database, limits=QUICK) as writer,
        open_shelf(database, limits=QUICK) as reader,
    ):
        for turn in range(1, 4):
            await writer.append(Append("box", [BoxPlaced("x")]), metadata=metadata())
            assert len(await writer.read_stream("box")) == turn
            async with asyncio.timeout(5):
                assert await reader.wait(turn - 1, 5) == turn
            assert terminate(database, part) >= 1


async def test_a_reader_that_tails_waits_for_the_database(database: str) -> None:
    """It knows of more events, but cannot read them for longer than a caller would wait."""
    limits = Limits(unavailable_seconds=0.05, retry_seconds=0.01)
    async with (
        asyncio.timeout(10),
        open_shelf(database) as writer,
        CuttingProxy(database) as proxy,
        open_shelf(proxy.conninfo, limits=limits) as reader,
    ):
        await writer.append(Append("box", [BoxPlaced("x")]), metadata=metadata())
        pages = reader.tail(0)
        assert [event.position for event in await anext(pages)] == [1]
        proxy.refuse = True
        terminate(database, "read")
        next_page = asyncio.ensure_future(anext(pages))
        await writer.append(Append("box", [BoxMoved("y")]), metadata=metadata())
        await until(lambda: proxy.refused >= 20)
        proxy.refuse = False
        assert [event.position for event in await next_page] == [2]


async def test_a_store_without_a_database(database: str) -> None:
    with pytest.raises(StoreUnavailable, match="shelf"):
        async with open_shelf("host=/nowhere dbname=x"):
            pass
    limits = Limits(unavailable_seconds=0.05, retry_seconds=0.01)
    async with CuttingProxy(database) as proxy, open_shelf(proxy.conninfo, limits=limits) as store:
        proxy.refuse = True
        for part in ("append", "listen", "read"):
            terminate(database, part)
        with pytest.raises(StoreUnavailable):
            await store.append(Append("box", [BoxPlaced("x")]), metadata=metadata())
        with pytest.raises(StoreUnavailable):
            await store.read()
    with pytest.raises(StoreUnavailable, match="not open"):
        await store.append(Append("box", [BoxPlaced("x")]), metadata=metadata())


async def test_what_waits_when_the_store_closes_is_stored(database: str) -> None:
    async with open_shelf(database) as store:
        tasks = [
            asyncio.create_task(
                store.append(Append(f"box_{n}", [BoxMoved(str(n))]), metadata=metadata())
            )
            for n in range(50)
        ]
        await asyncio.sleep(0)
    await asyncio.gather(*tasks)
    assert len(places(database)) == 50


async def test_a_mistake_of_the_committer_fails_one_batch(
    store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert store._committer is not None
    with monkeypatch.context() as broken:
        broken.setattr(store._committer, "_writer", None)
        async with asyncio.timeout(5):
            with pytest.raises(StoreUnavailable, match="AttributeError") as failed:
                await store.append(Append("box", [BoxMoved("x")]), metadata=metadata())
    assert failed.value.unknown
    await store.append(Append("box", [BoxMoved("y")]), metadata=metadata())
    assert places(store.conninfo) == {"y": 1}

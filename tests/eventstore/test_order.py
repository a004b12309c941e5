"""The order of the log: a reader cannot overtake a writer, however slow, in any process."""

from __future__ import annotations

import asyncio
import sys

import psycopg
import pytest

from eventstore import Append, Effect, EffectRefused, EventStore, Limits
from tests.support.faults import counting
from tests.support.shelf import BoxPlaced, metadata, open_shelf

SLOW_TO_BEGIN = Effect("SELECT pg_sleep(0.01)")
SLOW_TO_COMMIT = """
    CREATE FUNCTION sleep() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN PERFORM pg_sleep(0.01); RETURN NULL; END $$;
    CREATE CONSTRAINT TRIGGER sleep AFTER INSERT ON eventstore.events
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (new.position % 8 = 0)
        EXECUTE FUNCTION sleep();
"""
"""Between the moment when events have their positions and that when others see them."""
ONCE = """
    CREATE TABLE once (n int UNIQUE DEFERRABLE INITIALLY DEFERRED);
    INSERT INTO once VALUES (1);
"""


async def follow(store: EventStore, count: int) -> list[int]:
    """The positions in the order in which a reader that tails the log sees them."""
    seen: list[int] = []
    async for page in store.tail(0):
        seen += [event.position for event in page]
        if len(seen) >= count:
            break
    return seen


@pytest.mark.slow
async def test_a_tailing_reader_misses_nothing_and_sees_nothing_twice(store: EventStore) -> None:
    """Two stores write, slowly, fast and in vain; a third reads. Slow is who waits before positions
    are given, or after; in vain is what fails in the end, when it has its positions.
    """
    with psycopg.connect(store.conninfo) as connection:
        connection.execute(SLOW_TO_COMMIT)
        connection.execute(ONCE)
    in_vain = [SLOW_TO_BEGIN, Effect("INSERT INTO once VALUES (1)")]
    refused = 0
    acknowledged: dict[int, str] = {}

    async def write(writer: EventStore, name: str) -> None:
        nonlocal refused
        for n in range(16):
            effects = [[SLOW_TO_BEGIN], in_vain, [], []][n % 4]
            place = f"{name}_{n}"
            append = Append(place, [BoxPlaced("x")] * (n % 3 + 1))
            try:
                appended = await writer.append(append, metadata=metadata(), effects=effects)
            except EffectRefused:
                refused += 1
            else:
                acknowledged[appended.position] = place

    written = 4 * sum(n % 3 + 1 for n in range(16) if n % 4 != 1)
    async with (
        asyncio.timeout(30),
        open_shelf(store.conninfo) as other,
        open_shelf(store.conninfo, limits=Limits(page_events=3)) as reader,
    ):
        with counting(store.conninfo) as wrong:
            seen, *_ = await asyncio.gather(
                follow(reader, written),
                write(store, "a"),
                write(store, "b"),
                write(other, "c"),
                write(other, "d"),
            )
    assert refused == 16
    assert seen == list(range(1, written + 1))
    assert wrong == []
    log = {event.position: event.stream for event in await store.read(0)}
    assert acknowledged.items() <= log.items()
    assert set(acknowledged.values()) == set(log.values())


@pytest.mark.slow
async def test_positions_have_no_gaps_over_processes(store: EventStore) -> None:
    count, names = 100, ("p", "q", "r")
    with psycopg.connect(store.conninfo) as connection:
        connection.execute(SLOW_TO_COMMIT)
    with counting(store.conninfo) as wrong:
        processes = [
            await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tests.support.shelf_writer"),
                *(store.conninfo, name, str(count)),
                stdout=asyncio.subprocess.PIPE,
            )
            for name in names
        ]
        following = asyncio.create_task(follow(store, count * len(names)))
        async with asyncio.timeout(60):
            outputs = await asyncio.gather(*(process.communicate() for process in processes))
            seen = await following
    lines = [line.split() for out, _ in outputs for line in out.decode().splitlines()]
    acknowledged = {int(at): place for at, place in lines if at != "refused"}
    refused = {place for at, place in lines if at == "refused"}
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert wrong == []
    assert seen == list(range(1, len(seen) + 1))
    log = await store.read(0, limit=10_000)
    assert [event.position for event in log] == list(range(1, len(log) + 1))
    stored = {event.position: event.event.place for event in log}
    assert stored == acknowledged
    assert refused.isdisjoint(stored.values())
    assert sum(event.stream != "shared" for event in log) == count * len(names)
    for stream in ("shared", *(f"own_{name}" for name in names)):
        versions = [event.version for event in log if event.stream == stream]
        assert versions == list(range(1, len(versions) + 1))


async def test_counting_notices_a_log_that_is_written_out_of_order(database: str) -> None:
    """The count itself: positions from a sequence, as many stores have them, do not pass it."""
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CREATE TABLE naive (position bigserial)")
        with counting(database, "naive") as wrong, psycopg.connect(database) as slow:
            slow.execute("INSERT INTO naive DEFAULT VALUES")
            connection.execute("INSERT INTO naive DEFAULT VALUES")
            async with asyncio.timeout(10):
                while not wrong:
                    await asyncio.to_thread(connection.execute, "SELECT 1")
    assert wrong[0] == (1, 2)

"""Snapshots: long streams are folded from the last one, and nothing but the events is believed."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import psycopg
import pytest

from eventstore import Append, EventStore, Idempotency, Limits, Streams
from eventstore.snapshots import codec_of
from tests.support.shelf import Box, BoxEvent, BoxMoved, metadata, open_shelf

EVERY = 10
LIMITS = Limits(snapshot_events=EVERY)
SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Shelved(Box):
    """A box whose state is kept."""

    SNAPSHOT_VERSION: ClassVar[int] = 1


@dataclass(frozen=True, slots=True)
class Counted:
    """How many events were folded since the class was made, beside the state itself."""

    SNAPSHOT_VERSION: ClassVar[int] = 1
    folded: ClassVar[int] = 0

    events: int = 0

    @classmethod
    def initial(cls, stream: str) -> Self:
        return cls()

    def evolve(self, event: BoxEvent) -> Self:
        type(self).folded += 1
        return type(self)(self.events + 1)


@pytest.fixture
async def store(database: str) -> Any:
    Counted.folded = 0
    async with open_shelf(database, limits=LIMITS) as opened:
        yield opened


async def move(store: EventStore, count: int, stream: str = "box") -> None:
    events = [BoxMoved(str(n)) for n in range(count)]
    await store.append(Append(stream, events), metadata=metadata())


def settled(store: EventStore) -> None:
    assert store._background.wait_until_idle(SECONDS)


def kept(store: EventStore) -> list[tuple[Any, ...]]:
    with psycopg.connect(store.conninfo) as connection:
        return connection.execute(
            "SELECT stream, class, shape, version, position "
            "FROM eventstore.state_snapshots ORDER BY 1, 2"
        ).fetchall()


def change(store: EventStore, assignment: str) -> None:
    with psycopg.connect(store.conninfo) as connection:
        connection.execute(f"UPDATE eventstore.state_snapshots SET {assignment}".encode())


async def taken(store: EventStore, count: int) -> None:
    """A stream of so many events, with its snapshot."""
    await move(store, count)
    await Streams(store).load(Counted, "box")
    settled(store)
    assert [row[3] for row in kept(store)] == [count]
    Counted.folded = 0


async def test_only_what_follows_the_snapshot_is_folded(store: EventStore) -> None:
    await taken(store, 25)
    await move(store, 3)
    assert await Streams(store).load(Counted, "box") == (Counted(28), 28)
    assert Counted.folded == 3
    assert store.snapshots.counts.used >= 1


async def test_a_snapshot_and_the_events_after_it_are_one_round_trip(store: EventStore) -> None:
    await taken(store, 25)
    await move(store, 3)
    codec = codec_of(Counted)
    assert codec is not None

    def count(connection: psycopg.Connection[Any]) -> int:
        asked: list[str] = []

        class Noting(psycopg.Cursor[Any]):
            def execute(self, query: Any, *args: Any, **kwargs: Any) -> Any:
                asked.append(query)
                return super().execute(query, *args, **kwargs)

        connection.cursor_factory = Noting
        try:
            assert store.snapshots.load(connection, Counted, "box").version == 28
        finally:
            connection.cursor_factory = psycopg.Cursor
        return len(asked)

    assert await store.reading(count) == 1


async def test_one_is_kept_for_each_stream_and_class(store: EventStore) -> None:
    streams = Streams(store)
    for _ in range(5):
        await move(store, EVERY)
        await streams.load(Counted, "box")
        await streams.load(Shelved, "box")
        settled(store)
    name = __name__
    assert kept(store) == [
        ("box", f"{name}:Counted", 1, 50, 50),
        ("box", f"{name}:Shelved", 1, 50, 50),
    ]
    assert store.snapshots.counts.written == 10


async def test_deciding_takes_snapshots_too(store: EventStore) -> None:
    streams = Streams(store)
    for n in range(EVERY):
        await streams.execute(
            Shelved,
            "box",
            lambda box: [BoxMoved(str(len(box.places)))],
            metadata=metadata(),
            idempotency=Idempotency(f"key-{n}", b""),
        )
    settled(store)
    assert [row[3] for row in kept(store)] == [EVERY]
    done = await Streams(store).execute(
        Shelved,
        "box",
        lambda box: [BoxMoved(str(len(box.places)))],
        metadata=metadata(),
        idempotency=Idempotency("key-last", b""),
    )
    assert done.state.places == tuple(str(n) for n in range(EVERY + 1))


async def test_classes_that_do_not_take_part_have_none(store: EventStore) -> None:
    await move(store, 25)
    await Streams(store).load(Box, "box")
    settled(store)
    assert kept(store) == []


async def test_a_short_stream_has_none(store: EventStore) -> None:
    await move(store, EVERY - 1)
    await Streams(store).load(Counted, "box")
    settled(store)
    assert kept(store) == []


async def test_a_stream_that_does_not_exist(store: EventStore) -> None:
    assert await Streams(store).load(Counted, "box") == (Counted(), 0)


@pytest.mark.slow
async def test_a_stream_of_several_pages(store: EventStore) -> None:
    await move(store, 10_005)
    assert await Streams(store).load(Counted, "box") == (Counted(10_005), 10_005)
    settled(store)
    assert [row[3] for row in kept(store)] == [10_005]


@pytest.mark.parametrize(
    "lie",
    [
        r"state = '\x00'",
        r"state = '\x81a66576656e7473cd03e7'",
        r"checksum = '\x00'",
        "version = version - 1",
        "version = version - 1, position = position - 1",
        "version = 999",
        "position = 1",
        "position = position + 1",
        "stream = 'other'",
    ],
)
async def test_a_wrong_snapshot_is_never_believed(store: EventStore, lie: str) -> None:
    await move(store, 25, "other")
    await taken(store, 25)
    change(store, lie)
    for stream in ("box", "other"):
        assert await Streams(store).load(Counted, stream) == (Counted(25), 25)
    settled(store)
    Counted.folded = 0
    await move(store, 25)
    await Streams(store).load(Counted, "box")
    settled(store)
    Counted.folded = 0
    assert await Streams(store).load(Counted, "box") == (Counted(50), 50)
    assert Counted.folded == 0  # a good one took its place
    assert store.snapshots.counts.wrong == 1


async def test_a_snapshot_of_another_shape_is_not_used(
    store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await taken(store, 25)
    monkeypatch.setattr(Counted, "SNAPSHOT_VERSION", 2)
    assert await Streams(store).load(Counted, "box") == (Counted(25), 25)
    settled(store)
    assert Counted.folded == 25 + 25  # for who asked, and for the snapshot
    assert [row[2:4] for row in kept(store)] == [(2, 25)]
    monkeypatch.setattr(Counted, "SNAPSHOT_VERSION", 1)  # the older release, still running
    await move(store, 25)
    assert await Streams(store).load(Counted, "box") == (Counted(50), 50)
    settled(store)
    assert [row[2:4] for row in kept(store)] == [(2, 25)]
    assert store.snapshots.counts.wrong == 0


async def test_all_can_be_deleted(store: EventStore) -> None:
    await taken(store, 25)
    with psycopg.connect(store.conninfo) as connection:
        connection.execute("TRUNCATE eventstore.state_snapshots")
    assert await Streams(store).load(Counted, "box") == (Counted(25), 25)
    settled(store)
    assert Counted.folded == 25 + 25  # for who asked, and for the snapshot


async def test_an_erasure_deletes_them_all(store: EventStore) -> None:
    await taken(store, 25)
    await store.persons.erase("usr_1", reason="asked to", metadata=metadata())
    assert kept(store) == []


async def test_a_snapshot_that_is_being_taken_is_deleted_by_an_erasure(
    store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was folded before the erasure and would be written after it: the erasure waits."""
    await move(store, 25)
    folded, go_on = threading.Event(), threading.Event()
    write = store.snapshots._write

    def held_up(*args: Any) -> None:
        folded.set()
        assert go_on.wait(SECONDS)
        write(*args)

    monkeypatch.setattr(store.snapshots, "_write", held_up)
    await Streams(store).load(Counted, "box")
    assert await asyncio.to_thread(folded.wait, SECONDS)
    erasing = asyncio.create_task(
        store.persons.erase("usr_1", reason="asked to", metadata=metadata())
    )
    with psycopg.connect(store.conninfo, autocommit=True) as connection:
        async with asyncio.timeout(SECONDS):
            while not connection.execute(
                "SELECT 1 FROM pg_locks WHERE NOT granted AND relation = "
                "'eventstore.state_snapshots'::regclass"
            ).fetchone():
                assert not erasing.done(), "it did not wait"
                await asyncio.sleep(0)
    go_on.set()
    await erasing
    settled(store)
    assert store.snapshots.counts.written == 1
    assert kept(store) == []


async def test_nobody_waits_for_a_snapshot(
    store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the thread falls behind, snapshots are left out; loads and appends go on."""
    go_on = threading.Event()
    write = store.snapshots._write
    monkeypatch.setattr(
        store.snapshots, "_write", lambda *args: go_on.wait(SECONDS) and write(*args)
    )
    streams = Streams(store)
    for n in range(80):
        await move(store, EVERY, f"box_{n}")
        assert (await streams.load(Counted, f"box_{n}"))[1] == EVERY
    assert kept(store) == []
    assert store.snapshots.counts.late > 0
    go_on.set()
    settled(store)
    assert store.snapshots.counts.written + store.snapshots.counts.late == 80


async def test_a_state_that_does_not_come_back_is_not_kept(store: EventStore) -> None:
    @dataclass(frozen=True, slots=True)
    class Untyped(Counted):
        places: Any = ()  # comes back as a list

    await move(store, 25)
    assert (await Streams(store).load(Untyped, "box"))[1] == 25
    settled(store)
    assert kept(store) == []
    assert store.snapshots.counts.failed == 1


@pytest.mark.parametrize("shape", [0, -1, "1", True])
def test_what_a_shape_must_be(shape: object) -> None:
    wrong = type("Wrong", (Counted,), {"SNAPSHOT_VERSION": shape})
    with pytest.raises(TypeError, match="expected 1 or more"):
        codec_of(wrong)


async def test_a_store_may_close_while_snapshots_wait(database: str) -> None:
    async with asyncio.timeout(SECONDS), open_shelf(database, limits=LIMITS) as store:
        for n in range(30):
            await move(store, EVERY, f"box_{n}")
            await Streams(store).load(Counted, f"box_{n}")

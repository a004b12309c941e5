"""Load, decide, append; decide again after a conflict; answer a known key without deciding."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Self

import psycopg
import pytest

from eventstore import (
    Append,
    Effect,
    EffectFailed,
    EffectRefused,
    EventStore,
    Idempotency,
    IdempotencyKeyReused,
    Streams,
    WrongExpectedVersion,
)
from tests.support.shelf import Box, BoxEvent, BoxMoved, BoxPlaced, metadata, open_shelf


def place(box: Box) -> Sequence[BoxEvent]:
    return [BoxPlaced("silk")] if not box.label else []


def move(box: Box) -> Sequence[BoxEvent]:
    return [BoxMoved(str(len(box.places)))]


async def test_a_new_stream_is_empty_at_version_0(store: EventStore) -> None:
    assert await Streams(store).load(Box, "box_1") == (Box("box_1"), 0)


async def test_execute_gives_the_state_after_it(store: EventStore) -> None:
    streams = Streams(store)
    done = await streams.execute(Box, "box_1", place, metadata=metadata())
    assert (done.state.label, done.appended.position) == ("silk", 1)
    moved = await streams.execute(Box, "box_1", move, metadata=metadata(), expected_version=1)
    assert moved.state == (await streams.load(Box, "box_1"))[0]
    before = await streams.loaded(Box, "box_1", up_to_version=1)
    assert (before.state.places, before.version, before.position) == ((), 1, 1)


async def test_nothing_to_do_appends_nothing(store: EventStore) -> None:
    streams = Streams(store)
    await streams.execute(Box, "box_1", place, metadata=metadata())
    await streams.execute(Box, "box_2", place, metadata=metadata())
    again = await streams.execute(Box, "box_1", place, metadata=metadata())
    assert (again.appended.position, again.appended.versions) == (1, {"box_1": 1})
    assert await store.head() == 2


async def test_a_version_the_caller_named_must_be_there(store: EventStore) -> None:
    streams = Streams(store)
    with pytest.raises(WrongExpectedVersion):
        await streams.execute(Box, "box_1", move, metadata=metadata(), expected_version=3)


async def test_a_known_key_is_answered_without_deciding(store: EventStore) -> None:
    streams, key = Streams(store), Idempotency("move-1", b"move")
    decided = 0

    def count(box: Box) -> Sequence[BoxEvent]:
        nonlocal decided
        decided += 1
        return move(box)

    for _ in range(3):
        done = await streams.execute(
            Box,
            "box_1",
            count,
            metadata=metadata(),
            idempotency=key,
            outcome=lambda box, events: f"{len(box.places)}/{len(events)}".encode(),
        )
        assert done.appended.outcome == b"1/1"
    assert decided == 1
    assert done.appended.replayed
    assert len(done.state.places) == 1


async def test_a_key_is_kept_even_when_there_is_nothing_to_do(store: EventStore) -> None:
    streams, key = Streams(store), Idempotency("place-1", b"place")
    await streams.execute(Box, "box_1", place, metadata=metadata())
    for replayed in (False, True):
        done = await streams.execute(Box, "box_1", place, metadata=metadata(), idempotency=key)
        assert done.appended.replayed is replayed


async def test_effects_are_made_of_what_was_decided(store: EventStore) -> None:
    with psycopg.connect(store.conninfo) as connection:
        connection.execute("CREATE TABLE labels (label text UNIQUE)")
    streams = Streams(store)

    def label(box: Box, events: Sequence[object]) -> list[Effect]:
        return [Effect("INSERT INTO labels VALUES (%s)", (box.label,)) for _ in events]

    await streams.execute(Box, "box_1", place, metadata=metadata(), effects=label)
    with pytest.raises(EffectRefused, match="labels_label_key"):
        await streams.execute(Box, "box_2", place, metadata=metadata(), effects=label)
    assert (await streams.load(Box, "box_2"))[1] == 0


async def test_many_at_once_on_one_stream(store: EventStore) -> None:
    streams = Streams(store)
    await asyncio.gather(
        *(streams.execute(Box, "box_1", move, metadata=metadata()) for _ in range(50))
    )
    state, version = await streams.load(Box, "box_1")
    assert (state.places, version) == (tuple(str(n) for n in range(50)), 50)
    assert streams._turns == {}


async def test_conflicts_with_other_processes_are_decided_again(store: EventStore) -> None:
    async with open_shelf(store.conninfo) as other:
        here, there = Streams(store), Streams(other)
        tasks = [
            streams.execute(Box, "box_1", move, metadata=metadata())
            for _ in range(15)
            for streams in (here, there)
        ]
        await asyncio.gather(*tasks)
    state, _ = await here.load(Box, "box_1")
    assert state.places == tuple(str(n) for n in range(30))


async def test_what_decide_raises_reaches_the_caller(store: EventStore) -> None:
    def refuse(box: Box) -> Sequence[BoxEvent]:
        raise LookupError(box.stream)

    streams = Streams(store)
    with pytest.raises(LookupError):
        await streams.execute(Box, "box_1", refuse, metadata=metadata())
    assert streams._turns == {}
    await store.append(Append("box_1", [BoxPlaced("x")], 0), metadata=metadata())


class Counted(Box):
    """Counts how many events were folded."""

    folded = 0

    def evolve(self, event: BoxEvent) -> Self:
        Counted.folded += 1
        return super().evolve(event)


async def test_what_was_folded_is_not_folded_again(store: EventStore) -> None:
    streams = Streams(store)
    for _ in range(5):
        await streams.execute(Counted, "box_1", move, metadata=metadata())
    assert Counted.folded == 5
    await store.append(Append("box_1", [BoxMoved("elsewhere")], 5), metadata=metadata())
    state, version = await streams.load(Counted, "box_1")
    assert (state.places[-1], version, Counted.folded) == ("elsewhere", 6, 6)
    assert await Streams(store).load(Counted, "box_1") == (state, version)


async def test_few_states_are_kept(store: EventStore) -> None:
    streams = Streams(store, cached_streams_max=3)
    for turn in range(3):
        for n in range(6):
            done = await streams.execute(Box, f"box_{n}", move, metadata=metadata())
            assert len(done.state.places) == turn + 1
    assert len(streams._cache) == 3
    nothing_kept = Streams(store, cached_streams_max=0)
    assert (await nothing_kept.load(Box, "box_1"))[1] == 3
    assert len(nothing_kept._cache) == 0


async def test_an_append_that_fails_leaves_no_state_behind(store: EventStore) -> None:
    streams = Streams(store)
    await streams.execute(Box, "box_1", move, metadata=metadata())
    with pytest.raises(EffectFailed):
        await streams.execute(
            Box,
            "box_1",
            move,
            metadata=metadata(),
            effects=lambda box, events: [Effect("no such statement")],
        )
    assert (await streams.load(Box, "box_1"))[1] == 1


async def test_a_refusal_because_the_same_request_was_faster_elsewhere(store: EventStore) -> None:
    """The other process carries it out after the key was asked for: no refusal, its answer."""
    key = Idempotency("place-1", b"place")

    async with open_shelf(store.conninfo) as other:

        def refused(box: Box) -> Sequence[BoxEvent]:
            other.append_sync(
                Append("box_1", place(box), box_version),
                metadata=metadata(),
                idempotency=key,
                outcome=b"done",
            )
            raise LookupError("it is placed already")

        box_version = 0
        done = await Streams(store).execute(
            Box, "box_1", refused, metadata=metadata(), idempotency=key
        )
        assert (done.appended.replayed, done.appended.outcome) == (True, b"done")
        assert done.state.label == "silk"
        with pytest.raises(IdempotencyKeyReused):
            await Streams(store).execute(
                Box,
                "box_1",
                refused,
                metadata=metadata(),
                idempotency=Idempotency("place-1", b"other"),
            )

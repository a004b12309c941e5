"""Appends on a condition of tags and types: a boundary of consistency over any streams."""

from __future__ import annotations

import asyncio

import psycopg
import pytest

from eventstore import Append, ConditionFailed, EventStore, InvalidAppend, Unless
from tests.support.shelf import BoxMoved, BoxPlaced, metadata, open_shelf


async def book(store: EventStore, stream: str, seat: str, unless: Unless) -> None:
    append = Append(stream, [BoxPlaced(seat)], tags=(seat, "show:1"))
    await store.append(append, metadata=metadata(), unless=[unless])


async def test_what_was_not_seen_holds_up_the_append(store: EventStore) -> None:
    await book(store, "box_1", "seat:1", Unless(("seat:1",), 0))
    with pytest.raises(ConditionFailed) as failed:
        await book(store, "box_2", "seat:1", Unless(("seat:1",), 0))
    assert (failed.value.found, failed.value.after) == (1, 0)
    await book(store, "box_2", "seat:1", Unless(("seat:1",), 1))
    await book(store, "box_3", "seat:2", Unless(("seat:2",), 0))
    await book(store, "box_4", "seat:3", Unless(("seat:1", "seat:2"), 0))
    with pytest.raises(ConditionFailed):
        await book(store, "box_5", "seat:4", Unless(("show:1", "seat:3"), 0))


async def test_only_some_types_hold_it_up(store: EventStore) -> None:
    await book(store, "box_1", "seat:1", Unless(("seat:1",), 0))
    await book(store, "box_2", "seat:1", Unless(("seat:1",), 0, ("box.moved",)))
    moved = Append("box_1", [BoxMoved("x")], tags=("seat:1",))
    await store.append(moved, metadata=metadata())
    with pytest.raises(ConditionFailed):
        await book(store, "box_3", "seat:1", Unless(("seat:1",), 0, ("box.moved", "box.weighed")))


async def test_many_at_once_from_two_stores_cannot_race(store: EventStore) -> None:
    """Every seat is taken once, within a batch and between stores."""
    async with open_shelf(store.conninfo) as other:
        answers = await asyncio.gather(
            *(
                book(which, f"box_{n}_{name}", f"seat:{n % 10}", Unless((f"seat:{n % 10}",), 0))
                for n in range(60)
                for name, which in (("a", store), ("b", other))
            ),
            return_exceptions=True,
        )
    assert sum(answer is None for answer in answers) == 10
    assert sum(isinstance(answer, ConditionFailed) for answer in answers) == 110
    assert await store.head() == 10


@pytest.mark.parametrize("near_events", [0, 1, 3])
async def test_what_is_far_behind_is_found_as_what_is_near(
    database: str, monkeypatch: pytest.MonkeyPatch, near_events: int
) -> None:
    """Events soon after the position are found by it, the others by their tags."""
    monkeypatch.setattr("eventstore.layout.NEAR_EVENTS", near_events)
    async with open_shelf(database) as store:
        for n in range(6):
            append = Append(f"box_{n}", [BoxPlaced("x")], tags=(f"seat:{n}",))
            await store.append(append, metadata=metadata())
        for n in range(6):
            for after in range(6):
                unless = Unless((f"seat:{n}",), after)
                if after <= n:
                    with pytest.raises(ConditionFailed) as failed:
                        await book(store, "new", "other", unless)
                    assert failed.value.found == n + 1
                else:
                    await book(store, "new", "other", unless)


async def test_a_condition_does_not_look_through_the_whole_log(store: EventStore) -> None:
    """The planner, asked for the largest position, would start from the last event of the log."""
    await store.append(Append("box_1", [BoxPlaced("x")]), metadata=metadata())
    with psycopg.connect(store.conninfo) as connection:
        connection.execute("SET plan_cache_mode = force_generic_plan")
        connection.execute(f"PREPARE m AS {store.layout.sql.appending[b'matching']}".encode())
        connection.execute("SET enable_seqscan = off")
        plan = connection.execute("EXPLAIN EXECUTE m (0, '{a}', '{}')").fetchall()
    text = "\n".join(line for (line,) in plan)
    assert "Backward" not in text
    assert 'Index Cond: (("position" > $1) AND ("position" <= ($1 + 5000)))' in text
    assert "One-Time Filter" in text
    assert "_tags_idx" in text


async def test_a_position_that_the_log_has_not_reached_is_no_condition(store: EventStore) -> None:
    """It is of another log, or of this one before it was restored to an earlier time."""
    with pytest.raises(InvalidAppend, match="is 7, expected at most 0, where the log ends"):
        await book(store, "box_1", "seat:1", Unless(("seat:1",), 7))


@pytest.mark.parametrize(
    "unless", [Unless((), 0), Unless(("",), 0), Unless(("a",), -1), Unless(("a",), 2**62)]
)
async def test_absurd_conditions_are_refused(store: EventStore, unless: Unless) -> None:
    with pytest.raises(InvalidAppend):
        await book(store, "box_1", "seat:1", unless)

"""Timers: set with an append, fired once due, never lost, never for a turn that is over."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import pytest

from eventstore.append import Append
from eventstore.store import EventStore
from projections import Timer, TimerRunner, Timers
from projections.faults import arm, disarm
from tests.projections.ledger import METADATA, NOW, Noted, append, rows
from tests.projections.waiting import until

timers = Timers()


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


class Process:
    """Writes down what fired; with the idempotency key of the firing."""

    def __init__(self, store: EventStore) -> None:
        self.store, self.fired, self.failures = store, list[Timer](), 0

    async def __call__(self, timer: Timer) -> None:
        self.fired.append(timer)
        if self.failures:
            self.failures -= 1
            raise RuntimeError("not now")
        await self.store.append(
            Append(timer.stream, [Noted(timer.step)]),
            metadata=METADATA,
            idempotency=timer.idempotency,
        )


async def set_timer(
    store: EventStore, step: str, seconds: float, token: str = "1", stream: str = "plc_1"
) -> None:
    due = NOW + timedelta(seconds=seconds)
    await store.append(
        Append(stream, [Noted("set")]),
        metadata=METADATA,
        effects=[timers.set_effect(stream, step, due, token, b"data")],
    )


@pytest.fixture
def clock() -> Clock:
    return Clock()


def runner_of(store: EventStore, process: Process, clock: Clock) -> TimerRunner:
    return TimerRunner(store, process, clock=clock, poll_seconds=0.01)


async def test_a_timer_fires_once_when_it_is_due(store: EventStore, clock: Clock) -> None:
    process = Process(store)
    async with runner_of(store, process, clock) as runner:
        await set_timer(store, "late", 20)
        await set_timer(store, "early", 10)
        clock.now += timedelta(seconds=10)
        await until(lambda: runner.fired == 1)
        clock.now += timedelta(seconds=10)
        await until(lambda: runner.fired == 2)
    assert [(timer.step, timer.data) for timer in process.fired] == [
        ("early", b"data"),
        ("late", b"data"),
    ]
    assert rows(store.conninfo, "SELECT * FROM projections.timers") == []


async def test_a_timer_set_anew_or_cancelled_does_not_fire_for_the_old_turn(
    store: EventStore, clock: Clock
) -> None:
    process = Process(store)
    async with runner_of(store, process, clock) as runner:
        await set_timer(store, "pay", 10, "1")
        await set_timer(store, "pay", 30, "2")
        await set_timer(store, "ship", 10)
        await set_timer(store, "other", 10, stream="plc_2")
        await store.append(
            Append("plc_1", [Noted("")]),
            metadata=METADATA,
            effects=[timers.cancel_effect("plc_1", "ship"), timers.cancel_effect("plc_2")],
        )
        clock.now += timedelta(seconds=30)
        await until(lambda: runner.fired == 1)
    assert [(timer.step, timer.token) for timer in process.fired] == [("pay", "2")]


async def test_a_firing_that_failed_comes_again(store: EventStore, clock: Clock) -> None:
    process = Process(store)
    process.failures = 2
    async with runner_of(store, process, clock) as runner:
        await set_timer(store, "pay", 0)
        for failures in (1, 2):
            await until(lambda: rows(store.conninfo, "SELECT attempts FROM projections.timers")
                        == [{"attempts": failures}])  # fmt: skip  # noqa: B023
            clock.now += timedelta(minutes=2)
        await until(lambda: runner.fired == 1)
    assert [timer.attempts for timer in process.fired] == [0, 1, 2]


async def test_a_crash_after_firing_repeats_it_without_effect(
    store: EventStore, clock: Clock
) -> None:
    process = Process(store)

    died = asyncio.Event()

    def die() -> None:
        disarm()
        died.set()
        raise asyncio.CancelledError

    runner = runner_of(store, process, clock)
    await runner.start()
    arm("timers.after_fire", die)
    await set_timer(store, "pay", 0)
    await died.wait()
    await runner.stop()
    assert len(rows(store.conninfo, "SELECT * FROM projections.timers")) == 1
    async with runner_of(store, process, clock) as again:
        await until(lambda: again.fired == 1)
    assert len(process.fired) == 2
    assert [r.event.text for r in await store.read(0)] == ["set", "pay"]


async def test_one_process_fires(store: EventStore, clock: Clock) -> None:
    first, second = Process(store), Process(store)
    async with runner_of(store, first, clock) as one, runner_of(store, second, clock):
        await set_timer(store, "pay", 0)
        await until(lambda: one.fired == 1 or len(second.fired) == 1)
        await append(store, "plc_1", Noted(""))
    assert len(first.fired) + len(second.fired) == 1

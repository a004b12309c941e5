"""All of the engine at work over one log: followed, rebuilt, switched, redriven, reacted to.

    python -m tests.projections.life CONNINFO POINT PASSES

lives until the fault point is passed so often, and then dies as by kill -9. `live` can be run again
from whatever that left, with what failed before now `mended`.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
from typing import Any, ClassVar

import msgspec

from eventstore.append import Append
from eventstore.event import Actor, Event, event_type
from eventstore.store import EventStore
from projections import (
    OPERATOR_EVENTS,
    Message,
    Operations,
    ProjectionRunner,
    Reactor,
    ReactorRunner,
    Timer,
    TimerRunner,
    Timers,
)
from projections.catalogue import State
from projections.faults import arm
from tests.projections.ledger import (
    METADATA,
    NOW,
    TYPES,
    Balances,
    Deposited,
    Noted,
    Totals,
    append,
    deposits,
    new_store,
    rows,
    run,
)

ANN = Actor(kind="staff", id="ann")
WAIT_SECONDS_MAX = 20.0
UNLUCKY = -1000
"""A deposit that the table refuses, and that nobody writes a letter of, until that is mended."""

MEND = "ALTER TABLE balances_b1.balances DROP CONSTRAINT IF EXISTS balances_balance_minor_check"


@event_type("letter.sent")
class Sent(Event, frozen=True):
    amount: int


class Payment(msgspec.Struct):
    amount_minor: int


class Letters(Reactor):
    """Sends a letter for every deposit."""

    name = "bank.letters"
    reads: ClassVar[dict[str, type[msgspec.Struct]]] = {"account.deposited": Payment}
    attempts_max, backoff_seconds = 2, 0.001

    def __init__(self, store: EventStore, mended: bool) -> None:
        self.store, self.mended = store, mended

    async def react(self, message: Message) -> None:
        if message.data.amount_minor == UNLUCKY and not self.mended:
            raise ValueError("no paper")
        await self.store.append(
            Append(f"let_{message.stream}", [Sent(message.data.amount_minor)]),
            metadata=message.caused(Actor("service", "bank")),
            idempotency=message.idempotency,
        )


def store_of(conninfo: str) -> EventStore:
    return new_store(conninfo, (*TYPES, *OPERATOR_EVENTS, Sent))


async def begin(conninfo: str) -> None:
    """The log: deposits, of which one is unlucky, and a timer that is due."""
    async with store_of(conninfo) as store:
        await deposits(store, accounts=3, times=4)
        await append(store, "acc_0", Deposited(UNLUCKY))
        await append(store, "acc_0", Deposited(5))
        async with TimerRunner(store, fire, clock=lambda: NOW):
            pass  # its table is there now
        await store.append(
            Append("plc_1", [Noted("set")]),
            metadata=METADATA,
            effects=[Timers().set_effect("plc_1", "fired", NOW, "1", b"")],
        )


async def fire(timer: Timer) -> None:
    """Nothing, for a runner that is not to fire."""


async def live(conninfo: str, *, mended: bool) -> None:
    """Bring everything to where nothing is left to do."""
    async with store_of(conninfo) as store:

        async def note(timer: Timer) -> None:
            await store.append(
                Append(timer.stream, [Noted(timer.step)]),
                metadata=METADATA,
                idempotency=timer.idempotency,
            )

        head = await store.head()
        letters = Letters(store, mended)
        operations = Operations(store, [Balances(), Totals()], reactors=[Letters.name])
        async with (
            ProjectionRunner(store, [Balances(), Totals()]) as runner,
            ReactorRunner(store, {}, [letters]) as reactors,
            TimerRunner(store, note, clock=lambda: NOW, poll_seconds=0.01),
        ):
            assert await runner.wait_for(head, WAIT_SECONDS_MAX)
            assert await reactors.wait_for("bank", head, WAIT_SECONDS_MAX)
            states = {build.state: build for build in await operations.builds("totals")}
            if states[State.LIVE].number == 1:
                if State.READY not in states:
                    await operations.rebuild("totals", by=ANN)
                await operations.switch("totals", by=ANN, grace_seconds=0.0)
            if mended:
                run(conninfo, MEND)
            await operations.redrive(by=ANN)
            await operations.redrive_reactor(by=ANN)
            await _until_nothing_is_left(conninfo, operations, mended)


async def _until_nothing_is_left(conninfo: str, operations: Operations, mended: bool) -> None:
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        while True:
            left: list[Any] = rows(conninfo, "SELECT stream FROM projections.timers")
            left += [build for build in await operations.builds("totals") if build.number == 1]
            parked = [*await operations.parked(), *await operations.parked_messages()]
            left += parked if mended else [each for each in parked if each.attempts < 2]
            if not left:
                return
            await asyncio.sleep(0.02)  # between two looks at a condition


async def main(conninfo: str, point: str, passes: int) -> None:
    count = itertools.count(1)
    arm(point, lambda: os._exit(9) if next(count) >= passes else None)
    await live(conninfo, mended=False)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))

"""The placement process over a real store: messages at once, restarts, and the timers it sets."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from eventstore import Actor, EventStore, Metadata, Streams
from subgraphs.orders import answers
from subgraphs.orders.order import placement_id_of
from subgraphs.orders.placement import Placement
from subgraphs.orders.placement_requests import Policy
from subgraphs.orders.placement_rules import decide, start
from subgraphs.orders.process import PlacementProcess, timer_effects
from tests.subgraphs.orders.given import (
    ACTION,
    AUTHORIZED,
    COMMITTED,
    HELD,
    NOW,
    ORDER,
    POLICY,
    TERMS,
)
from tests.subgraphs.orders.shop import CANCEL, CUSTOMER, orders
from tests.support.running import Clock


def metadata(name: str) -> Metadata:
    return Metadata(
        actor=Actor("process_manager", "test"),
        command_id=name,
        correlation_id="cor_1",
        occurred_at=NOW,
    )


class Together(Streams):
    """Streams whose loads end together with those of others, so that all decide on the same."""

    def __init__(self, store: EventStore, barrier: asyncio.Barrier) -> None:
        super().__init__(store)
        self.barrier: asyncio.Barrier | None = barrier

    async def load(self, folded: type[Any], stream: str) -> tuple[Any, int]:
        loaded = await super().load(folded, stream)
        barrier, self.barrier = self.barrier, None
        if barrier is not None:
            await barrier.wait()
        return loaded


def together(store: EventStore, parties: int) -> list[Together]:
    barrier = asyncio.Barrier(parties)
    return [Together(store, barrier) for _ in range(parties)]


@pytest.mark.slow
async def test_messages_at_once_are_decided_one_after_the_other(database: str) -> None:
    """Two processes of one service, as two replicas would be: neither loses what the other did."""
    async with orders(database) as shop:
        await shop.sell("SILK", 1250)
        order = await shop.placed(SILK=1)
        await shop.hold(order)
        await shop.authorize(order)
        await shop.send(CANCEL, CUSTOMER, order=order, reason="no", key="c")
        service = shop.it.service
        processes = [
            PlacementProcess(service.store, streams, policy=Policy(), clock=shop.it.clock)
            for streams in together(service.store, 2)
        ]
        about = {"order_id": order}
        said = [
            answers.ReservationReleased(reservation_id=f"rsv_{order}", **about),
            answers.Voided(payment_id=f"pay_{order}", **about),
        ]
        for message in said:
            told = await asyncio.gather(
                *(process.tell(order, message, metadata=metadata("m")) for process in processes)
            )
            assert sum(answer.appended is not None for answer in told) == 1
        assert (await shop.state(order)).status == "CANCELLED"
        ended = [t for t in await shop.happened(placement_id_of(order)) if t == "placement.ended"]
        assert len(ended) == 1


@pytest.mark.slow
async def test_a_service_that_was_away_goes_on_where_it_stopped(database: str) -> None:
    clock = Clock()
    async with orders(database, clock=clock) as shop:
        await shop.sell("SILK", 1250)
        order = await shop.placed(SILK=1)
        feeds = shop.it.feeds
    # what comes while it is away
    await feeds["inventory"].publish(
        "reservation.held",
        {"order_id": order, "reservation_id": "rsv_1", "attempt": 1},
        stream="rsv_1",
    )
    clock.pass_by(seconds=3600)
    async with orders(database, clock=clock, given=feeds) as shop:
        await shop.it.digest("inventory")

        async def compensating() -> bool:
            return "placement.compensation_started" in await shop.happened(placement_id_of(order))

        await shop.it.until(compensating)
        happened = await shop.happened(placement_id_of(order))
        assert "placement.stock_held" in happened
        assert happened.count("placement.release_requested") == 1


@pytest.mark.slow
async def test_an_answer_that_changes_nothing_leaves_no_trace(
    database: str,
) -> None:
    async with orders(database) as shop:
        await shop.sell("SILK", 1250)
        order = await shop.placed(SILK=1)
        await shop.hold(order)
        before = await shop.it.service.store.head()
        await shop.hold(order)
        assert await shop.it.service.store.head() == before


# ---- the timers, without a database


def timers(before: Placement, message: answers.Message) -> dict[str, tuple[object, ...]]:
    """By statement and step, the parameters of the timer effects of a message."""
    decided = decide(before, message, now=NOW, policy=POLICY)
    effects = timer_effects(before, decided.state, decided.events, NOW, "cor_1")
    return {
        f"{effect.sql.split()[0]} {list(effect.params)[1]}": tuple(effect.params)
        for effect in effects
    }


def told(*messages: answers.Message) -> Placement:
    state = start(Placement.initial(placement_id_of(ORDER)), TERMS).state
    for message in messages:
        state = decide(state, message, now=NOW, policy=POLICY).state
    return state


def test_the_first_append_sets_the_deadline_and_the_first_resend() -> None:
    begun = start(Placement.initial(placement_id_of(ORDER)), TERMS)
    effects = timer_effects(
        Placement.initial(placement_id_of(ORDER)), begun.state, begun.events, NOW, "cor_1"
    )
    rows = {row[1]: row for row in (list(effect.params) for effect in effects)}
    assert rows["DEADLINE"][2] == TERMS.deadline_at
    assert rows["RESERVE"][2] == NOW + timedelta(seconds=10)
    assert rows["RESERVE"][3] == f"{ORDER}:reserve:1#0"
    assert rows["RESERVE"][4] == b"cor_1"


def test_an_answer_takes_back_its_timer_and_sets_the_next() -> None:
    effects = timers(told(), HELD)
    assert effects.keys() == {"DELETE RESERVE", "INSERT AUTHORIZE"}
    assert effects["INSERT AUTHORIZE"][2] == NOW + timedelta(seconds=30)


def test_a_customer_is_awaited_until_a_fixed_time() -> None:
    effects = timers(told(HELD), ACTION)
    assert effects["INSERT CUSTOMER"][2] == NOW + timedelta(minutes=10)
    assert "DELETE AUTHORIZE" in effects


def test_the_pivot_takes_back_the_deadline() -> None:
    effects = timers(told(HELD, AUTHORIZED), COMMITTED)
    assert effects.keys() == {"DELETE DEADLINE", "DELETE ALLOCATE", "INSERT SHIP"}


def test_the_end_takes_back_everything() -> None:
    rejected = answers.ReservationRejected(order_id=ORDER, attempt=1)
    assert timers(told(), rejected).keys() == {"DELETE None"}


def test_what_changes_no_wait_touches_no_timer() -> None:
    unknown = answers.OutcomeUnknown(order_id=ORDER, payment_id="pay_1")
    assert timers(told(HELD), unknown) == {}

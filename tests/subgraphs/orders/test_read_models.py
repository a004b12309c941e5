"""The read models: written event by event or by batches, they are the same rows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from random import Random
from typing import Any

import pytest

from eventstore.event import Event
from projections import Projection
from projections.testing import check_projection
from subgraphs.orders import answers
from subgraphs.orders.cart import Cart
from subgraphs.orders.cart_events import CartLineRefused
from subgraphs.orders.cart_models import Carts, RefusedLines
from subgraphs.orders.order import number_of, placement_id_of
from subgraphs.orders.order_events import OrderPlaced
from subgraphs.orders.order_models import OrderSummaries
from subgraphs.orders.placement import Placement
from subgraphs.orders.placement_outcomes import order_events
from subgraphs.orders.placement_rules import decide, start
from subgraphs.orders.refusals import NotCancellable
from subgraphs.shared.ids import derived_id
from tests.subgraphs.orders.given import (
    CANCEL,
    CUSTOMER,
    MADRID,
    NOW,
    POLICY,
    SALT,
    SILK,
    cart_line,
    terms,
)
from tests.subgraphs.orders.world import World
from tests.support.projected import Log

pytestmark = pytest.mark.slow


def placed(order_id: str, begun: Placement) -> OrderPlaced:
    agreed = begun.terms
    assert agreed is not None
    return OrderPlaced(
        order_id=order_id,
        number=number_of(order_id),
        cart_id="crt_1",
        customer_id=agreed.customer_id,
        placed_by=agreed.customer_id,
        currency="EUR",
        lines=agreed.lines,
        discounts=(),
        subtotal_minor=agreed.total_minor,
        tax_minor=0,
        shipping_minor=0,
        total_minor=agreed.total_minor,
        destination=MADRID,
        shipping_option_id="pickup",
        payment_method_token="tok",
        placed_at=NOW,
    )


def many_placements(chance: Random, how_many: int) -> tuple[Log, dict[str, Placement]]:
    """Placements that go their ways side by side; some are cancelled, some asked for again."""
    log = Log()
    states: dict[str, Placement] = {}
    worlds: dict[str, World] = {}

    def take(order_id: str, decided: Any, *first: Event) -> None:
        states[order_id] = decided.state
        log.append(order_id, first)
        log.append(placement_id_of(order_id), decided.events)
        log.append(order_id, order_events(decided.state, decided.events))
        for event in decided.events:
            worlds[order_id].receive(event)

    for number in range(how_many):
        order_id = derived_id("ord", str(number))
        worlds[order_id] = World(chance.choice)
        agreed = terms(cart_line(SILK, 2), cart_line(SALT, 1), order_id=order_id)
        begun = start(Placement.initial(placement_id_of(order_id)), agreed)
        take(order_id, begun, placed(order_id, begun.state))
    for _ in range(how_many * 30):
        order_id = chance.choice(list(states))
        world, state = worlds[order_id], states[order_id]
        message: Any = None
        match chance.randrange(40):
            case 0:
                message = CANCEL
            case 1 | 2 if state.waits:
                key = chance.choice(sorted(state.waits))
                message = answers.TimerFired(key, state.waits[key].token)
            case 3 | 4 | 5:
                world.bank_decides(order_id)
            case 6 | 7 | 8 | 9:
                world.parcel_leaves(order_id)
            case 10:
                world.stock_expires(order_id)
            case _ if world.in_flight:
                message = world.in_flight.pop(0)
        if message is None:
            continue
        try:
            take(order_id, decide(state, message, now=NOW, policy=POLICY))
        except NotCancellable:
            continue
    return log, states


@pytest.mark.parametrize("seed", range(4))
def test_orders_by_batches_are_orders_one_by_one(database: str, seed: int) -> None:
    log, states = many_placements(Random(seed), 12)
    rows = check_projection(database, OrderSummaries(), log.events, seed=seed)
    assert len(rows["orders"]) == 12
    assert len(rows["order_lines"]) == 24
    for state in states.values():
        [row] = [row for row in rows["orders"] if state.order_id in row]
        phase = state.phase
        assert f",{phase}," in row, (state.order_id, row)
    assert {state.outcome for state in states.values()} >= {"COMPLETED", "REJECTED"}


def test_carts_by_batches_are_carts_one_by_one(database: str) -> None:
    log, chance = Log(), Random(7)
    carts = {f"crt_{n}": Cart.initial(f"crt_{n}") for n in range(6)}
    offers = [SILK, SALT]
    for _ in range(150):
        stream = chance.choice(list(carts))
        cart = carts[stream]
        if not cart.customer_id:
            events = cart.create(
                customer_id=CUSTOMER,
                created_by=CUSTOMER,
                currency="EUR",
                expires_at=NOW + timedelta(days=1),
            )
        elif cart.status != "OPEN":
            continue
        else:
            events = _something(cart, chance, offers)
        for event in events:
            cart = cart.evolve(event)
        carts[stream] = cart
        log.append(stream, events)
    rows = check_projection(database, Carts(), log.events, seed=7, cuts=6)
    assert len(rows["carts"]) == 6
    assert len(rows["cart_lines"]) == sum(len(cart.lines) for cart in carts.values())


def _something(cart: Cart, chance: Random, offers: Sequence[Any]) -> Sequence[Any]:
    match chance.randrange(30):
        case 0:
            return cart.expire(now=NOW + timedelta(days=2))
        case 1 | 2:
            return cart.set_destination(MADRID, now=NOW)
        case 3 if cart.lines:
            total = cart.totals
            return cart.order(
                "ord_1", total, expected_minor=total.total_minor, currency="EUR", now=NOW
            )
        case number if number < 12 and cart.lines:
            return cart.remove_line(chance.choice(list(cart.lines)), now=NOW)
        case _:
            return cart.set_line(chance.choice(offers), chance.randint(1, 9), now=NOW)


def test_refused_lines_are_kept_as_they_were_asked_for(database: str) -> None:
    log = Log()
    for number in range(5):
        log.append(
            "rfs_1", [CartLineRefused("crt_1", None, f"S{number}", 0, None, "CODE", "message")]
        )
    rows = check_projection(database, RefusedLines(), log.events)
    assert len(rows["refused_lines"]) == 5


@pytest.mark.parametrize("projection", [Carts(), RefusedLines(), OrderSummaries()])
def test_an_empty_batch_writes_nothing(database: str, projection: Projection) -> None:
    assert all(not rows for rows in check_projection(database, projection, []).values())

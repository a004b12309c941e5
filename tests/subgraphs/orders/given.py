"""Values that the tests of the orders domain start from, and given/when/then for the placement."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from subgraphs.orders import answers
from subgraphs.orders.cart import CartLine, Offer
from subgraphs.orders.order import number_of, placed_lines, placement_id_of
from subgraphs.orders.order_events import OrderEvent
from subgraphs.orders.parts import Destination, PlacedLine
from subgraphs.orders.placement import Placement
from subgraphs.orders.placement_events import PlacementEvent, PlacementStarted
from subgraphs.orders.placement_outcomes import order_events
from subgraphs.orders.placement_requests import Policy
from subgraphs.orders.placement_rules import Decided, decide, start

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
POLICY = Policy()
CUSTOMER = "usr_00000000000000000000000001"
ORDER = "ord_00000000000000000000000001"
CART = "crt_00000000000000000000000001"
PLACEMENT = placement_id_of(ORDER)

SILK = Offer("var_silk", "SILK-1", "Silk, a bolt", 1250, "EUR", 900, published=True)
SALT = Offer("var_salt", "SALT-1", "Salt, a sack", 499, "EUR", 5000, published=True)
MADRID = Destination("ES", "28013", "A. Buyer", ("Calle Mayor 1",), "Madrid")


def cart_line(offer: Offer, quantity: int, discount_minor: int = 0) -> CartLine:
    return CartLine(
        offer.variant_id,
        offer.sku,
        offer.title,
        offer.price_minor,
        quantity,
        offer.weight_grams,
        discount_minor,
        "basket discount" if discount_minor else None,
    )


def terms(*lines: CartLine, shipping_minor: int = 0, order_id: str = ORDER) -> PlacementStarted:
    placed: tuple[PlacedLine, ...] = placed_lines(order_id, lines)
    return PlacementStarted(
        order_id=order_id,
        number=number_of(order_id),
        customer_id=CUSTOMER,
        currency="EUR",
        total_minor=sum(line.amount_minor for line in placed) + shipping_minor,
        lines=placed,
        destination=MADRID,
        shipping_option_id="pickup",
        payment_method_token="tok_visa",
        deadline_at=NOW + POLICY.placement_deadline,
    )


TERMS = terms(cart_line(SILK, 2), cart_line(SALT, 1, 99))
"""2 × 12.50 + 4.99 - 0.99 = 29.00"""
TOTAL = 2900

HELD = answers.ReservationHeld(order_id=ORDER, reservation_id="rsv_1", attempt=1)
COMMITTED = answers.ReservationCommitted(order_id=ORDER, reservation_id="rsv_1")
EXPIRED = answers.ReservationExpired(order_id=ORDER, reservation_id="rsv_1", attempt=1)
RELEASED = answers.ReservationReleased(order_id=ORDER, reservation_id="rsv_1")
AUTHORIZED = answers.Authorized(
    order_id=ORDER, payment_id="pay_1", amount_minor=TOTAL, currency="EUR"
)
DECLINED = answers.Declined(order_id=ORDER, payment_id="pay_1", decline_code="insufficient_funds")
UNKNOWN = answers.OutcomeUnknown(order_id=ORDER, payment_id="pay_1")
ACTION = answers.ActionRequired(order_id=ORDER, payment_id="pay_1")
VOIDED = answers.Voided(order_id=ORDER, payment_id="pay_1")
PLANNED = answers.Planned(order_id=ORDER, shipment_id="shp_1")
CANCELLED = answers.Cancelled(order_id=ORDER, shipment_id="shp_1")
CANCEL = answers.CancellationAsked("changed my mind", CUSTOMER)


def dispatched(
    *lines: tuple[int, int], shipment_id: str = "shp_1", of: PlacementStarted = TERMS
) -> answers.Dispatched:
    """Pairs of (number of the line from 1, quantity); none means everything."""
    pairs = lines or tuple((n, line.quantity) for n, line in enumerate(of.lines, 1))
    return answers.Dispatched(
        order_id=of.order_id,
        shipment_id=shipment_id,
        lines=tuple(answers.SentLine(of.lines[n - 1].line_id, quantity) for n, quantity in pairs),
    )


def captured(amount_minor: int = TOTAL, shipment_id: str = "shp_1") -> answers.Captured:
    return answers.Captured(
        order_id=ORDER, payment_id="pay_1", shipment_id=shipment_id, amount_minor=amount_minor
    )


class Process:
    """A placement that was told things: `given(HELD, …).when(DECLINED)` and then what followed."""

    def __init__(self, terms_: PlacementStarted = TERMS) -> None:
        begun = start(Placement.initial(placement_id_of(terms_.order_id)), terms_)
        self.state = begun.state
        self.events: tuple[PlacementEvent, ...] = begun.events
        self.order_events: list[OrderEvent] = order_events(begun.state, begun.events)

    def when(self, message: Any, *, now: datetime = NOW) -> Process:
        decided: Decided = decide(self.state, message, now=now, policy=POLICY)
        self.state, self.events = decided.state, decided.events
        self.order_events = order_events(decided.state, decided.events)
        return self

    def fires(self, step: str, *, after: timedelta = timedelta(hours=1)) -> Process:
        """The timer of what is awaited under `step` comes due."""
        return self.when(answers.TimerFired(step, self.state.waits[step].token), now=NOW + after)

    @property
    def happened(self) -> list[str]:
        """The type names of what the last message led to, without their prefix."""
        return [event.TYPE.removeprefix("placement.") for event in self.events]

    @property
    def told(self) -> list[str]:
        """The type names of what the order learnt."""
        return [event.TYPE for event in self.order_events]


def given(*messages: Any, terms_: PlacementStarted = TERMS) -> Process:
    process = Process(terms_)
    for message in messages:
        process.when(message)
    return process


def names(events: Iterable[Any]) -> list[str]:
    return [event.TYPE for event in events]

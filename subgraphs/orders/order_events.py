"""What happens to an order, as its customer sees it: stream `ord_…`. Amounts are minor units.

The placement process decides every one of them except the first, so they are always appended
together with events of the placement stream.
"""

from __future__ import annotations

from datetime import datetime

from eventstore.event import Event, Personal, event_type
from subgraphs.orders.parts import Destination, PlacedDiscount, PlacedLine, SentLine, Shortage


@event_type("order.placed", subject="customer_id")
class OrderPlaced(Event, frozen=True):
    """The customer agreed to this total. Prices, titles, tax and destination are frozen here.

    `subtotal_minor` is before discounts; total = subtotal - discounts + tax + shipping. Prices
    include tax, so `tax_minor` is what comes on top of them.
    """

    order_id: str
    number: str
    cart_id: str
    customer_id: str
    placed_by: str
    currency: str
    lines: tuple[PlacedLine, ...]
    discounts: tuple[PlacedDiscount, ...]
    subtotal_minor: int
    tax_minor: int
    shipping_minor: int
    total_minor: int
    destination: Personal[Destination | None]
    shipping_option_id: str
    payment_method_token: Personal[str]
    placed_at: datetime


@event_type("order.confirmed")
class OrderConfirmed(Event, frozen=True):
    """Stock is allocated and the money authorised: the shop owes the goods."""

    order_id: str
    number: str
    customer_id: str
    total_minor: int
    currency: str


@event_type("order.rejected")
class OrderRejected(Event, frozen=True):
    """The shop could not take the order. Neither stock nor money of it is held any more.

    `reason` is one of the codes of `Rejection`; `shortages` is not empty for lack of stock,
    `decline_code` is what the payment provider said.
    """

    order_id: str
    number: str
    customer_id: str
    total_minor: int
    currency: str
    reason: str
    shortages: tuple[Shortage, ...] = ()
    decline_code: str | None = None


@event_type("order.cancellation_requested", public=False, subject="customer_id")
class OrderCancellationRequested(Event, frozen=True):
    order_id: str
    reason: Personal[str | None]
    requested_by: str
    customer_id: str = ""


@event_type("order.cancellation_withdrawn", public=False)
class OrderCancellationWithdrawn(Event, frozen=True):
    """The goods had left before the cancellation reached shipping: the order goes on."""

    order_id: str
    reason: str


@event_type("order.cancelled", subject="customer_id")
class OrderCancelled(Event, frozen=True):
    """Cancelled on request. Neither stock nor money of it is held any more. `reason` is None for a
    customer who was erased.
    """

    order_id: str
    number: str
    customer_id: str
    total_minor: int
    currency: str
    reason: Personal[str | None]


@event_type("order.lines_shipped", public=False)
class OrderLinesShipped(Event, frozen=True):
    order_id: str
    shipment_id: str
    lines: tuple[SentLine, ...]
    carrier: str | None = None
    tracking_number: str | None = None


@event_type("order.completed")
class OrderCompleted(Event, frozen=True):
    """Everything was sent and paid."""

    order_id: str
    number: str
    customer_id: str
    captured_minor: int
    currency: str


OrderEvent = (
    OrderPlaced
    | OrderConfirmed
    | OrderRejected
    | OrderCancellationRequested
    | OrderCancellationWithdrawn
    | OrderCancelled
    | OrderLinesShipped
    | OrderCompleted
)

"""What happens to a cart: stream `crt_…`; and what was refused for it: stream `rfs_…`.

All of it stays inside the service: other services learn of an order, not of a cart.
"""

from __future__ import annotations

from datetime import datetime

from eventstore.event import Event, Personal, event_type
from subgraphs.orders.parts import Destination


@event_type("cart.created", public=False)
class CartCreated(Event, frozen=True):
    """`created_by` differs from `customer_id` when staff opened the cart for a customer."""

    cart_id: str
    customer_id: str
    created_by: str
    currency: str
    expires_at: datetime


@event_type("cart.line_set", public=False)
class CartLineSet(Event, frozen=True):
    """A line of one variant, new or replaced. Sku, title, price and weight are what was shown.

    `discount_minor` is for the whole line, never more than quantity times unit price.
    """

    cart_id: str
    variant_id: str
    sku: str
    title: str
    unit_price_minor: int
    quantity: int
    weight_grams: int = 0
    discount_minor: int = 0
    discount_label: str | None = None


@event_type("cart.line_removed", public=False)
class CartLineRemoved(Event, frozen=True):
    cart_id: str
    variant_id: str


@event_type("cart.destination_set", public=False, subject="customer_id")
class CartDestinationSet(Event, frozen=True):
    cart_id: str
    destination: Personal[Destination]
    customer_id: str = ""


@event_type("cart.ordered", public=False)
class CartOrdered(Event, frozen=True):
    """The cart became an order; appended with the first events of that order, atomically."""

    cart_id: str
    order_id: str


@event_type("cart.expired", public=False)
class CartExpired(Event, frozen=True):
    cart_id: str


@event_type("cart.line_refused", public=False)
class CartLineRefused(Event, frozen=True):
    """A line the domain did not accept, as it was asked for. In a stream of its own, so that what
    was refused does not move the cart's version.

    One of `variant_id` and `sku` is what the caller gave; `code` is the refusal's stable code.
    """

    cart_id: str
    variant_id: str | None
    sku: str | None
    quantity: int
    discount_minor: int | None
    code: str
    message: str


CartEvent = (
    CartCreated | CartLineSet | CartLineRemoved | CartDestinationSet | CartOrdered | CartExpired
)

"""What happens to rates, fulfilments and shipments, as stored and (where public) published.

A shipment is planned, packed, dispatched and delivered in a stream of its own (`shp_…`); what of an
order is still to be planned is in the stream of its fulfilment (`ful_…`), which is private. A
shipment's planning or cancellation and the fulfilment's share of it are one atomic append.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from eventstore.event import Event, Personal, event_type


@event_type("shipping.rate_set")
class RateSet(Event, frozen=True):
    """One row of the rate table. None means any. Prices are minor units.

    The row that counts for an option is the most specific that fits: a country before any, a
    currency before any, then the smallest `weight_grams_max` that is not below the weight.
    """

    option_id: str
    name: str
    carrier: str
    currency: str | None
    country: str | None
    weight_grams_max: int | None
    price_minor: int
    eta_days: int | None


class Destination(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where to ship. `country` is ISO 3166-1 alpha-2."""

    country: str
    postal_code: str | None = None
    name: str = ""
    lines: tuple[str, ...] = ()
    city: str = ""
    region: str | None = None
    phone: str | None = None


class OrderedLine(msgspec.Struct, frozen=True):
    """An order line that is to be shipped; the weight is that of one unit."""

    line_id: str
    variant_id: str
    sku: str
    quantity: int
    weight_grams: int = 0


class ParcelLine(msgspec.Struct, frozen=True):
    """Units of an order line in one shipment."""

    line_id: str
    variant_id: str
    quantity: int


@event_type("fulfilment.opened", public=False, subject="customer_id")
class FulfilmentOpened(Event, frozen=True):
    """An order may be shipped: these lines, to this place, by this option."""

    order_id: str
    request_id: str
    lines: tuple[OrderedLine, ...]
    destination: Personal[Destination | None]
    option_id: str
    customer_id: str = ""


@event_type("fulfilment.assigned", public=False)
class FulfilmentAssigned(Event, frozen=True):
    """Some of the lines are now the business of a shipment."""

    order_id: str
    shipment_id: str
    lines: tuple[ParcelLine, ...]


@event_type("fulfilment.withdrawn", public=False)
class FulfilmentWithdrawn(Event, frozen=True):
    """A shipment was cancelled: its lines may be planned again."""

    order_id: str
    shipment_id: str


@event_type("fulfilment.closed", public=False)
class FulfilmentClosed(Event, frozen=True):
    """Nothing of the order is to be shipped any more; `reason` is a code."""

    order_id: str
    request_id: str
    reason: str


class OfShipment(Event, frozen=True):
    """Which shipment of which order."""

    order_id: str
    shipment_id: str


@event_type("shipment.planned", subject="customer_id")
class ShipmentPlanned(OfShipment, frozen=True):
    """Goods are to leave. `request_id` is the request that is answered ("" for staff)."""

    request_id: str
    lines: tuple[ParcelLine, ...]
    destination: Personal[Destination | None]
    option_id: str
    weight_grams: int
    warehouse_id: str | None = None
    customer_id: str = ""


@event_type("shipment.packed")
class ShipmentPacked(OfShipment, frozen=True):
    """The goods are in the box."""


@event_type("shipment.dispatched")
class ShipmentDispatched(OfShipment, frozen=True):
    """The goods have left the house."""

    lines: tuple[ParcelLine, ...]
    carrier: str
    tracking_number: str


@event_type("shipment.tracking_updated", subject="customer_id")
class ShipmentTrackingUpdated(OfShipment, frozen=True):
    """The carrier says where the goods are; `status` is one of domain.TrackingStatus."""

    status: str
    at: datetime
    location: Personal[str | None] = None
    customer_id: str = ""


@event_type("shipment.delivered")
class ShipmentDelivered(OfShipment, frozen=True):
    """The goods are with the customer."""

    at: datetime


@event_type("shipment.returned")
class ShipmentReturned(OfShipment, frozen=True):
    """The goods came back."""

    at: datetime


@event_type("shipment.cancelled", subject="customer_id")
class ShipmentCancelled(OfShipment, frozen=True):
    """Nothing has left, and nothing will with this shipment."""

    request_id: str
    reason: Personal[str]
    customer_id: str = ""


FulfilmentEvent = FulfilmentOpened | FulfilmentAssigned | FulfilmentWithdrawn | FulfilmentClosed

ShipmentEvent = (
    ShipmentPlanned
    | ShipmentPacked
    | ShipmentDispatched
    | ShipmentTrackingUpdated
    | ShipmentDelivered
    | ShipmentReturned
    | ShipmentCancelled
)

EVENTS: tuple[type[Event], ...] = (
    RateSet,
    FulfilmentOpened,
    FulfilmentAssigned,
    FulfilmentWithdrawn,
    FulfilmentClosed,
    ShipmentPlanned,
    ShipmentPacked,
    ShipmentDispatched,
    ShipmentTrackingUpdated,
    ShipmentDelivered,
    ShipmentReturned,
    ShipmentCancelled,
)
"""Every event type of this service, for its registry."""

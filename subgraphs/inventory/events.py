"""What happens to warehouses, stock and reservations, as stored and (where public) published.

Stock events belong to a stream per variant and warehouse (`stk_…`), reservation events to a stream
per order (`rsv_…`). A reservation's event and the stock events it causes are one atomic append.
Quantities are whole units, always positive; only an adjustment carries a signed `delta`.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from eventstore.event import Event, event_type


@event_type("warehouse.created")
class WarehouseCreated(Event, frozen=True):
    """A place that can hold stock. `country` is ISO 3166-1 alpha-2."""

    code: str
    name: str
    country: str


class OfStock(Event, frozen=True):
    """What every public stock event says of the item it happened to."""

    variant_id: str
    sku: str
    warehouse_id: str


@event_type("stock.opened")
class StockOpened(OfStock, frozen=True):
    """A variant is kept in a warehouse from now on: always the first event of its stream."""


@event_type("stock.received")
class StockReceived(OfStock, frozen=True):
    """Goods came in."""

    quantity: int


@event_type("stock.adjusted")
class StockAdjusted(OfStock, frozen=True):
    """Somebody corrected the figure; `reason` is one of domain.AdjustReason."""

    delta: int
    reason: str
    note: str | None = None


@event_type("stock.transferred_out")
class StockTransferredOut(OfStock, frozen=True):
    """Goods left for another warehouse: the other half is in the stream of `to_stock_item_id`."""

    quantity: int
    to_stock_item_id: str


@event_type("stock.transferred_in")
class StockTransferredIn(OfStock, frozen=True):
    """Goods came from another warehouse."""

    quantity: int
    from_stock_item_id: str


@event_type("stock.reserved", public=False)
class StockReserved(Event, frozen=True):
    """Units are held for an order that is not certain yet."""

    reservation_id: str
    order_id: str
    quantity: int


@event_type("stock.allocated", public=False)
class StockAllocated(Event, frozen=True):
    """Held units now belong to an order for good: they wait to be shipped."""

    reservation_id: str
    order_id: str
    quantity: int


@event_type("stock.released", public=False)
class StockReleased(Event, frozen=True):
    """Units are free again. `allocated` says whether they were allocated or only reserved."""

    reservation_id: str
    order_id: str
    quantity: int
    allocated: bool


@event_type("stock.shipped")
class StockShipped(OfStock, frozen=True):
    """Allocated units left the house: sold."""

    reservation_id: str
    order_id: str
    shipment_id: str
    quantity: int


@event_type("stock.ran_low")
class StockRanLow(OfStock, frozen=True):
    """What is available fell to the threshold or below it."""

    available: int
    threshold: int


class HeldLine(msgspec.Struct, frozen=True):
    """Units of one order line, held in one warehouse. A line may have several."""

    line_id: str
    variant_id: str
    sku: str
    warehouse_id: str
    stock_item_id: str
    quantity: int


class Shortage(msgspec.Struct, frozen=True):
    """An order line that cannot be had: `available` is what was left for it."""

    line_id: str
    variant_id: str
    sku: str
    requested: int
    available: int


class ShippedLine(msgspec.Struct, frozen=True):
    """Units of one order line that left one warehouse."""

    line_id: str
    stock_item_id: str
    quantity: int


class OfReservation(Event, frozen=True):
    """Whose reservation, and which request is answered ("" when no request asked for it)."""

    order_id: str
    reservation_id: str
    request_id: str


@event_type("reservation.held")
class ReservationHeld(OfReservation, frozen=True):
    """Every line of the order is held until `expires_at`."""

    attempt: int
    expires_at: datetime
    lines: tuple[HeldLine, ...]


@event_type("reservation.rejected")
class ReservationRejected(OfReservation, frozen=True):
    """At least one line cannot be had, so nothing is held."""

    attempt: int
    shortages: tuple[Shortage, ...]


@event_type("reservation.committed")
class ReservationCommitted(OfReservation, frozen=True):
    """The held units are allocated to the order: the pivot of its placement."""


@event_type("reservation.released")
class ReservationReleased(OfReservation, frozen=True):
    """Nothing (more) is kept for the order."""

    reason: str


@event_type("reservation.expired")
class ReservationExpired(OfReservation, frozen=True):
    """The time to commit was over; the units are free again."""

    attempt: int


@event_type("reservation.shipped")
class ReservationShipped(OfReservation, frozen=True):
    """Allocated units of the order went out with one shipment."""

    shipment_id: str
    lines: tuple[ShippedLine, ...]


StockEvent = (
    StockOpened
    | StockReceived
    | StockAdjusted
    | StockTransferredOut
    | StockTransferredIn
    | StockReserved
    | StockAllocated
    | StockReleased
    | StockShipped
    | StockRanLow
)

ReservationEvent = (
    ReservationHeld
    | ReservationRejected
    | ReservationCommitted
    | ReservationReleased
    | ReservationExpired
    | ReservationShipped
)

EVENTS: tuple[type[Event], ...] = (
    WarehouseCreated,
    StockOpened,
    StockReceived,
    StockAdjusted,
    StockTransferredOut,
    StockTransferredIn,
    StockReserved,
    StockAllocated,
    StockReleased,
    StockShipped,
    StockRanLow,
    ReservationHeld,
    ReservationRejected,
    ReservationCommitted,
    ReservationReleased,
    ReservationExpired,
    ReservationShipped,
)
"""Every event type of this service, for its registry."""

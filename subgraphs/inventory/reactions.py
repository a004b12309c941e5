"""What this service does about what happens elsewhere, and when the time of a reservation is over.

A message may come twice: its answer is appended with its idempotency key, and a request that has
its answer is nothing to do.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import msgspec

from eventstore import Actor, Effect, EventStore, Metadata
from projections import Message, Reactor, Timer
from subgraphs.inventory.copies import keep_order, keep_variant
from subgraphs.inventory.domain import StockRequest, WantedLine
from subgraphs.inventory.reserving import Reserving

SERVICE = Actor("service", "inventory")

Clock = Callable[[], datetime]


class RequestedLine(msgspec.Struct, frozen=True):
    line_id: str
    variant_id: str
    sku: str
    quantity: int


class StockRequested(msgspec.Struct, frozen=True):
    """Orders wants all of these lines held."""

    order_id: str
    request_id: str
    lines: tuple[RequestedLine, ...]
    ttl_seconds: int
    attempt: int = 1


class AllocationRequested(msgspec.Struct, frozen=True):
    """Orders wants what is held for good."""

    order_id: str
    request_id: str


class ReleaseRequested(msgspec.Struct, frozen=True):
    """Orders gives back what it has."""

    order_id: str
    request_id: str
    reason: str


class DispatchedLine(msgspec.Struct, frozen=True):
    line_id: str
    quantity: int


class ShipmentDispatched(msgspec.Struct, frozen=True):
    """Shipping says that goods have left."""

    order_id: str
    shipment_id: str
    lines: tuple[DispatchedLine, ...]


class OrderPlaced(msgspec.Struct, frozen=True):
    order_id: str
    customer_id: str


class VariantAdded(msgspec.Struct, frozen=True):
    variant_id: str
    sku: str


class ReservationRequests(Reactor):
    """Holds, allocates and releases stock as the placement of an order asks."""

    name, source = "inventory.reservations", "orders"
    reads = {  # noqa: RUF012 - declared as ClassVar by Reactor
        "placement.stock_requested": StockRequested,
        "placement.allocation_requested": AllocationRequested,
        "placement.release_requested": ReleaseRequested,
    }

    def __init__(self, reserving: Reserving, clock: Clock) -> None:
        self._reserving, self._clock = reserving, clock

    async def react(self, message: Message) -> None:
        """One answer to each request."""
        metadata = message.caused(SERVICE, at=self._clock())
        match message.data:
            case StockRequested() as asked:
                lines = tuple(
                    WantedLine(line.line_id, line.variant_id, line.sku, line.quantity)
                    for line in asked.lines
                )
                await self._reserving.hold(
                    StockRequest(asked.order_id, asked.request_id, asked.attempt, lines),
                    ttl_seconds=asked.ttl_seconds,
                    metadata=metadata,
                    idempotency=message.idempotency,
                )
            case AllocationRequested(order_id=order_id, request_id=request_id):
                await self._reserving.commit(
                    order_id, request_id, metadata=metadata, idempotency=message.idempotency
                )
            case ReleaseRequested(order_id=order_id, request_id=request_id, reason=reason):
                await self._reserving.release(
                    order_id,
                    request_id,
                    reason,
                    metadata=metadata,
                    idempotency=message.idempotency,
                )


class Dispatches(Reactor):
    """Takes dispatched goods off the stock."""

    name, source = "inventory.dispatches", "shipping"
    reads = {"shipment.dispatched": ShipmentDispatched}  # noqa: RUF012

    def __init__(self, reserving: Reserving, clock: Clock) -> None:
        self._reserving, self._clock = reserving, clock

    async def react(self, message: Message) -> None:
        """Once for each shipment."""
        sent: ShipmentDispatched = message.data
        await self._reserving.ship(
            sent.order_id,
            sent.shipment_id,
            [(line.line_id, line.quantity) for line in sent.lines],
            metadata=message.caused(SERVICE, at=self._clock()),
            idempotency=message.idempotency,
        )


class CopyOrders(Reactor):
    """Keeps whose order is whose."""

    name, source = "inventory.copy_orders", "orders"
    reads = {"order.placed": OrderPlaced}  # noqa: RUF012

    def __init__(self, store: EventStore, clock: Clock) -> None:
        self._store, self._clock = store, clock

    async def react(self, message: Message) -> None:
        """Write the row and the inbox entry together."""
        placed: OrderPlaced = message.data
        await _keep(
            self._store, message, self._clock(), keep_order(placed.order_id, placed.customer_id)
        )


class CopyVariants(Reactor):
    """Keeps the skus of variants."""

    name, source = "inventory.copy_variants", "products"
    reads = {"product.variant_added": VariantAdded}  # noqa: RUF012

    def __init__(self, store: EventStore, clock: Clock) -> None:
        self._store, self._clock = store, clock

    async def react(self, message: Message) -> None:
        """Write the row and the inbox entry together."""
        added: VariantAdded = message.data
        await _keep(self._store, message, self._clock(), keep_variant(added.variant_id, added.sku))


class Expiry:
    """Ends reservations whose time is over."""

    def __init__(self, reserving: Reserving, clock: Clock) -> None:
        self._reserving, self._clock = reserving, clock

    async def fire(self, timer: Timer) -> None:
        """A timer of an attempt that has moved on is ignored."""
        await self._reserving.expire(
            timer.stream,
            int(timer.token),
            metadata=Metadata(
                actor=Actor("system_timer", "inventory"),
                command_id=timer.idempotency.key,
                correlation_id=timer.data.decode(),
                occurred_at=self._clock(),
            ),
        )


async def _keep(store: EventStore, message: Message, now: datetime, row: Effect) -> None:
    await store.append(
        (),
        metadata=message.caused(SERVICE, at=now),
        idempotency=message.idempotency,
        effects=[row],
    )

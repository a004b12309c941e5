"""What this service does about what orders asks, what carriers do, and what time brings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial

import msgspec

from eventstore import Actor, Effect, ErasedSubject, EventStore, Metadata, Streams
from eventstore.event import Event
from projections import Message, Reactor, Timer, Timers
from subgraphs.shipping.carrier import Booking, Carrier, Parcel
from subgraphs.shipping.copies import keep_order
from subgraphs.shipping.domain import Shipment, TrackingStatus
from subgraphs.shipping.events import Destination, OrderedLine, ShipmentDispatched
from subgraphs.shipping.planning import Planning

SERVICE = Actor("service", "shipping")

COLLECT = "collect"
"""The step of the timer at which the carrier takes the goods."""
DELIVER = "deliver"
"""The step of the timer at which the carrier delivers them."""

Clock = Callable[[], datetime]


class ShipmentRequested(msgspec.Struct, frozen=True):
    """Orders wants all of these lines sent."""

    order_id: str
    request_id: str
    lines: tuple[OrderedLine, ...]
    shipping_option_id: str
    destination: Destination | None = None
    customer_id: str = ""


class CancellationRequested(msgspec.Struct, frozen=True):
    """Orders wants nothing more sent, if nothing has left."""

    order_id: str
    request_id: str
    reason: str
    customer_id: str = ""


class OrderPlaced(msgspec.Struct, frozen=True):
    order_id: str
    customer_id: str


class Planned(msgspec.Struct, frozen=True):
    """What of an own plan the carrier is told."""

    order_id: str
    shipment_id: str
    option_id: str
    weight_grams: int
    destination: Destination | None = None


class ShipmentRequests(Reactor):
    """Plans and cancels shipments as the placement of an order asks."""

    name, source = "shipping.requests", "orders"
    reads = {  # noqa: RUF012 - declared as ClassVar by Reactor
        "placement.shipment_requested": ShipmentRequested,
        "placement.shipment_cancellation_requested": CancellationRequested,
    }

    def __init__(self, planning: Planning, clock: Clock) -> None:
        self._planning, self._clock = planning, clock

    async def react(self, message: Message) -> None:
        """One answer to each request."""
        metadata = message.caused(SERVICE, at=self._clock())
        match message.data:
            case ShipmentRequested() as asked:
                open_ = partial(
                    self._planning.open,
                    order_id=asked.order_id,
                    request_id=asked.request_id,
                    lines=asked.lines,
                    option_id=asked.shipping_option_id,
                    customer_id=asked.customer_id,
                    metadata=metadata,
                    idempotency=message.idempotency,
                )
                try:
                    await open_(destination=asked.destination)
                except ErasedSubject:  # they were forgotten a moment ago
                    await open_(destination=None)
            case CancellationRequested() as asked:
                await self._planning.cancel(
                    order_id=asked.order_id,
                    request_id=asked.request_id,
                    reason=asked.reason,
                    customer_id=asked.customer_id,
                    metadata=metadata,
                    idempotency=message.idempotency,
                )


class Bookings(Reactor):
    """Has planned shipments collected by the carrier."""

    name, source = "shipping.bookings", ""
    reads = {"shipment.planned": Planned}  # noqa: RUF012

    def __init__(self, streams: Streams, carrier: Carrier, timers: Timers, clock: Clock) -> None:
        self._streams, self._carrier, self._timers = streams, carrier, timers
        self._clock = clock

    async def react(self, message: Message) -> None:
        """Book, pack, and let go what is collected at once; what has moved on is left alone."""
        planned: Planned = message.data
        country = planned.destination.country if planned.destination else None
        booking = await self._carrier.book(
            Parcel(
                planned.shipment_id,
                planned.order_id,
                planned.option_id,
                planned.weight_grams,
                country,
            )
        )
        if booking is None:
            return
        metadata = message.caused(SERVICE, at=self._clock())

        def decide(shipment: Shipment) -> Sequence[Event]:
            if shipment.has_left or not shipment.is_live:
                return []
            if booking.collected_in_seconds > 0:
                return shipment.pack()
            return shipment.dispatch(booking.carrier, booking.tracking_number)

        await self._streams.execute(
            Shipment,
            planned.shipment_id,
            decide,
            metadata=metadata,
            effects=lambda _, events: self._next(planned.shipment_id, booking, events, metadata),
        )

    def _next(
        self,
        shipment_id: str,
        booking: Booking,
        events: Sequence[Event],
        metadata: Metadata,
    ) -> list[Effect]:
        """The timer of what the carrier does next."""
        if not events:
            return []
        if any(isinstance(event, ShipmentDispatched) for event in events):
            step, seconds = DELIVER, booking.delivered_in_seconds
        else:
            step, seconds = COLLECT, booking.collected_in_seconds
        return [
            carrier_timer(
                self._timers, shipment_id, step, self._clock(), seconds, booking, metadata
            )
        ]


class _Memo(msgspec.Struct, frozen=True):
    """What a timer has to know when it fires."""

    correlation_id: str
    carrier: str
    tracking_number: str
    delivered_in_seconds: float


def carrier_timer(
    timers: Timers,
    shipment_id: str,
    step: str,
    now: datetime,
    seconds: float,
    booking: Booking,
    metadata: Metadata,
) -> Effect:
    """Set the timer of something the carrier will do."""
    memo = _Memo(
        metadata.correlation_id,
        booking.carrier,
        booking.tracking_number,
        booking.delivered_in_seconds,
    )
    due_at = now + timedelta(seconds=seconds)
    return timers.set_effect(
        shipment_id, step, due_at, booking.tracking_number, msgspec.json.encode(memo)
    )


class CarrierTimers:
    """Does what the fake carrier does when its time has come."""

    def __init__(self, streams: Streams, timers: Timers, clock: Clock) -> None:
        self._streams, self._timers, self._clock = streams, timers, clock

    async def fire(self, timer: Timer) -> None:
        """Collect or deliver; a shipment that was cancelled, or moved on, is left alone."""
        memo = msgspec.json.decode(timer.data, type=_Memo)
        now = self._clock()
        metadata = Metadata(
            actor=Actor("provider", memo.carrier),
            command_id=timer.idempotency.key,
            correlation_id=memo.correlation_id,
            occurred_at=now,
        )
        booking = Booking(memo.carrier, memo.tracking_number, 0.0, memo.delivered_in_seconds)

        def decide(shipment: Shipment) -> Sequence[Event]:
            if not shipment.is_live:
                return []
            if timer.step == COLLECT:
                if shipment.has_left:
                    return []
                return shipment.dispatch(memo.carrier, memo.tracking_number)
            if shipment.tracking_number != memo.tracking_number or shipment.is_settled:
                return []
            return shipment.track(TrackingStatus.DELIVERED, now)

        def effects(_: Shipment, events: Sequence[Event]) -> list[Effect]:
            if timer.step != COLLECT or not events:
                return []
            return [
                carrier_timer(
                    self._timers,
                    timer.stream,
                    DELIVER,
                    now,
                    memo.delivered_in_seconds,
                    booking,
                    metadata,
                )
            ]

        await self._streams.execute(
            Shipment, timer.stream, decide, metadata=metadata, effects=effects
        )


class CopyOrders(Reactor):
    """Keeps whose order is whose."""

    name, source = "shipping.copy_orders", "orders"
    reads = {"order.placed": OrderPlaced}  # noqa: RUF012

    def __init__(self, store: EventStore, clock: Clock) -> None:
        self._store, self._clock = store, clock

    async def react(self, message: Message) -> None:
        """Write the row and the inbox entry together."""
        placed: OrderPlaced = message.data
        await self._store.append(
            (),
            metadata=message.caused(SERVICE, at=self._clock()),
            idempotency=message.idempotency,
            effects=[keep_order(placed.order_id, placed.customer_id)],
        )

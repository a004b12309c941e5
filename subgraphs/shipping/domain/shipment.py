"""One shipment: planned, packed, dispatched, under way, delivered."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum
from typing import assert_never

from subgraphs.shipping.errors import ShipmentNotIn
from subgraphs.shipping.events import (
    ParcelLine,
    ShipmentCancelled,
    ShipmentDelivered,
    ShipmentDispatched,
    ShipmentEvent,
    ShipmentPacked,
    ShipmentPlanned,
    ShipmentReturned,
    ShipmentTrackingUpdated,
)


class ShipmentState(Enum):
    """Where the goods are. NONE is a stream without events."""

    NONE = "NONE"
    PLANNED = "PLANNED"
    PACKED = "PACKED"
    SHIPPED = "SHIPPED"
    IN_TRANSIT = "IN_TRANSIT"
    DELIVERED = "DELIVERED"
    EXCEPTION = "EXCEPTION"
    RETURNED = "RETURNED"
    CANCELLED = "CANCELLED"


class TrackingStatus(Enum):
    """What a carrier may say of goods that have left."""

    IN_TRANSIT = "IN_TRANSIT"
    EXCEPTION = "EXCEPTION"
    DELIVERED = "DELIVERED"
    RETURNED = "RETURNED"


@dataclass(frozen=True, slots=True)
class Shipment:
    """State folded from one shipment stream."""

    id: str
    order_id: str = ""
    customer_id: str = ""
    state: ShipmentState = ShipmentState.NONE
    lines: tuple[ParcelLine, ...] = ()
    option_id: str = ""
    carrier: str | None = None
    tracking_number: str | None = None

    @classmethod
    def initial(cls, stream: str) -> Shipment:
        return cls(stream)

    @property
    def exists(self) -> bool:
        return self.state is not ShipmentState.NONE

    @property
    def has_left(self) -> bool:
        """Whether the goods have left the house."""
        return self.state not in (
            ShipmentState.NONE,
            ShipmentState.PLANNED,
            ShipmentState.PACKED,
            ShipmentState.CANCELLED,
        )

    @property
    def is_live(self) -> bool:
        """Whether it was planned and not cancelled."""
        return self.state not in (ShipmentState.NONE, ShipmentState.CANCELLED)

    @property
    def is_settled(self) -> bool:
        """Whether the carrier has nothing more to do."""
        return self.state in (
            ShipmentState.DELIVERED,
            ShipmentState.RETURNED,
            ShipmentState.CANCELLED,
        )

    def pack(self) -> list[ShipmentEvent]:
        """Decide. Nothing to do for what is packed, or beyond; raises if it was cancelled."""
        if self.state is ShipmentState.PLANNED:
            return [ShipmentPacked(self.order_id, self.id)]
        self._alive("packed")
        return []

    def dispatch(self, carrier: str, tracking_number: str) -> list[ShipmentEvent]:
        """Decide. Goods that left with the same tracking number are nothing to do.

        Raises ShipmentNotIn if they left with another, or the shipment was cancelled.
        """
        self._alive("dispatched")
        if self.has_left:
            if (carrier, tracking_number) == (self.carrier, self.tracking_number):
                return []
            raise ShipmentNotIn(self.id, self.state.value, "dispatched")
        dispatched = ShipmentDispatched(
            self.order_id, self.id, self.lines, carrier, tracking_number
        )
        return [*self.pack(), dispatched]

    def track(
        self, status: TrackingStatus, at: datetime, location: str | None = None
    ) -> list[ShipmentEvent]:
        """Decide what the carrier says. Raises ShipmentNotIn unless the goods are under way.

        Delivered goods may still come back; what was said before is nothing to do.
        """
        if self.state.value == status.value and status is not TrackingStatus.IN_TRANSIT:
            return []
        final = self.state is ShipmentState.RETURNED or (
            self.state is ShipmentState.DELIVERED and status is not TrackingStatus.RETURNED
        )
        if not self.has_left or final:
            raise ShipmentNotIn(self.id, self.state.value, f"tracked as {status.value}")
        said = ShipmentTrackingUpdated(
            self.order_id, self.id, status.value, at, location, self.customer_id
        )
        match status:
            case TrackingStatus.DELIVERED:
                return [said, ShipmentDelivered(self.order_id, self.id, at)]
            case TrackingStatus.RETURNED:
                return [said, ShipmentReturned(self.order_id, self.id, at)]
            case _:
                return [said]

    def cancel(self, reason: str, *, request_id: str = "") -> list[ShipmentEvent]:
        """Decide. Nothing to do for what is cancelled. Raises ShipmentNotIn if goods have left."""
        if self.state is ShipmentState.CANCELLED:
            return []
        if self.has_left:
            raise ShipmentNotIn(self.id, self.state.value, "cancelled")
        return [ShipmentCancelled(self.order_id, self.id, request_id, reason, self.customer_id)]

    def evolve(self, event: ShipmentEvent) -> Shipment:
        """Fold. Never refuses: the event already happened."""
        match event:
            case ShipmentPlanned():
                return replace(
                    self,
                    order_id=event.order_id,
                    customer_id=event.customer_id,
                    state=ShipmentState.PLANNED,
                    lines=event.lines,
                    option_id=event.option_id,
                )
            case ShipmentPacked():
                return replace(self, state=ShipmentState.PACKED)
            case ShipmentDispatched(carrier=carrier, tracking_number=number):
                return replace(
                    self, state=ShipmentState.SHIPPED, carrier=carrier, tracking_number=number
                )
            case ShipmentTrackingUpdated(status=status):
                return replace(self, state=ShipmentState(status))
            case ShipmentDelivered():
                return replace(self, state=ShipmentState.DELIVERED)
            case ShipmentReturned():
                return replace(self, state=ShipmentState.RETURNED)
            case ShipmentCancelled():
                return replace(self, state=ShipmentState.CANCELLED)
            case _:
                assert_never(event)

    def _alive(self, action: str) -> None:
        if not self.is_live:
            raise ShipmentNotIn(self.id, self.state.value, action)

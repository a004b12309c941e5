"""What of an order is still to be put into a shipment: never more than was ordered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import assert_never

from eventstore.event import Event
from subgraphs.shared.errors import Refusals
from subgraphs.shipping.domain.identity import shipment_of
from subgraphs.shipping.domain.shipment import Shipment
from subgraphs.shipping.errors import ExceedsOrder, NothingToShip
from subgraphs.shipping.events import (
    Destination,
    FulfilmentAssigned,
    FulfilmentClosed,
    FulfilmentEvent,
    FulfilmentOpened,
    FulfilmentWithdrawn,
    OrderedLine,
    ParcelLine,
    ShipmentPlanned,
)

Decision = Mapping[str, Sequence[Event]]
"""Events by stream. Empty: nothing to do."""


@dataclass(frozen=True, slots=True)
class Fulfilment:
    """State folded from one fulfilment stream. `assigned` has the lines of live shipments."""

    id: str
    order_id: str = ""
    customer_id: str = ""
    lines: tuple[OrderedLine, ...] = ()
    destination: Destination | None = None
    option_id: str = ""
    assigned: Mapping[str, tuple[ParcelLine, ...]] = field(default_factory=dict)
    answered: frozenset[str] = frozenset()
    closed: bool = False

    @classmethod
    def initial(cls, stream: str) -> Fulfilment:
        return cls(stream)

    def open(
        self,
        *,
        order_id: str,
        request_id: str,
        shipment_id: str,
        lines: tuple[OrderedLine, ...],
        destination: Destination | None,
        option_id: str,
        customer_id: str,
    ) -> Decision:
        """Decide: ship all of it, in one shipment. The same request again is nothing to do."""
        if request_id in self.answered or self.lines or self.closed:
            return {}
        opened = FulfilmentOpened(order_id, request_id, lines, destination, option_id, customer_id)
        wanted = tuple(ParcelLine(line.line_id, line.variant_id, line.quantity) for line in lines)
        planned = self.evolve(opened).plan(shipment_id, wanted, request_id=request_id)
        return {
            self.id: [opened, *planned[self.id]],
            shipment_id: planned[shipment_id],
        }

    def plan(
        self,
        shipment_id: str,
        wanted: Sequence[ParcelLine],
        *,
        request_id: str = "",
        warehouse_id: str | None = None,
    ) -> Decision:
        """Decide: put some lines into a new shipment; quantities of one line are summed.

        Raises NothingToShip, or ExceedsOrder for every line of which there is not so much left.
        """
        if not self.lines:
            raise NothingToShip(self.order_id or self.id, "it is not to be shipped yet")
        if self.closed:
            raise NothingToShip(self.order_id, "it was cancelled")
        sums: dict[str, int] = {}
        for line in wanted:
            sums[line.line_id] = sums.get(line.line_id, 0) + line.quantity
        left = self.left
        refusals = [
            ExceedsOrder(line_id, quantity, left.get(line_id, 0), path=["input", "lines"])
            for line_id, quantity in sums.items()
            if not 0 < quantity <= left.get(line_id, 0)
        ]
        if refusals:
            raise Refusals(refusals)
        if not sums:
            raise NothingToShip(self.order_id, "no lines were named")
        ordered = {line.line_id: line for line in self.lines}
        parcel = tuple(
            ParcelLine(line_id, ordered[line_id].variant_id, quantity)
            for line_id, quantity in sums.items()
        )
        weight = sum(ordered[line.line_id].weight_grams * line.quantity for line in parcel)
        planned = ShipmentPlanned(
            self.order_id,
            shipment_id,
            request_id,
            parcel,
            self.destination,
            self.option_id,
            weight,
            warehouse_id,
            self.customer_id,
        )
        assigned = FulfilmentAssigned(self.order_id, shipment_id, parcel)
        return {self.id: [assigned], shipment_id: [planned]}

    def cancel(
        self,
        shipments: Mapping[str, Shipment],
        *,
        order_id: str,
        request_id: str,
        reason: str,
        customer_id: str,
    ) -> Decision:
        """Decide: ship nothing of the order any more, unless something has left already.

        `shipments` are those of `assigned`, by id. If something has left, the answer was given
        when it left, and there is nothing to do. The same request again likewise. Where there is
        no shipment to cancel, one that never was is: the request has its answer all the same.
        """
        if request_id in self.answered or any(s.has_left for s in shipments.values()):
            return {}
        decision: dict[str, Sequence[Event]] = {
            self.id: [FulfilmentClosed(order_id, request_id, reason)]
        }
        never_was = shipment_of(order_id, request_id)
        for shipment_id, shipment in sorted(
            shipments.items() or [(never_was, Shipment(never_was, order_id, customer_id))]
        ):
            decision[shipment_id] = shipment.cancel(reason, request_id=request_id)
        return decision

    def withdraw(self, shipment: Shipment, reason: str) -> Decision:
        """Decide: cancel one shipment, so that its lines can be planned anew.

        Raises ShipmentNotIn when its goods have left.
        """
        events = shipment.cancel(reason)
        if not events:
            return {}
        return {
            self.id: [FulfilmentWithdrawn(self.order_id, shipment.id)],
            shipment.id: events,
        }

    @property
    def left(self) -> dict[str, int]:
        """Units by line that are in no shipment."""
        left = {line.line_id: line.quantity for line in self.lines}
        for parcel in self.assigned.values():
            for line in parcel:
                left[line.line_id] -= line.quantity
        return left

    def evolve(self, event: FulfilmentEvent) -> Fulfilment:
        """Fold. Never refuses: the event already happened."""
        match event:
            case FulfilmentOpened():
                return replace(
                    self,
                    order_id=event.order_id,
                    customer_id=event.customer_id,
                    lines=event.lines,
                    destination=event.destination,
                    option_id=event.option_id,
                    answered=self.answered | {event.request_id},
                )
            case FulfilmentAssigned(shipment_id=shipment_id, lines=lines):
                return replace(self, assigned={**self.assigned, shipment_id: lines})
            case FulfilmentWithdrawn(shipment_id=shipment_id):
                kept = {key: lines for key, lines in self.assigned.items() if key != shipment_id}
                return replace(self, assigned=kept)
            case FulfilmentClosed(request_id=request_id):
                return replace(
                    self, closed=True, assigned={}, answered=self.answered | {request_id}
                )
            case _:
                assert_never(event)

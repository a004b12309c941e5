"""The reservation of one order: what it holds, until when, and what became of it.

Every request gets exactly one answer (an event naming its `request_id`); the same request again is
nothing to do. A decision spans the reservation's stream and the streams of the stock it touches.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum
from typing import assert_never

from eventstore.event import Event
from subgraphs.inventory.domain.picking import WantedLine, pick
from subgraphs.inventory.domain.stock_item import StockItem
from subgraphs.inventory.errors import ShipmentExceedsAllocation
from subgraphs.inventory.events import (
    HeldLine,
    ReservationCommitted,
    ReservationEvent,
    ReservationExpired,
    ReservationHeld,
    ReservationRejected,
    ReservationReleased,
    ReservationShipped,
    ShippedLine,
    StockEvent,
)

Decision = Mapping[str, Sequence[Event]]
"""Events by stream, streams in order of their ids. Empty: nothing to do."""


class ReservationState(Enum):
    """NONE before the first request; only HELD and COMMITTED keep stock."""

    NONE = "NONE"
    HELD = "HELD"
    COMMITTED = "COMMITTED"
    RELEASED = "RELEASED"
    EXPIRED = "EXPIRED"
    REJECTED = "REJECTED"


@dataclass(frozen=True, slots=True)
class StockRequest:
    """An order that wants stock. `attempt` counts from 1."""

    order_id: str
    request_id: str
    attempt: int
    lines: tuple[WantedLine, ...]


@dataclass(frozen=True, slots=True)
class Reservation:
    """State folded from one reservation stream.

    `lines` is what is held or allocated and not yet shipped, `answered` the requests that have
    their answer, `shipments` those whose goods have left.
    """

    id: str
    order_id: str = ""
    state: ReservationState = ReservationState.NONE
    attempt: int = 0
    expires_at: datetime | None = None
    lines: tuple[HeldLine, ...] = ()
    answered: frozenset[str] = frozenset()
    shipments: frozenset[str] = frozenset()

    @classmethod
    def initial(cls, stream: str) -> Reservation:
        return cls(stream)

    def hold(
        self,
        request: StockRequest,
        stock: Iterable[StockItem],
        *,
        expires_at: datetime,
        low_at: int = 0,
    ) -> Decision:
        """Decide: hold all lines or reject with the shortages.

        `stock` is every item of the variants wanted. What is held already is confirmed again;
        what is committed stays so.
        """
        if request.request_id in self.answered:
            return {}
        about = (request.order_id, self.id, request.request_id)
        if self.state is ReservationState.COMMITTED:
            return {self.id: [ReservationCommitted(*about)]}
        if self.state is ReservationState.HELD:
            held = ReservationHeld(*about, request.attempt, expires_at, self.lines)
            return {self.id: [held]}
        items = {item.id: item for item in stock}
        picking = pick(request.lines, items.values())
        if picking.shortages or not picking.picks:
            return {
                self.id: [ReservationRejected(*about, request.attempt, picking.shortages)],
            }
        decision: dict[str, Sequence[Event]] = {
            item_id: items[item_id].reserve(self.id, request.order_id, quantity, low_at=low_at)
            for item_id, quantity in _by_item(picking.picks).items()
        }
        decision[self.id] = [ReservationHeld(*about, request.attempt, expires_at, picking.picks)]
        return _in_order(decision)

    def commit(
        self, order_id: str, request_id: str, stock: Mapping[str, StockItem], *, now: datetime
    ) -> Decision:
        """Decide: allocate what is held, or say that it expired. `stock` by id."""
        if request_id in self.answered:
            return {}
        about = (order_id, self.id, request_id)
        match self.state:
            case ReservationState.COMMITTED:
                return {self.id: [ReservationCommitted(*about)]}
            case ReservationState.HELD if self.expires_at is not None and self.expires_at > now:
                decision: dict[str, Sequence[Event]] = {
                    item_id: stock[item_id].allocate(self.id, order_id, quantity)
                    for item_id, quantity in _by_item(self.lines).items()
                }
                decision[self.id] = [ReservationCommitted(*about)]
                return _in_order(decision)
            case ReservationState.HELD:
                expired = ReservationExpired(*about, attempt=self.attempt)
                return _in_order({**self._freed(stock), self.id: [expired]})
            case _:
                return {self.id: [ReservationExpired(*about, attempt=self.attempt)]}

    def release(
        self, order_id: str, request_id: str, reason: str, stock: Mapping[str, StockItem]
    ) -> Decision:
        """Decide: keep nothing more for the order. Goods that were shipped are not touched."""
        if request_id in self.answered:
            return {}
        released = ReservationReleased(order_id, self.id, request_id, reason)
        return _in_order({**self._freed(stock), self.id: [released]})

    def expire(self, attempt: int, stock: Mapping[str, StockItem], *, now: datetime) -> Decision:
        """Decide, when the timer of `attempt` fires: too late for what moved on meanwhile."""
        if (
            self.state is not ReservationState.HELD
            or self.attempt != attempt
            or self.expires_at is None
            or self.expires_at > now
        ):
            return {}
        expired = ReservationExpired(self.order_id, self.id, "", attempt)
        return _in_order({**self._freed(stock), self.id: [expired]})

    def ship(
        self,
        shipment_id: str,
        quantities: Sequence[tuple[str, int]],
        stock: Mapping[str, StockItem],
    ) -> Decision:
        """Decide: the units of a shipment, as (line id, quantity), leave the house.

        A shipment that left already is nothing to do. Raises ShipmentExceedsAllocation.
        """
        if shipment_id in self.shipments:
            return {}
        left = list(self.lines) if self.state is ReservationState.COMMITTED else []
        shipped: list[ShippedLine] = []
        for line_id, quantity in quantities:
            missing = quantity
            for index, line in enumerate(left):
                taken = min(missing, line.quantity) if line.line_id == line_id else 0
                if taken > 0:
                    missing -= taken
                    left[index] = _less(line, taken)
                    shipped.append(ShippedLine(line_id, line.stock_item_id, taken))
            if missing > 0:
                raise ShipmentExceedsAllocation(self.order_id, shipment_id, line_id, missing)
        decision: dict[str, Sequence[Event]] = {
            item_id: stock[item_id].ship(self.id, self.order_id, shipment_id, quantity)
            for item_id, quantity in _by_item(shipped).items()
        }
        decision[self.id] = [
            ReservationShipped(self.order_id, self.id, "", shipment_id, tuple(shipped))
        ]
        return _in_order(decision)

    def evolve(self, event: ReservationEvent) -> Reservation:
        """Fold. Never refuses: the event already happened."""
        state = replace(
            self,
            order_id=event.order_id,
            answered=self.answered | {event.request_id} if event.request_id else self.answered,
        )
        match event:
            case ReservationHeld(attempt=attempt, expires_at=expires_at, lines=lines):
                return replace(
                    state,
                    state=ReservationState.HELD,
                    attempt=attempt,
                    expires_at=expires_at,
                    lines=lines,
                )
            case ReservationRejected(attempt=attempt):
                return replace(
                    state, state=ReservationState.REJECTED, attempt=attempt, expires_at=None
                )
            case ReservationCommitted():
                return replace(state, state=ReservationState.COMMITTED, expires_at=None)
            case ReservationReleased():
                return state._ended(ReservationState.RELEASED)
            case ReservationExpired():
                return state._ended(ReservationState.EXPIRED)
            case ReservationShipped(shipment_id=shipment_id, lines=shipped):
                return replace(
                    state,
                    shipments=self.shipments | {shipment_id},
                    lines=_without(self.lines, shipped),
                )
            case _:
                assert_never(event)

    @property
    def stock_item_ids(self) -> tuple[str, ...]:
        """The stock this reservation keeps, in order, each once."""
        return tuple(sorted({line.stock_item_id for line in self.lines}))

    @property
    def variant_ids(self) -> tuple[str, ...]:
        """The variants this reservation keeps, in order, each once."""
        return tuple(sorted({line.variant_id for line in self.lines}))

    def _ended(self, state: ReservationState) -> Reservation:
        """Keep nothing. A reservation that had ended before stays what it was."""
        keeps = (ReservationState.NONE, ReservationState.HELD, ReservationState.COMMITTED)
        ended = state if self.state in keeps else self.state
        return replace(self, state=ended, expires_at=None, lines=())

    def _freed(self, stock: Mapping[str, StockItem]) -> dict[str, Sequence[StockEvent]]:
        match self.state:
            case ReservationState.HELD | ReservationState.COMMITTED:
                allocated = self.state is ReservationState.COMMITTED
                return {
                    item_id: stock[item_id].release(
                        self.id, self.order_id, quantity, allocated=allocated
                    )
                    for item_id, quantity in _by_item(self.lines).items()
                }
            case _:
                return {}


def _by_item(lines: Iterable[HeldLine | ShippedLine]) -> dict[str, int]:
    """Units by stock item: several lines of one item are summed before anything is decided."""
    sums: dict[str, int] = defaultdict(int)
    for line in lines:
        sums[line.stock_item_id] += line.quantity
    return dict(sums)


def _less(line: HeldLine, quantity: int) -> HeldLine:
    return HeldLine(
        line.line_id,
        line.variant_id,
        line.sku,
        line.warehouse_id,
        line.stock_item_id,
        line.quantity - quantity,
    )


def _without(lines: Sequence[HeldLine], shipped: Iterable[ShippedLine]) -> tuple[HeldLine, ...]:
    """What is left of `lines` after `shipped`; a line of nothing is gone."""
    left = list(lines)
    for gone in shipped:
        for index, line in enumerate(left):
            if (line.line_id, line.stock_item_id) == (gone.line_id, gone.stock_item_id):
                left[index] = _less(line, gone.quantity)
                break
    return tuple(line for line in left if line.quantity > 0)


def _in_order(decision: Mapping[str, Sequence[Event]]) -> Decision:
    return {stream: decision[stream] for stream in sorted(decision)}

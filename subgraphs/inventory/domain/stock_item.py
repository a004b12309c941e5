"""One variant in one warehouse: on hand ≥ reserved + allocated ≥ 0, always."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import ClassVar

from subgraphs.inventory.domain.movement import movement_of
from subgraphs.inventory.errors import (
    NotEnoughStock,
    QuantityChanged,
    QuantityOutOfRange,
    ReasonMissing,
    UnknownStockItem,
)
from subgraphs.inventory.events import (
    StockAdjusted,
    StockAllocated,
    StockEvent,
    StockOpened,
    StockRanLow,
    StockReceived,
    StockReleased,
    StockReserved,
    StockShipped,
    StockTransferredIn,
    StockTransferredOut,
)

MOVEMENT_UNITS_MAX = 1_000_000
"""The most units one command may move."""


class AdjustReason(Enum):
    """Why somebody corrects a figure."""

    COUNT = "COUNT"
    DAMAGE = "DAMAGE"
    RETURN = "RETURN"
    CORRECTION = "CORRECTION"


@dataclass(frozen=True, slots=True)
class Place:
    """Which variant, in which warehouse."""

    variant_id: str
    sku: str
    warehouse_id: str


@dataclass(frozen=True, slots=True)
class StockItem:
    """State folded from one stock stream. Figures are whole units.

    `low_at` is the threshold of the low-stock event; it is policy, not state, and comes with the
    command. Every order line is some events of a stock item: its streams are the longest.
    """

    SNAPSHOT_VERSION: ClassVar[int] = 1

    id: str
    place: Place | None = None
    on_hand: int = 0
    reserved: int = 0
    allocated: int = 0

    @classmethod
    def initial(cls, stream: str) -> StockItem:
        return cls(stream)

    @property
    def available(self) -> int:
        """What a buyer may still have."""
        return self.on_hand - self.reserved - self.allocated

    def receive(self, place: Place, quantity: int) -> list[StockEvent]:
        """Decide. The first receipt opens the item. Raises QuantityOutOfRange."""
        _in_range(quantity)
        opening: list[StockEvent] = [] if self.place else [StockOpened(*_of(place))]
        return [*opening, StockReceived(*_of(place), quantity=quantity)]

    def adjust(
        self,
        delta: int,
        reason: AdjustReason,
        *,
        note: str | None = None,
        change_from_quantity: int | None = None,
        low_at: int = 0,
    ) -> list[StockEvent]:
        """Decide. `change_from_quantity` is what the caller believes is on hand.

        A delta of 0 is nothing to do. Raises UnknownStockItem, QuantityChanged, ReasonMissing,
        QuantityOutOfRange, and NotEnoughStock when units that are promised would go.
        """
        place = self._known()
        if reason is AdjustReason.CORRECTION and not (note or "").strip():
            raise ReasonMissing()
        if change_from_quantity is not None and change_from_quantity != self.on_hand:
            raise QuantityChanged(self.id, change_from_quantity, self.on_hand)
        if delta == 0:
            return []
        _in_range(abs(delta))
        if delta < 0 and -delta > self.available:
            raise NotEnoughStock(place.variant_id, -delta, self.available)
        adjusted = StockAdjusted(*_of(place), delta=delta, reason=reason.value, note=note)
        return [adjusted, *self._low(-delta, low_at)]

    def send(self, quantity: int, to: str, *, low_at: int = 0) -> list[StockEvent]:
        """Decide the leaving half of a transfer to the stock item `to`.

        Raises UnknownStockItem, QuantityOutOfRange, NotEnoughStock.
        """
        place = self._known()
        _in_range(quantity)
        self._free(quantity)
        left = StockTransferredOut(*_of(place), quantity=quantity, to_stock_item_id=to)
        return [left, *self._low(quantity, low_at)]

    def arrive(self, place: Place, quantity: int, origin: str) -> list[StockEvent]:
        """Decide the arriving half of a transfer from the stock item `origin`."""
        _in_range(quantity)
        opening: list[StockEvent] = [] if self.place else [StockOpened(*_of(place))]
        came = StockTransferredIn(*_of(place), quantity=quantity, from_stock_item_id=origin)
        return [*opening, came]

    def reserve(
        self, reservation_id: str, order_id: str, quantity: int, *, low_at: int = 0
    ) -> list[StockEvent]:
        """Decide. Raises NotEnoughStock unless that much is available."""
        self._known()
        self._free(quantity)
        return [StockReserved(reservation_id, order_id, quantity), *self._low(quantity, low_at)]

    def allocate(self, reservation_id: str, order_id: str, quantity: int) -> list[StockEvent]:
        """Decide: what is reserved becomes the order's."""
        assert 0 < quantity <= self.reserved, (self, quantity)
        return [StockAllocated(reservation_id, order_id, quantity)]

    def release(
        self, reservation_id: str, order_id: str, quantity: int, *, allocated: bool
    ) -> list[StockEvent]:
        """Decide: what is reserved (or allocated) is free again."""
        assert 0 < quantity <= (self.allocated if allocated else self.reserved), (self, quantity)
        return [StockReleased(reservation_id, order_id, quantity, allocated)]

    def ship(
        self, reservation_id: str, order_id: str, shipment_id: str, quantity: int
    ) -> list[StockEvent]:
        """Decide: allocated units leave the house."""
        place = self._known()
        assert 0 < quantity <= self.allocated, (self, quantity)
        return [StockShipped(*_of(place), reservation_id, order_id, shipment_id, quantity)]

    def evolve(self, event: StockEvent) -> StockItem:
        """Fold. Never refuses: the event already happened."""
        place = self.place
        if isinstance(event, StockOpened):
            place = Place(event.variant_id, event.sku, event.warehouse_id)
        moved = movement_of(event)
        return replace(
            self,
            place=place,
            on_hand=self.on_hand + moved.on_hand,
            reserved=self.reserved + moved.reserved,
            allocated=self.allocated + moved.allocated,
        )

    def _known(self) -> Place:
        if self.place is None:
            raise UnknownStockItem(self.id)
        return self.place

    def _free(self, quantity: int) -> None:
        if quantity > self.available:
            raise NotEnoughStock(self._known().variant_id, quantity, self.available)

    def _low(self, taken: int, low_at: int) -> list[StockEvent]:
        """The low-stock event, once, at the step that crosses the threshold."""
        left = self.available - taken
        if left > low_at or self.available <= low_at:
            return []
        return [StockRanLow(*_of(self._known()), available=left, threshold=low_at)]


def _of(place: Place) -> tuple[str, str, str]:
    return place.variant_id, place.sku, place.warehouse_id


def _in_range(quantity: int) -> None:
    if not 0 < quantity <= MOVEMENT_UNITS_MAX:
        raise QuantityOutOfRange(quantity, 1, MOVEMENT_UNITS_MAX)

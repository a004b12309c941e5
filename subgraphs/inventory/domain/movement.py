"""What each stock event does to the three figures of a stock item.

The one place that says it: the fold, the guard row and the read models all add these.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import assert_never

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


@dataclass(frozen=True, slots=True)
class Movement:
    """Signed units added to what is on hand, reserved and allocated."""

    on_hand: int = 0
    reserved: int = 0
    allocated: int = 0

    def __add__(self, other: Movement) -> Movement:
        return Movement(
            self.on_hand + other.on_hand,
            self.reserved + other.reserved,
            self.allocated + other.allocated,
        )


NONE = Movement()


def movement_of(event: StockEvent) -> Movement:
    """The movement of one event."""
    match event:
        case StockOpened() | StockRanLow():
            return NONE
        case StockReceived(quantity=n) | StockTransferredIn(quantity=n):
            return Movement(on_hand=n)
        case StockTransferredOut(quantity=n):
            return Movement(on_hand=-n)
        case StockAdjusted(delta=n):
            return Movement(on_hand=n)
        case StockReserved(quantity=n):
            return Movement(reserved=n)
        case StockAllocated(quantity=n):
            return Movement(reserved=-n, allocated=n)
        case StockReleased(quantity=n, allocated=allocated):
            return Movement(allocated=-n) if allocated else Movement(reserved=-n)
        case StockShipped(quantity=n):
            return Movement(on_hand=-n, allocated=-n)
        case _:
            assert_never(event)


def total(events: Iterable[StockEvent]) -> Movement:
    """The movements of several events in one."""
    moved = NONE
    for event in events:
        moved += movement_of(event)
    return moved

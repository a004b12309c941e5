"""The rules of stock: decided and folded, without I/O."""

from subgraphs.inventory.domain.identity import reservation_of, stock_item_of
from subgraphs.inventory.domain.movement import Movement, movement_of
from subgraphs.inventory.domain.picking import Picking, WantedLine, pick
from subgraphs.inventory.domain.reservation import (
    Decision,
    Reservation,
    ReservationState,
    StockRequest,
)
from subgraphs.inventory.domain.stock_item import AdjustReason, Place, StockItem
from subgraphs.inventory.domain.warehouse import Warehouse

__all__ = [
    "AdjustReason",
    "Decision",
    "Movement",
    "Picking",
    "Place",
    "Reservation",
    "ReservationState",
    "StockItem",
    "StockRequest",
    "WantedLine",
    "Warehouse",
    "movement_of",
    "pick",
    "reservation_of",
    "stock_item_of",
]

"""Read models of stock: levels with their totals, the ledger of movements, reservations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from eventstore.event import Recorded
from projections import Cursor, Projection
from subgraphs.inventory.domain.movement import movement_of
from subgraphs.inventory.events import (
    ReservationCommitted,
    ReservationExpired,
    ReservationHeld,
    ReservationRejected,
    ReservationReleased,
    ReservationShipped,
    StockAdjusted,
    StockAllocated,
    StockOpened,
    StockRanLow,
    StockReceived,
    StockReleased,
    StockReserved,
    StockShipped,
    StockTransferredIn,
    StockTransferredOut,
    WarehouseCreated,
)


class Warehouses(Projection):
    """One row per warehouse."""

    name, version, handles = "warehouses", 1, (WarehouseCreated,)
    tables = """
        CREATE TABLE warehouses (
            id text PRIMARY KEY,
            code text NOT NULL,
            name text NOT NULL,
            country text NOT NULL
        );
        CREATE INDEX warehouses_by_code ON warehouses (code);
    """

    def apply(self, recorded: Recorded[Any], cursor: Cursor) -> None:
        """Write the row."""
        event = recorded.event
        cursor.execute(
            "INSERT INTO warehouses VALUES (%s, %s, %s, %s)",
            (recorded.stream, event.code, event.name, event.country),
        )


@dataclass(slots=True)
class _Level:
    """What a batch adds to one row of `stock_levels`."""

    version: int = 0
    variant_id: str = ""
    sku: str = ""
    warehouse_id: str = ""
    on_hand: int = 0
    reserved: int = 0
    allocated: int = 0
    received: int = 0
    sold: int = 0
    adjusted: int = 0
    transferred: int = 0


class StockLevels(Projection):
    """One row per stock item: the figures now, and what came and went in all.

    received + adjusted + transferred - sold = on_hand, for every row.
    """

    name, version = "stock_levels", 1
    handles = (
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
    )
    tables = """
        CREATE TABLE stock_levels (
            id text PRIMARY KEY,
            version bigint NOT NULL,
            variant_id text NOT NULL,
            sku text NOT NULL,
            warehouse_id text NOT NULL,
            on_hand bigint NOT NULL,
            reserved bigint NOT NULL,
            allocated bigint NOT NULL,
            received bigint NOT NULL,
            sold bigint NOT NULL,
            adjusted bigint NOT NULL,
            transferred bigint NOT NULL
        );
        CREATE INDEX stock_levels_of_variant ON stock_levels (variant_id);
        CREATE INDEX stock_levels_by_sku ON stock_levels (sku, id);
        CREATE INDEX stock_levels_of_warehouse ON stock_levels (warehouse_id, sku, id);
    """

    def apply(self, recorded: Recorded[Any], cursor: Cursor) -> None:
        """Write the row of one event."""
        self.fold([recorded], cursor)

    def fold(self, batch: Sequence[Recorded[Any]], cursor: Cursor) -> None:
        """Add up the batch by item, then write all rows in one statement."""
        levels: dict[str, _Level] = {}
        for recorded in batch:
            level = levels.setdefault(recorded.stream, _Level())
            level.version = recorded.version
            _add(level, recorded.event)
        columns = _Level.__slots__
        cursor.execute(
            "INSERT INTO stock_levels AS level (id, version, variant_id, sku, warehouse_id,"
            " on_hand, reserved, allocated, received, sold, adjusted, transferred)"
            " SELECT * FROM unnest(%s::text[], %s::bigint[], %s::text[], %s::text[], %s::text[],"
            " %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[],"
            " %s::bigint[])"
            " ON CONFLICT (id) DO UPDATE SET version = excluded.version,"
            " on_hand = level.on_hand + excluded.on_hand,"
            " reserved = level.reserved + excluded.reserved,"
            " allocated = level.allocated + excluded.allocated,"
            " received = level.received + excluded.received,"
            " sold = level.sold + excluded.sold,"
            " adjusted = level.adjusted + excluded.adjusted,"
            " transferred = level.transferred + excluded.transferred",
            [
                list(levels),
                *([getattr(level, name) for level in levels.values()] for name in columns),
            ],
        )


def _add(level: _Level, event: Any) -> None:
    moved = movement_of(event)
    level.on_hand += moved.on_hand
    level.reserved += moved.reserved
    level.allocated += moved.allocated
    match event:
        case StockOpened():
            level.variant_id, level.sku = event.variant_id, event.sku
            level.warehouse_id = event.warehouse_id
        case StockReceived(quantity=quantity):
            level.received += quantity
        case StockShipped(quantity=quantity):
            level.sold += quantity
        case StockAdjusted(delta=delta):
            level.adjusted += delta
        case StockTransferredIn() | StockTransferredOut():
            level.transferred += moved.on_hand
        case _:
            pass


class StockMovements(Projection):
    """The ledger: one row per movement, never changed."""

    name, version = "stock_movements", 1
    handles = (
        StockReceived,
        StockAdjusted,
        StockTransferredOut,
        StockTransferredIn,
        StockReserved,
        StockAllocated,
        StockReleased,
        StockShipped,
    )
    tables = """
        CREATE TABLE stock_movements (
            position bigint PRIMARY KEY,
            stock_item_id text NOT NULL,
            kind text NOT NULL,
            on_hand bigint NOT NULL,
            reserved bigint NOT NULL,
            allocated bigint NOT NULL,
            order_id text,
            reason text,
            actor_kind text NOT NULL,
            actor_id text NOT NULL,
            event_id text NOT NULL,
            at timestamptz NOT NULL
        );
        CREATE INDEX stock_movements_of_item ON stock_movements (stock_item_id, position);
    """

    def apply(self, recorded: Recorded[Any], cursor: Cursor) -> None:
        """Write the row of one event."""
        self.fold([recorded], cursor)

    def fold(self, batch: Sequence[Recorded[Any]], cursor: Cursor) -> None:
        """Write all rows of a batch in one statement."""
        rows = [_movement_row(recorded) for recorded in batch]
        cursor.execute(
            "INSERT INTO stock_movements SELECT * FROM unnest(%s::bigint[], %s::text[], %s::text[],"
            " %s::bigint[], %s::bigint[], %s::bigint[], %s::text[], %s::text[], %s::text[],"
            " %s::text[], %s::text[], %s::timestamptz[])",
            [list(column) for column in zip(*rows, strict=True)],
        )


def _movement_row(recorded: Recorded[Any]) -> tuple[Any, ...]:
    event, metadata = recorded.event, recorded.metadata
    moved = movement_of(event)
    reason = metadata.reason
    if isinstance(event, StockAdjusted):
        reason = f"{event.reason}: {event.note}" if event.note else event.reason
    return (
        recorded.position,
        recorded.stream,
        recorded.type.removeprefix("stock."),
        moved.on_hand,
        moved.reserved,
        moved.allocated,
        getattr(event, "order_id", None),
        reason,
        metadata.actor.kind,
        metadata.actor.id,
        str(recorded.id),
        metadata.occurred_at,
    )


class Reservations(Projection):
    """One row per reservation. `lines` is what was last held, as JSON."""

    name, version = "reservations", 1
    handles = (
        ReservationHeld,
        ReservationRejected,
        ReservationCommitted,
        ReservationReleased,
        ReservationExpired,
        ReservationShipped,
    )
    tables = """
        CREATE TABLE reservations (
            id text PRIMARY KEY,
            order_id text NOT NULL,
            version bigint NOT NULL,
            state text NOT NULL,
            expires_at timestamptz,
            held_at timestamptz NOT NULL,
            lines jsonb NOT NULL,
            shortages jsonb NOT NULL
        );
        CREATE INDEX reservations_of_order ON reservations (order_id);
        CREATE INDEX reservations_by_newest ON reservations (held_at DESC, id DESC);
        CREATE INDEX reservations_by_state ON reservations (state, held_at DESC, id DESC);
    """

    def apply(self, recorded: Recorded[Any], cursor: Cursor) -> None:
        """Write the row of one event."""
        event = recorded.event
        values: tuple[Any, ...]
        match event:
            case ReservationHeld():
                values = ("HELD", event.expires_at, _json(event.lines), "[]")
            case ReservationRejected():
                values = ("REJECTED", None, "[]", _json(event.shortages))
            case _:
                cursor.execute(
                    "UPDATE reservations SET version = %s, expires_at = NULL, state = CASE"
                    " WHEN %s AND state IN ('HELD', 'COMMITTED') THEN %s ELSE state END"
                    " WHERE id = %s",
                    (recorded.version, *_ending(event), recorded.stream),
                )
                return
        cursor.execute(
            "INSERT INTO reservations (id, order_id, version, held_at, state, expires_at, lines,"
            " shortages) VALUES (%s, %s, %s, %s, %s, %s, %s::jsonb, %s::jsonb)"
            " ON CONFLICT (id) DO UPDATE SET version = excluded.version, state = excluded.state,"
            " expires_at = excluded.expires_at, lines = excluded.lines,"
            " shortages = excluded.shortages",
            (
                recorded.stream,
                event.order_id,
                recorded.version,
                recorded.metadata.occurred_at,
                *values,
            ),
        )


def _ending(event: Any) -> tuple[bool, str]:
    match event:
        case ReservationCommitted():
            return True, "COMMITTED"
        case ReservationReleased():
            return True, "RELEASED"
        case ReservationExpired():
            return True, "EXPIRED"
        case _:
            return False, ""


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


PROJECTIONS: tuple[Projection, ...] = (
    Warehouses(),
    StockLevels(),
    StockMovements(),
    Reservations(),
)

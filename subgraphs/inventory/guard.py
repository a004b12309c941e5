"""The guard: one row per stock item, written in the transaction of every event about it.

It has two uses. Its CHECK constraint refuses an append that would promise a unit twice, even if
the rules that decided it were wrong: the rows add movements up by themselves and do not take the
writer's figures. And a row is the state of its stream at `version`, so that the stock of a whole
order is read by one statement, however long the streams have become.

The log remains the truth: `rebuild` makes the rows from it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg

from eventstore import Append, Effect, EventStore
from eventstore.event import Event
from projections import ReadModels
from subgraphs.inventory.domain import Decision, Movement, Place, StockItem
from subgraphs.inventory.domain.movement import movement_of
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

CONSTRAINT = "stock_is_never_promised_twice"

TABLES = f"""
CREATE TABLE IF NOT EXISTS public.inventory_stock (
    id text PRIMARY KEY,
    variant_id text NOT NULL,
    sku text NOT NULL,
    warehouse_id text NOT NULL,
    version bigint NOT NULL DEFAULT 0,
    on_hand bigint NOT NULL DEFAULT 0,
    reserved bigint NOT NULL DEFAULT 0,
    allocated bigint NOT NULL DEFAULT 0,
    CONSTRAINT {CONSTRAINT}
        CHECK (reserved >= 0 AND allocated >= 0 AND on_hand >= reserved + allocated)
);
CREATE INDEX IF NOT EXISTS inventory_stock_of_variant ON public.inventory_stock (variant_id);
"""

_OPEN = """
INSERT INTO public.inventory_stock (id, variant_id, sku, warehouse_id)
VALUES (%s, %s, %s, %s)
"""

_MOVE = """
UPDATE public.inventory_stock AS stock
SET version = stock.version + moved.events,
    on_hand = stock.on_hand + moved.on_hand,
    reserved = stock.reserved + moved.reserved,
    allocated = stock.allocated + moved.allocated
FROM unnest(%s::text[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[])
    AS moved (id, events, on_hand, reserved, allocated)
WHERE stock.id = moved.id
"""

_ROWS = """
SELECT id, variant_id, sku, warehouse_id, version, on_hand, reserved, allocated
FROM public.inventory_stock
"""

_STOCK_EVENTS: tuple[type[StockEvent], ...] = (
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
PAGE_EVENTS = 5000


@dataclass(frozen=True, slots=True)
class Stock:
    """Stock items by id, as they were when they were read, and the versions of their streams."""

    items: Mapping[str, StockItem] = field(default_factory=dict)
    versions: Mapping[str, int] = field(default_factory=dict)

    def item(self, stock_item_id: str) -> StockItem:
        """An item; one that was never opened is empty."""
        return self.items.get(stock_item_id) or StockItem.initial(stock_item_id)

    def after(self, decision: Decision) -> dict[str, StockItem]:
        """The items a decision touches, as it leaves them."""
        states: dict[str, StockItem] = {}
        for stream, events in decision.items():
            if stream.startswith("stk_"):
                state = self.item(stream)
                for event in events:
                    assert isinstance(event, _STOCK_EVENTS)
                    state = state.evolve(event)
                states[stream] = state
        return states

    def appends(self, decision: Decision) -> list[Append]:
        """The appends of a decision's stock streams, each expected where it was read."""
        return [
            Append(stream, events, self.versions.get(stream, 0))
            for stream, events in decision.items()
            if stream.startswith("stk_")
        ]


class StockGuard:
    """Reads the rows, and makes the statements that write them."""

    def __init__(self, reads: ReadModels) -> None:
        self._reads = reads

    async def available(self, variant_ids: Iterable[str]) -> Stock:
        """All stock of these variants of which something can be had, in one statement."""
        where = "WHERE variant_id = ANY(%s) AND on_hand > reserved + allocated"
        return await self._read(where, sorted(set(variant_ids)))

    async def of_items(self, stock_item_ids: Iterable[str]) -> Stock:
        """These stock items, in one statement. Those never opened are left out."""
        return await self._read("WHERE id = ANY(%s)", sorted(set(stock_item_ids)))

    async def _read(self, where: str, keys: Sequence[str]) -> Stock:
        if not keys:
            return Stock()
        rows = await self._reads.fetch(f"{_ROWS} {where}", (list(keys),))
        return Stock(
            {row["id"]: _item(row) for row in rows}, {row["id"]: row["version"] for row in rows}
        )


def effects(decision: Mapping[str, Sequence[Event]]) -> list[Effect]:
    """What is to be written to the rows with the events of a decision."""
    openings: list[Effect] = []
    moved: list[tuple[str, int, Movement]] = []
    for stream, events in decision.items():
        if not stream.startswith("stk_"):
            continue
        movement = Movement()
        for event in events:
            assert isinstance(event, _STOCK_EVENTS)
            movement += movement_of(event)
            if isinstance(event, StockOpened):
                row = (stream, event.variant_id, event.sku, event.warehouse_id)
                openings.append(Effect(_OPEN, row))
        moved.append((stream, len(events), movement))
    return [*openings, Effect(_MOVE, _columns(moved))] if moved else []


async def rebuild(store: EventStore, conninfo: str) -> int:
    """Make all rows anew from the log, while no append can touch them; the number of rows."""
    async with await psycopg.AsyncConnection.connect(conninfo) as connection:
        await connection.execute("LOCK TABLE public.inventory_stock IN ACCESS EXCLUSIVE MODE")
        await connection.execute("DELETE FROM public.inventory_stock")
        states: dict[str, tuple[StockItem, int]] = {}
        types = [event.TYPE for event in _STOCK_EVENTS]
        position = 0
        while page := await store.read(position, limit=PAGE_EVENTS, types=types):
            for recorded in page:
                state, _ = states.get(recorded.stream) or (StockItem.initial(recorded.stream), 0)
                states[recorded.stream] = (state.evolve(recorded.event), recorded.version)
            position = page[-1].position
        cursor = connection.cursor()
        async with cursor.copy(
            "COPY public.inventory_stock (id, variant_id, sku, warehouse_id, version, on_hand,"
            " reserved, allocated) FROM STDIN"
        ) as copy:
            for state, version in states.values():
                assert state.place is not None, f"{state.id} was moved before it was opened"
                place = state.place
                figures = (state.on_hand, state.reserved, state.allocated)
                await copy.write_row(
                    (state.id, place.variant_id, place.sku, place.warehouse_id, version, *figures)
                )
        return len(states)


async def rebuild_if_lost(store: EventStore, reads: ReadModels, conninfo: str) -> None:
    """Rebuild when there are no rows although the log has stock: after a restore, say."""
    if await reads.fetch_one("SELECT 1 FROM public.inventory_stock LIMIT 1") is None:
        await rebuild(store, conninfo)


def _columns(moved: Sequence[tuple[str, int, Movement]]) -> tuple[list[Any], ...]:
    return (
        [stream for stream, _, _ in moved],
        [events for _, events, _ in moved],
        [movement.on_hand for _, _, movement in moved],
        [movement.reserved for _, _, movement in moved],
        [movement.allocated for _, _, movement in moved],
    )


def _item(row: Mapping[str, Any]) -> StockItem:
    return StockItem(
        row["id"],
        Place(row["variant_id"], row["sku"], row["warehouse_id"]),
        row["on_hand"],
        row["reserved"],
        row["allocated"],
    )

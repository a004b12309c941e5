"""What is asked of the read models. Loaders take keys and give a mapping: one statement each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from projections import ReadModels
from subgraphs.shared.paging import Keyset, Page

Row = Mapping[str, Any]

BY_SKU = Keyset("sku", "id")
BY_NEWEST = Keyset("held_at", "id", descending=True, cast="timestamptz")
MOVEMENTS_BY_NEWEST = Keyset(
    "position", "position", descending=True, cast="bigint", id_cast="bigint"
)

_LEVEL = (
    "SELECT id, version, variant_id, sku, warehouse_id, on_hand, reserved, allocated, received,"
    " sold, adjusted, transferred FROM stock_levels"
)
_RESERVATION = (
    "SELECT r.id, r.order_id, r.version, r.state, r.expires_at, r.held_at, r.lines, r.shortages,"
    " o.customer_id FROM reservations r LEFT JOIN public.inventory_orders o USING (order_id)"
)


@dataclass(frozen=True, slots=True)
class LevelFilter:
    """None is any. `low_at`: only what has so few available, or fewer."""

    sku: str | None = None
    variant_id: str | None = None
    warehouse_id: str | None = None
    low_at: int | None = None


class InventoryReads:
    """The queries of this service."""

    def __init__(self, reads: ReadModels) -> None:
        self._reads = reads

    async def warehouses(self) -> Sequence[Row]:
        """All, by code."""
        return await self._reads.fetch("SELECT * FROM warehouses ORDER BY code LIMIT 10000")

    async def warehouses_by_id(self, ids: Sequence[str]) -> Mapping[str, Row]:
        """A loader."""
        rows = await self._reads.fetch("SELECT * FROM warehouses WHERE id = ANY(%s)", (list(ids),))
        return {row["id"]: row for row in rows}

    async def levels_by_id(self, ids: Sequence[str]) -> Mapping[str, Row]:
        """A loader."""
        rows = await self._reads.fetch(f"{_LEVEL} WHERE id = ANY(%s)", (list(ids),))
        return {row["id"]: row for row in rows}

    async def levels_of_variants(self, ids: Sequence[str]) -> Mapping[str, Sequence[Row]]:
        """A loader: stock items by variant."""
        rows = await self._reads.fetch(
            f"{_LEVEL} WHERE variant_id = ANY(%s) ORDER BY warehouse_id", (list(ids),)
        )
        found: dict[str, list[Row]] = {variant_id: [] for variant_id in ids}
        for row in rows:
            found[row["variant_id"]].append(row)
        return found

    async def available(
        self, keys: Sequence[tuple[str, str | None]]
    ) -> Mapping[tuple[str, str | None], int]:
        """A loader: units available by (variant, country of the warehouses, None for all)."""
        variants = sorted({variant_id for variant_id, _ in keys})
        rows = await self._reads.fetch(
            "SELECT l.variant_id, w.country, sum(l.on_hand - l.reserved - l.allocated)::bigint"
            " AS units FROM stock_levels l JOIN warehouses w ON w.id = l.warehouse_id"
            " WHERE l.variant_id = ANY(%s) GROUP BY l.variant_id, w.country",
            (variants,),
        )
        units: dict[tuple[str, str | None], int] = {}
        for row in rows:
            units[row["variant_id"], row["country"]] = row["units"]
            all_of_it = (row["variant_id"], None)
            units[all_of_it] = units.get(all_of_it, 0) + row["units"]
        return {key: units.get(key, 0) for key in keys}

    async def levels(self, page: Page, where: LevelFilter) -> Sequence[Row]:
        """A page of stock items, by sku."""
        return await self._reads.fetch(
            f"{_LEVEL} WHERE {page.condition}"
            " AND (%(sku)s::text IS NULL OR sku = %(sku)s)"
            " AND (%(variant_id)s::text IS NULL OR variant_id = %(variant_id)s)"
            " AND (%(warehouse_id)s::text IS NULL OR warehouse_id = %(warehouse_id)s)"
            " AND (%(low_at)s::bigint IS NULL OR on_hand - reserved - allocated <= %(low_at)s)"
            f" ORDER BY {page.order} LIMIT {page.limit}",
            {
                **page.params,
                "sku": where.sku,
                "variant_id": where.variant_id,
                "warehouse_id": where.warehouse_id,
                "low_at": where.low_at,
            },
        )

    async def summary(self) -> Row:
        """Sums over all stock, and how many rows contradict themselves or the guard."""
        row = await self._reads.fetch_one(
            "SELECT count(*) AS items, count(DISTINCT l.sku) AS skus,"
            " coalesce(sum(l.on_hand), 0)::bigint AS on_hand,"
            " coalesce(sum(l.reserved), 0)::bigint AS reserved,"
            " coalesce(sum(l.allocated), 0)::bigint AS allocated,"
            " coalesce(sum(l.received), 0)::bigint AS received,"
            " coalesce(sum(l.sold), 0)::bigint AS sold,"
            " coalesce(sum(l.adjusted), 0)::bigint AS adjusted,"
            " coalesce(sum(l.transferred), 0)::bigint AS transferred,"
            " count(*) FILTER (WHERE l.received + l.adjusted + l.transferred - l.sold"
            " <> l.on_hand) AS unbalanced,"
            " count(*) FILTER (WHERE g.id IS NULL OR (g.version = l.version"
            " AND (g.on_hand, g.reserved, g.allocated) <> (l.on_hand, l.reserved, l.allocated)))"
            " AS guard_mismatches"
            " FROM stock_levels l LEFT JOIN public.inventory_stock g ON g.id = l.id"
        )
        assert row is not None
        return row

    async def movements(
        self, stock_item_ids: Sequence[str], page: Page
    ) -> Mapping[str, Sequence[Row]]:
        """The newest movements of each of these items, `page` by `page`; one statement."""
        rows = await self._reads.fetch(
            "SELECT m.* FROM unnest(%(items)s::text[]) AS item (id), LATERAL ("
            " SELECT * FROM stock_movements WHERE stock_item_id = item.id"
            f" AND {page.condition} ORDER BY {page.order} LIMIT {page.limit}) AS m",
            {**page.params, "items": list(stock_item_ids)},
        )
        found: dict[str, list[Row]] = {item_id: [] for item_id in stock_item_ids}
        for row in rows:
            found[row["stock_item_id"]].append(row)
        return found

    async def reservations_by_id(self, ids: Sequence[str]) -> Mapping[str, Row]:
        """A loader."""
        rows = await self._reads.fetch(f"{_RESERVATION} WHERE r.id = ANY(%s)", (list(ids),))
        return {row["id"]: row for row in rows}

    async def reservations_of_orders(self, order_ids: Sequence[str]) -> Mapping[str, Row]:
        """A loader: an order has one reservation."""
        rows = await self._reads.fetch(
            f"{_RESERVATION} WHERE r.order_id = ANY(%s)", (list(order_ids),)
        )
        return {row["order_id"]: row for row in rows}

    async def reservations(
        self,
        page: Page,
        *,
        order_id: str | None,
        state: str | None,
        customer_id: str | None,
    ) -> Sequence[Row]:
        """A page of reservations, newest first; only those of a customer, if one is named."""
        return await self._reads.fetch(
            f"{_RESERVATION} WHERE {page.condition}"
            " AND (%(order_id)s::text IS NULL OR r.order_id = %(order_id)s)"
            " AND (%(state)s::text IS NULL OR r.state = %(state)s)"
            " AND (%(customer_id)s::text IS NULL OR o.customer_id = %(customer_id)s)"
            f" ORDER BY {page.order} LIMIT {page.limit}",
            {
                **page.params,
                "order_id": order_id,
                "state": state,
                "customer_id": customer_id,
            },
        )

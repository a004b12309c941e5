"""What is asked of the read models. Loaders take keys and give a mapping: one statement each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from projections import ReadModels
from subgraphs.shared.paging import Keyset, Page
from subgraphs.shipping.domain import RateRow

Row = Mapping[str, Any]

BY_NEWEST = Keyset("planned_at", "id", descending=True, cast="timestamptz")

_SHIPMENT = (
    "SELECT s.*, o.customer_id FROM shipments s LEFT JOIN public.shipping_orders o USING (order_id)"
)

ALL = "all"
"""The only key of the loader of rates."""


class ShippingReads:
    """The queries of this service."""

    def __init__(self, reads: ReadModels) -> None:
        self._reads = reads

    async def rates(self, keys: Sequence[str]) -> Mapping[str, Sequence[RateRow]]:
        """A loader with one key, ALL: the whole table, for all prices of a request."""
        rows = await self._reads.fetch("SELECT * FROM shipping_rates ORDER BY option_id")
        table = [
            RateRow(
                row["option_id"],
                row["name"],
                row["carrier"],
                row["price"],
                row["currency"] or None,
                row["country"] or None,
                row["weight_grams_max"] or None,
                row["eta_days"],
            )
            for row in rows
        ]
        return dict.fromkeys(keys, table)

    async def shipments_by_id(self, ids: Sequence[str]) -> Mapping[str, Row]:
        """A loader."""
        rows = await self._reads.fetch(f"{_SHIPMENT} WHERE s.id = ANY(%s)", (list(ids),))
        return {row["id"]: row for row in rows}

    async def shipments_of_orders(self, order_ids: Sequence[str]) -> Mapping[str, Sequence[Row]]:
        """A loader: shipments by order, oldest first."""
        rows = await self._reads.fetch(
            f"{_SHIPMENT} WHERE s.order_id = ANY(%s) ORDER BY s.planned_at, s.id",
            (list(order_ids),),
        )
        found: dict[str, list[Row]] = {order_id: [] for order_id in order_ids}
        for row in rows:
            found[row["order_id"]].append(row)
        return found

    async def shipments(
        self, page: Page, *, order_id: str | None, state: str | None
    ) -> Sequence[Row]:
        """A page of shipments, newest first."""
        return await self._reads.fetch(
            f"{_SHIPMENT} WHERE {page.condition}"
            " AND (%(order_id)s::text IS NULL OR s.order_id = %(order_id)s)"
            " AND (%(state)s::text IS NULL OR s.state = %(state)s)"
            f" ORDER BY {page.order} LIMIT {page.limit}",
            {**page.params, "order_id": order_id, "state": state},
        )

    async def tracking(self, shipment_ids: Sequence[str]) -> Mapping[str, Sequence[Row]]:
        """A loader: what was told of each shipment, oldest first."""
        rows = await self._reads.fetch(
            "SELECT * FROM shipment_tracking WHERE shipment_id = ANY(%s)"
            " ORDER BY shipment_id, version",
            (list(shipment_ids),),
        )
        found: dict[str, list[Row]] = {shipment_id: [] for shipment_id in shipment_ids}
        for row in rows:
            found[row["shipment_id"]].append(row)
        return found

    async def totals(self) -> Sequence[Row]:
        """Shipments, units and orders by state."""
        return await self._reads.fetch(
            "SELECT state, count(*) AS shipments, sum(units)::bigint AS units,"
            " count(DISTINCT order_id) AS orders FROM shipments GROUP BY state ORDER BY state"
        )

"""What is asked of the read models. Loaders take keys and give a mapping: one statement each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from projections import ReadModels
from subgraphs.shared.paging import Keyset, Page

Row = Mapping[str, Any]

BY_NEWEST = Keyset("requested_at", "id", descending=True, cast="timestamptz")

LEDGER_LINES_MAX = 500
"""The most lines of the ledger that are shown of one payment."""


class PaymentReads:
    """The queries of this service."""

    def __init__(self, reads: ReadModels) -> None:
        self._reads = reads

    async def by_id(self, ids: Sequence[str]) -> Mapping[str, Row]:
        """A loader."""
        rows = await self._reads.fetch("SELECT * FROM payments WHERE id = ANY(%s)", (list(ids),))
        return {row["id"]: row for row in rows}

    async def of_orders(self, order_ids: Sequence[str]) -> Mapping[str, Sequence[Row]]:
        """A loader: payments by order, oldest first."""
        rows = await self._reads.fetch(
            "SELECT * FROM payments WHERE order_id = ANY(%s) ORDER BY requested_at, id",
            (list(order_ids),),
        )
        found: dict[str, list[Row]] = {order_id: [] for order_id in order_ids}
        for row in rows:
            found[row["order_id"]].append(row)
        return found

    async def page(self, page: Page, *, order_id: str | None, state: str | None) -> Sequence[Row]:
        """A page of payments, newest first."""
        return await self._reads.fetch(
            f"SELECT * FROM payments WHERE {page.condition}"
            " AND (%(order_id)s::text IS NULL OR order_id = %(order_id)s)"
            " AND (%(state)s::text IS NULL OR state = %(state)s)"
            f" ORDER BY {page.order} LIMIT {page.limit}",
            {**page.params, "order_id": order_id, "state": state},
        )

    async def totals(self) -> Sequence[Row]:
        """Sums and counts by currency and state."""
        return await self._reads.fetch(
            "SELECT currency, state, count(*) AS payments,"
            " sum(authorized)::bigint AS authorized, sum(captured)::bigint AS captured,"
            " sum(refunded)::bigint AS refunded, sum(voided)::bigint AS voided"
            " FROM payments GROUP BY currency, state ORDER BY currency, state"
        )

    async def ledgers(self, payment_ids: Sequence[str]) -> Mapping[str, Sequence[Row]]:
        """A loader: the last lines of the ledger of each payment, oldest first."""
        rows = await self._reads.fetch(
            "SELECT line.* FROM unnest(%s::text[]) AS payment (id), LATERAL ("
            " SELECT * FROM payment_ledger WHERE payment_id = payment.id"
            f" ORDER BY position DESC LIMIT {LEDGER_LINES_MAX}) AS line ORDER BY line.position",
            (list(payment_ids),),
        )
        found: dict[str, list[Row]] = {payment_id: [] for payment_id in payment_ids}
        for row in rows:
            found[row["payment_id"]].append(row)
        return found

"""Queries over the read models. Each is one statement, however many rows it is asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from projections import ReadModels
from subgraphs.orders.views import CartView, LineView, OrderView, Row
from subgraphs.shared.paging import Keyset, Page

NEWEST = Keyset("placed_at", descending=True, cast="timestamptz")
OLDEST = Keyset("placed_at", cast="timestamptz")
DEAREST = Keyset("total_minor", descending=True, cast="bigint")
BY_SKU = Keyset("sku", "variant_id")
BY_POSITION = Keyset("position", "position", cast="bigint", id_cast="bigint")


_CONDITIONS = {
    "status": "o.status = ANY(%(status)s)",
    "customer_id": "o.customer_id = %(customer_id)s",
    "placed_after": "o.placed_at > %(placed_after)s",
    "placed_before": "o.placed_at < %(placed_before)s",
    "reason": "o.reason = ANY(%(reason)s)",
    "needs_operator": (
        "(o.operator_reason IS NOT NULL AND o.placement <> 'DONE') = %(needs_operator)s"
    ),
    "search": (
        "o.id IN (SELECT %(search)s UNION SELECT id FROM orders WHERE number = upper(%(search)s)"
        " UNION SELECT order_id FROM order_lines WHERE sku = %(search)s)"
    ),
}


@dataclass(frozen=True, slots=True)
class OrderFilter:
    """Every condition that is given must hold."""

    status: list[str] | None = None
    customer_id: str | None = None
    placed_after: datetime | None = None
    placed_before: datetime | None = None
    reason: list[str] | None = None
    needs_operator: bool | None = None
    search: str | None = None

    @property
    def params(self) -> dict[str, Any]:
        """Of the statement; what is not given is null."""
        return asdict(self)

    @property
    def condition(self) -> str:
        """SQL over `orders o`: only what is given, so that an index can be used for it."""
        given = [sql for name, sql in _CONDITIONS.items() if getattr(self, name) is not None]
        return " AND ".join(given) or "TRUE"


class OrderReads:
    def __init__(self, reads: ReadModels) -> None:
        self._reads = reads

    # ---- orders

    async def orders(self, ids: Sequence[str]) -> dict[str, OrderView]:
        """Orders by id; unknown ones are missing."""
        rows = await self._reads.fetch("SELECT * FROM orders WHERE id = ANY(%s)", (list(ids),))
        return {row["id"]: OrderView.of_row(row) for row in rows}

    async def order_by_number(self, number: str) -> OrderView | None:
        row = await self._reads.fetch_one(
            "SELECT * FROM orders WHERE number = upper(%s) ORDER BY id LIMIT 1", (number,)
        )
        return None if row is None else OrderView.of_row(row)

    async def lines_of(self, order_ids: Sequence[str]) -> dict[str, list[LineView]]:
        """Lines by order, in the order of the cart."""
        rows = await self._reads.fetch(
            "SELECT l.*, o.currency FROM order_lines l JOIN orders o ON o.id = l.order_id"
            " WHERE l.order_id = ANY(%s) ORDER BY l.order_id, l.rank",
            (list(order_ids),),
        )
        found: dict[str, list[LineView]] = {}
        for row in rows:
            found.setdefault(row["order_id"], []).append(LineView.of_row(row))
        return found

    async def lines(self, ids: Sequence[str]) -> dict[str, tuple[LineView, str]]:
        """Lines by their own id, each with the customer it belongs to."""
        rows = await self._reads.fetch(
            "SELECT l.*, o.currency, o.customer_id FROM order_lines l"
            " JOIN orders o ON o.id = l.order_id WHERE l.id = ANY(%s)",
            (list(ids),),
        )
        return {row["id"]: (LineView.of_row(row), row["customer_id"]) for row in rows}

    async def page(self, page: Page, where: OrderFilter) -> Sequence[Row]:
        """A page of the orders that match."""
        return await self._reads.fetch(
            f"SELECT * FROM orders o WHERE {page.condition} AND {where.condition}"
            f" ORDER BY {page.order} LIMIT {page.limit}",
            {**page.params, **where.params},
        )

    async def count(self, where: OrderFilter) -> int:
        row = await self._reads.fetch_one(
            f"SELECT count(*) AS n FROM orders o WHERE {where.condition}", where.params
        )
        return 0 if row is None else int(row["n"])

    async def pages_of_customers(
        self, customer_ids: Sequence[str], page: Page
    ) -> dict[str, list[Row]]:
        """The same page of each of these customers' orders."""
        rows = await self._reads.fetch(
            "SELECT o.* FROM unnest(%(customers)s::text[]) AS c(id) CROSS JOIN LATERAL ("
            f"SELECT * FROM orders WHERE customer_id = c.id AND {page.condition}"
            f" ORDER BY {page.order} LIMIT {page.limit}) o",
            {**page.params, "customers": list(customer_ids)},
        )
        found: dict[str, list[Row]] = {}
        for row in rows:
            found.setdefault(row["customer_id"], []).append(row)
        return found

    # ---- carts

    async def carts(self, ids: Sequence[str]) -> dict[str, CartView]:
        """Carts by id, with their lines; unknown ones are missing."""
        return _carts(
            await self._reads.fetch(f"{_CARTS} WHERE c.id = ANY(%s) {_LINES_LAST}", (list(ids),))
        )

    async def active_carts(self, customer_ids: Sequence[str]) -> dict[str, CartView]:
        """The newest open cart of each customer that has one."""
        rows = await self._reads.fetch(
            f"{_CARTS} WHERE c.id IN (SELECT DISTINCT ON (customer_id) id FROM carts"
            " WHERE customer_id = ANY(%s) AND status = 'OPEN'"
            f" ORDER BY customer_id, id DESC) {_LINES_LAST}",
            (list(customer_ids),),
        )
        return {cart.customer_id: cart for cart in _carts(rows).values()}

    # ---- for reports

    async def totals_by_status(self, where: OrderFilter) -> Sequence[Row]:
        return await self._reads.fetch(
            "SELECT status, currency, count(*) AS count, sum(total_minor)::bigint AS total_minor,"
            " sum(captured_minor)::bigint AS captured_minor,"
            " count(*) FILTER (WHERE operator_reason IS NOT NULL AND placement <> 'DONE')"
            f" AS needing_operator FROM orders o WHERE {where.condition}"
            " GROUP BY status, currency ORDER BY status, currency",
            where.params,
        )

    async def totals_by_rejection(self, where: OrderFilter) -> Sequence[Row]:
        return await self._reads.fetch(
            "SELECT reason, currency, count(*) AS count, sum(total_minor)::bigint AS total_minor"
            f" FROM orders o WHERE status = 'REJECTED' AND {where.condition}"
            " GROUP BY reason, currency ORDER BY reason, currency",
            where.params,
        )

    async def refused_lines_by_code(self, where: OrderFilter) -> Sequence[Row]:
        """Of the time that `where` names; its other conditions are about orders."""
        return await self._reads.fetch(
            "SELECT code, count(*) AS count FROM refused_lines"
            " WHERE (%(placed_after)s::timestamptz IS NULL OR refused_at > %(placed_after)s)"
            " AND (%(placed_before)s::timestamptz IS NULL OR refused_at < %(placed_before)s)"
            " GROUP BY code ORDER BY code",
            where.params,
        )

    async def refused_lines(
        self, page: Page, *, code: str | None, cart_id: str | None
    ) -> Sequence[Row]:
        return await self._reads.fetch(
            f"SELECT * FROM refused_lines WHERE {page.condition}"
            " AND (%(code)s::text IS NULL OR code = %(code)s)"
            " AND (%(cart_id)s::text IS NULL OR cart_id = %(cart_id)s)"
            f" ORDER BY {page.order} LIMIT {page.limit}",
            {**page.params, "code": code, "cart_id": cart_id},
        )

    async def sales_by_sku(self, page: Page, where: OrderFilter) -> Sequence[Row]:
        """What was sold of each variant: in orders that were confirmed and not cancelled."""
        return await self._reads.fetch(
            "SELECT * FROM (SELECT l.sku, l.variant_id, o.currency,"
            " sum(l.quantity)::bigint AS quantity,"
            " sum(l.quantity_fulfilled)::bigint AS quantity_fulfilled,"
            " sum(l.unit_price_minor * l.quantity - l.discount_minor)::bigint AS total_minor"
            " FROM order_lines l JOIN orders o ON o.id = l.order_id"
            f" WHERE o.status IN ('CONFIRMED', 'COMPLETED') AND {where.condition}"
            " GROUP BY l.sku, l.variant_id, o.currency) sold"
            f" WHERE {page.condition} ORDER BY {page.order} LIMIT {page.limit}",
            {**page.params, **where.params},
        )


_CARTS = (
    "SELECT c.*, l.variant_id, l.sku, l.title, l.unit_price_minor, l.quantity, l.weight_grams,"
    " l.discount_minor, l.discount_label FROM carts c LEFT JOIN cart_lines l ON l.cart_id = c.id"
)
_LINES_LAST = "ORDER BY c.id, l.rank, l.variant_id"


def _carts(rows: Sequence[Row]) -> dict[str, CartView]:
    grouped: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        grouped.setdefault(row["id"], []).append(row)
    return {
        cart_id: CartView.of_row(of_cart[0], [row for row in of_cart if row["variant_id"]])
        for cart_id, of_cart in grouped.items()
    }

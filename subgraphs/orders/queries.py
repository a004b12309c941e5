"""The queries of the orders subgraph: one cart, one order, lists, and figures for reports."""

from __future__ import annotations

from datetime import datetime
from enum import Enum

import strawberry

from subgraphs.orders.cart_handlers import SEES_OTHERS, is_name
from subgraphs.orders.placement_states import Rejection
from subgraphs.orders.reads import (
    BY_POSITION,
    BY_SKU,
    DEAREST,
    NEWEST,
    OLDEST,
    OrderFilter,
)
from subgraphs.orders.schema_cart import Cart, visible_cart
from subgraphs.orders.schema_common import Info, ProductVariant
from subgraphs.orders.schema_order import (
    Order,
    OrderStatus,
    visible_order,
)
from subgraphs.orders.views import OrderView, Row
from subgraphs.shared.graphql import Connection, CountedConnection, MoneyType, field
from subgraphs.shared.paging import Keyset, read_page


@strawberry.enum
class OrderSort(Enum):
    PLACED_AT_DESC = "PLACED_AT_DESC"
    PLACED_AT_ASC = "PLACED_AT_ASC"
    TOTAL_DESC = "TOTAL_DESC"


_KEYSETS: dict[OrderSort, Keyset] = {
    OrderSort.PLACED_AT_DESC: NEWEST,
    OrderSort.PLACED_AT_ASC: OLDEST,
    OrderSort.TOTAL_DESC: DEAREST,
}


@strawberry.input(description="Every condition that is given must hold.")
class OrderWhere:
    status: list[OrderStatus] | None = None
    customer_id: strawberry.ID | None = None
    placed_after: datetime | None = None
    placed_before: datetime | None = None
    rejection: list[Rejection] | None = None
    needs_operator: bool | None = None
    search: str | None = strawberry.field(
        default=None, description="An order number, an order id, or the sku of a line."
    )


@strawberry.type
class OrderStatusTotal:
    status: OrderStatus
    count: int
    total: MoneyType
    captured: MoneyType
    needing_operator: int


@strawberry.type
class OrderRejectionTotal:
    reason: Rejection
    count: int
    total: MoneyType


@strawberry.type
class RefusedLineTotal:
    reason: str = strawberry.field(description="The code of the user error.")
    count: int


@strawberry.type(description="Counts and sums. One entry for each currency.")
class OrderTotals:
    by_status: list[OrderStatusTotal]
    refusals: list[OrderRejectionTotal] = strawberry.field(
        description="Orders that were rejected, by reason."
    )
    refused_lines: list[RefusedLineTotal] = strawberry.field(
        description="Cart lines that were refused; of `where` only the times count here."
    )


@strawberry.federation.type(description="What was sold of a variant, in one currency.")
class SkuSales:
    variant: ProductVariant | None = strawberry.federation.field(provides=["sku"])
    sku: str
    quantity: int
    quantity_fulfilled: int
    total: MoneyType

    @classmethod
    def of(cls, row: Row) -> SkuSales:
        return cls(
            variant=ProductVariant(id=strawberry.ID(row["variant_id"]), sku=row["sku"]),
            sku=row["sku"],
            quantity=row["quantity"],
            quantity_fulfilled=row["quantity_fulfilled"],
            total=MoneyType.minor(row["total_minor"], row["currency"]),
        )


@strawberry.type(description="A cart line that was asked for and not accepted.")
class RefusedLine:
    cart_id: strawberry.ID
    reason: str
    message: str
    variant_id: str | None
    sku: str | None
    quantity: int
    refused_at: datetime

    @classmethod
    def of(cls, row: Row) -> RefusedLine:
        return cls(
            cart_id=strawberry.ID(row["cart_id"]),
            reason=row["code"],
            message=row["message"],
            variant_id=row["variant_id"],
            sku=row["sku"],
            quantity=row["quantity"],
            refused_at=row["refused_at"],
        )


@strawberry.type
class Query:
    @field("Null if there is none, or it is somebody else's.")
    async def cart(self, info: Info, id: strawberry.ID) -> Cart | None:  # noqa: A002
        return await visible_cart(info, str(id))

    @field("By id or by number. Null if there is none, or it is somebody else's.")
    async def order(
        self,
        info: Info,
        id: strawberry.ID | None = None,  # noqa: A002
        number: str | None = None,
    ) -> Order | None:
        if id is not None:
            found = await visible_order(info, str(id))
            agrees = number is None or (found is not None and found.number == number.upper())
            return found if agrees else None
        if not is_name(number):
            return None
        assert number is not None
        view = await info.context.resources.reads.order_by_number(number)
        if view is None or not info.context.caller.may_see(view.customer_id, *SEES_OTHERS):
            return None
        return Order.of(view)

    @field("Staff see everybody's, others their own.")
    async def orders(
        self,
        info: Info,
        first: int,
        after: str | None = None,
        where: OrderWhere | None = None,
        order_by: OrderSort = OrderSort.PLACED_AT_DESC,
    ) -> CountedConnection[Order]:
        caller = info.context.caller
        wanted = _filter(where)
        if not caller.has(*SEES_OTHERS):
            own = caller.require_user()
            if wanted.customer_id not in (None, own):
                return CountedConnection.of([], read_page(first, None, NEWEST), NEWEST, _order)
            wanted = _filter(where, customer_id=own)
        keyset = _KEYSETS[order_by]
        page = read_page(first, after, keyset)
        reads = info.context.resources.reads
        rows = await reads.page(page, wanted)
        count = await reads.count(wanted) if _wants_count(info) else None
        return CountedConnection.of(rows, page, keyset, _order, count)

    @field("For staff: how many orders, for how much, by status and by reason of rejection.")
    async def order_totals(self, info: Info, where: OrderWhere | None = None) -> OrderTotals:
        info.context.caller.require_role("see all orders", *SEES_OTHERS)
        reads, wanted = info.context.resources.reads, _filter(where)
        by_status = await reads.totals_by_status(wanted)
        refusals = await reads.totals_by_rejection(wanted)
        refused_lines = await reads.refused_lines_by_code(wanted)
        return OrderTotals(
            by_status=[
                OrderStatusTotal(
                    status=OrderStatus(row["status"]),
                    count=row["count"],
                    total=MoneyType.minor(row["total_minor"], row["currency"]),
                    captured=MoneyType.minor(row["captured_minor"], row["currency"]),
                    needing_operator=row["needing_operator"],
                )
                for row in by_status
            ],
            refusals=[
                OrderRejectionTotal(
                    reason=Rejection(row["reason"]),
                    count=row["count"],
                    total=MoneyType.minor(row["total_minor"], row["currency"]),
                )
                for row in refusals
            ],
            refused_lines=[
                RefusedLineTotal(reason=row["code"], count=row["count"]) for row in refused_lines
            ],
        )

    @field("For staff: what was sold by sku, in orders that were confirmed and not cancelled.")
    async def sku_sales(
        self, info: Info, first: int, after: str | None = None, where: OrderWhere | None = None
    ) -> Connection[SkuSales]:
        info.context.caller.require_role("see all orders", *SEES_OTHERS)
        page = read_page(first, after, BY_SKU)
        rows = await info.context.resources.reads.sales_by_sku(page, _filter(where))
        return Connection.of(rows, page, BY_SKU, SkuSales.of)

    @field("For staff: cart lines that were refused, in order of time.")
    async def refused_lines(
        self,
        info: Info,
        first: int,
        after: str | None = None,
        reason: str | None = None,
        cart_id: strawberry.ID | None = None,
    ) -> Connection[RefusedLine]:
        info.context.caller.require_role("see all carts", *SEES_OTHERS)
        page = read_page(first, after, BY_POSITION)
        rows = await info.context.resources.reads.refused_lines(
            page,
            code=_searched(reason),
            cart_id=None if cart_id is None else _searched(str(cart_id)),
        )
        return Connection.of(rows, page, BY_POSITION, RefusedLine.of)


def _filter(where: OrderWhere | None, customer_id: str | None = None) -> OrderFilter:
    if where is None:
        return OrderFilter(customer_id=customer_id)
    asked_for = None if where.customer_id is None else str(where.customer_id)
    return OrderFilter(
        status=None if where.status is None else [status.value for status in where.status],
        customer_id=customer_id or _searched(asked_for),
        placed_after=where.placed_after,
        placed_before=where.placed_before,
        reason=None if where.rejection is None else [reason.value for reason in where.rejection],
        needs_operator=where.needs_operator,
        search=_searched(where.search),
    )


def _searched(text: str | None) -> str | None:
    """What may be searched for. What nothing can be called becomes "", which nothing is."""
    return text if text is None or is_name(text) else ""


def _wants_count(info: Info) -> bool:
    return any(
        selection.name == "totalCount"
        for selected in info.selected_fields
        for selection in selected.selections
        if hasattr(selection, "name")
    )


def _order(row: Row) -> Order:
    return Order.of(OrderView.of_row(row))

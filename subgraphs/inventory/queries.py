"""The root queries of the inventory subgraph."""

from __future__ import annotations

import strawberry

from subgraphs.inventory.reads import BY_NEWEST, BY_SKU, LevelFilter
from subgraphs.inventory.schema import (
    SEES_STOCK,
    Info,
    Reservation,
    ReservationState,
    StockItem,
    Warehouse,
    visible_stock_item,
)
from subgraphs.shared.graphql import Connection, field
from subgraphs.shared.paging import read_page


@strawberry.type(description="Sums over all stock. `unbalanced` counts items whose sums disagree.")
class StockSummary:
    items: int
    skus: int
    on_hand: int
    reserved: int
    allocated: int
    received: int
    sold: int
    adjusted: int
    transferred: int
    unbalanced: int
    guard_mismatches: int


@strawberry.input
class StockItemWhere:
    sku: str | None = None
    variant_id: strawberry.ID | None = None
    warehouse_id: strawberry.ID | None = None
    low_only: bool = False


@strawberry.type
class Query:
    @strawberry.field
    async def warehouses(self, info: Info) -> list[Warehouse]:
        return [Warehouse.of(row) for row in await info.context.resources.reads.warehouses()]

    @strawberry.field
    async def stock_item(
        self,
        info: Info,
        id: strawberry.ID,  # noqa: A002
    ) -> StockItem | None:
        info.context.caller.require_role("see stock figures", *SEES_STOCK)
        return await visible_stock_item(info, str(id))

    @field("By sku. For staff.")
    async def stock_items(
        self, info: Info, first: int, after: str | None = None, where: StockItemWhere | None = None
    ) -> Connection[StockItem]:
        info.context.caller.require_role("see stock figures", *SEES_STOCK)
        page, where = read_page(first, after, BY_SKU), where or StockItemWhere()
        rows = await info.context.resources.reads.levels(
            page,
            LevelFilter(
                where.sku,
                where.variant_id,
                where.warehouse_id,
                info.context.resources.low_at if where.low_only else None,
            ),
        )
        return Connection.of(rows, page, BY_SKU, StockItem.of)

    @field("For staff.")
    async def stock_summary(self, info: Info) -> StockSummary:
        info.context.caller.require_role("see stock figures", *SEES_STOCK)
        return StockSummary(**await info.context.resources.reads.summary())

    @field("Newest first. Customers see their own.")
    async def reservations(
        self,
        info: Info,
        first: int,
        after: str | None = None,
        order_id: strawberry.ID | None = None,
        state: ReservationState | None = None,
    ) -> Connection[Reservation]:
        caller = info.context.caller
        user_id = caller.require_user()
        page = read_page(first, after, BY_NEWEST)
        rows = await info.context.resources.reads.reservations(
            page,
            order_id=order_id,
            state=None if state is None else state.value,
            customer_id=None if caller.has(*SEES_STOCK) else user_id,
        )
        return Connection.of(rows, page, BY_NEWEST, Reservation.of)

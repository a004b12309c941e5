"""The mutations of the inventory subgraph: arguments in, payloads out."""

from __future__ import annotations

from collections.abc import Awaitable

import strawberry

from subgraphs.inventory.domain import AdjustReason
from subgraphs.inventory.errors import NotEnoughStock
from subgraphs.inventory.handlers import ReceiptLine, StockDone
from subgraphs.inventory.live import Subscription
from subgraphs.inventory.queries import Query
from subgraphs.inventory.schema import Info, ProductVariant, StockItem, Warehouse
from subgraphs.shared.commands import attempt
from subgraphs.shared.graphql import (
    CountryCode,
    Receipt,
    UserError,
    build_schema,
    mutation,
    refused,
    user_error,
)

StockReason = strawberry.enum(AdjustReason, name="StockReason")


@strawberry.type
class InsufficientStock(UserError):
    variant: ProductVariant | None
    requested: int
    available: int


@user_error.register
def _(refusal: NotEnoughStock) -> UserError:
    return InsufficientStock(
        message=refusal.message,
        code=refusal.code,
        path=refusal.path,
        variant=ProductVariant(id=strawberry.ID(refusal.variant_id)),
        requested=refusal.requested,
        available=refusal.available,
    )


@strawberry.input
class CreateWarehouseInput:
    code: str
    name: str
    country: CountryCode
    idempotency_key: strawberry.ID


@strawberry.input(description="Goods by `variantId` or by `sku`, one of them.")
class ReceiveStockInput:
    warehouse_id: strawberry.ID
    quantity: int
    idempotency_key: strawberry.ID
    variant_id: strawberry.ID | None = None
    sku: str | None = None


@strawberry.input(description="Goods by `variantId` or by `sku`, one of them.")
class ReceiveStockLineInput:
    quantity: int
    variant_id: strawberry.ID | None = None
    sku: str | None = None
    warehouse_id: strawberry.ID | None = strawberry.field(
        default=None, description="Where not the one of the batch."
    )


@strawberry.input
class ReceiveStockBatchInput:
    warehouse_id: strawberry.ID
    lines: list[ReceiveStockLineInput]
    idempotency_key: strawberry.ID


@strawberry.input
class AdjustStockInput:
    stock_item_id: strawberry.ID
    delta: int
    reason: AdjustReason
    idempotency_key: strawberry.ID
    change_from_quantity: int | None = strawberry.field(
        default=None, description="What you believe is on hand: refused if it is not."
    )
    note: str | None = None


@strawberry.input
class TransferStockInput:
    variant_id: strawberry.ID
    from_warehouse_id: strawberry.ID
    to_warehouse_id: strawberry.ID
    quantity: int
    idempotency_key: strawberry.ID


@strawberry.type
class WarehousePayload:
    warehouse: Warehouse | None
    receipt: Receipt | None
    user_errors: list[UserError]


@strawberry.type
class StockPayload:
    stock_item: StockItem | None
    receipt: Receipt | None
    user_errors: list[UserError]


@strawberry.type(description="The lines that were right are done, `userErrors` names the others.")
class StockBatchPayload:
    stock_items: list[StockItem]
    receipt: Receipt | None
    user_errors: list[UserError]


@strawberry.type
class Mutation:
    @mutation("For staff.")
    async def create_warehouse(
        self,
        info: Info,
        input: CreateWarehouseInput,  # noqa: A002
    ) -> WarehousePayload:
        result = await attempt(
            info.context.resources.warehouses.create(
                info.context,
                code=input.code,
                name=input.name,
                country=str(input.country),
                key=str(input.idempotency_key),
            )
        )
        if (done := result.value) is None:
            return WarehousePayload(warehouse=None, receipt=None, user_errors=result.user_errors)
        return WarehousePayload(
            warehouse=Warehouse.written(done.state), receipt=done.receipt, user_errors=[]
        )

    @mutation("For staff.")
    async def receive_stock(
        self,
        info: Info,
        input: ReceiveStockInput,  # noqa: A002
    ) -> StockPayload:
        line = ReceiptLine(
            str(input.warehouse_id), input.quantity, _text(input.variant_id), input.sku
        )
        return await _payload(
            info.context.resources.stock.receive(
                info.context, [line], key=str(input.idempotency_key), single=True
            )
        )

    @mutation("For staff. Many receipts as one append.")
    async def receive_stock_batch(
        self,
        info: Info,
        input: ReceiveStockBatchInput,  # noqa: A002
    ) -> StockBatchPayload:
        lines = [
            ReceiptLine(
                str(line.warehouse_id or input.warehouse_id),
                line.quantity,
                _text(line.variant_id),
                line.sku,
            )
            for line in input.lines
        ]
        result = await attempt(
            info.context.resources.stock.receive(
                info.context, lines, key=str(input.idempotency_key)
            )
        )
        if (done := result.value) is None:
            return StockBatchPayload(stock_items=[], receipt=None, user_errors=result.user_errors)
        return StockBatchPayload(
            stock_items=_items(done),
            receipt=done.receipt,
            user_errors=[refused(refusal) for refusal in done.refused],
        )

    @mutation("For staff. The reason is kept.")
    async def adjust_stock(
        self,
        info: Info,
        input: AdjustStockInput,  # noqa: A002
    ) -> StockPayload:
        return await _payload(
            info.context.resources.stock.adjust(
                info.context,
                str(input.stock_item_id),
                input.delta,
                input.reason,
                note=input.note,
                change_from_quantity=input.change_from_quantity,
                key=str(input.idempotency_key),
            )
        )

    @mutation("For staff. The item is that of the warehouse the goods left.")
    async def transfer_stock(
        self,
        info: Info,
        input: TransferStockInput,  # noqa: A002
    ) -> StockPayload:
        return await _payload(
            info.context.resources.stock.transfer(
                info.context,
                str(input.variant_id),
                str(input.from_warehouse_id),
                str(input.to_warehouse_id),
                input.quantity,
                key=str(input.idempotency_key),
            )
        )


async def _payload(work: Awaitable[StockDone]) -> StockPayload:
    result = await attempt(work)
    if (done := result.value) is None:
        return StockPayload(stock_item=None, receipt=None, user_errors=result.user_errors)
    return StockPayload(stock_item=_items(done)[0], receipt=done.receipt, user_errors=[])


def _items(done: StockDone) -> list[StockItem]:
    return [StockItem.written(item, done.versions.get(item.id, 0)) for item in done.items]


def _text(value: strawberry.ID | None) -> str | None:
    return None if value is None else str(value)


SCHEMA = build_schema(
    operator="inventory",
    query=Query,
    mutation=Mutation,
    subscription=Subscription,
    types=[InsufficientStock],
)

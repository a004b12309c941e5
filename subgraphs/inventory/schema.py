"""The inventory subgraph: stock, reservations, and what other entities show of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

import strawberry

from subgraphs.inventory.domain import StockItem as StockItemState
from subgraphs.inventory.domain import Warehouse as WarehouseState
from subgraphs.inventory.handlers import StockHandlers
from subgraphs.inventory.reads import MOVEMENTS_BY_NEWEST, InventoryReads, Row
from subgraphs.inventory.warehouses import WarehouseHandlers
from subgraphs.shared.auth import Role
from subgraphs.shared.graphql import Connection, CountryCode, Node, RequestContext, field
from subgraphs.shared.paging import read_page


@dataclass(frozen=True, slots=True)
class InventoryResources:
    """What resolvers write through and read through. `low_at`: units, the low-stock threshold."""

    stock: StockHandlers
    warehouses: WarehouseHandlers
    reads: InventoryReads
    low_at: int


Info = strawberry.Info[RequestContext[InventoryResources], None]

SEES_STOCK = (Role.STAFF, Role.AUDITOR, Role.OPERATOR, Role.ADMIN)
"""Roles that see the figures of stock, and other people's reservations."""


@strawberry.enum
class AvailabilityState(Enum):
    IN_STOCK = "IN_STOCK"
    LOW = "LOW"
    OUT_OF_STOCK = "OUT_OF_STOCK"


@strawberry.enum
class ReservationState(Enum):
    HELD = "HELD"
    COMMITTED = "COMMITTED"
    RELEASED = "RELEASED"
    EXPIRED = "EXPIRED"
    REJECTED = "REJECTED"


@strawberry.type
class Availability:
    state: AvailabilityState
    available: int


@strawberry.federation.type(keys=["id"])
class ProductVariant:
    id: strawberry.ID

    @field("What a buyer may have now, from warehouses of the country if one is named.")
    async def availability(
        self, info: Info, country: CountryCode | None = None
    ) -> Availability | None:
        resources = info.context.resources
        units = await info.context.loader(resources.reads.available).load((str(self.id), country))
        available = units or 0
        state = AvailabilityState.OUT_OF_STOCK
        if available > 0:
            low = available <= resources.low_at
            state = AvailabilityState.LOW if low else AvailabilityState.IN_STOCK
        return Availability(state=state, available=available)

    @field("By warehouse. For staff.")
    async def stock(self, info: Info) -> list[StockItem] | None:
        info.context.caller.require_role("see stock figures", *SEES_STOCK)
        loader = info.context.loader(info.context.resources.reads.levels_of_variants)
        return [StockItem.of(row) for row in await loader.load(str(self.id)) or ()]


@strawberry.federation.type(keys=["id"])
class Warehouse(Node):
    code: str
    name: str
    country: CountryCode

    @classmethod
    async def resolve_reference(
        cls,
        info: Info,
        id: strawberry.ID,  # noqa: A002
    ) -> Warehouse | None:
        row = await info.context.loader(info.context.resources.reads.warehouses_by_id).load(str(id))
        return None if row is None else cls.of(row)

    @classmethod
    def of(cls, row: Row) -> Warehouse:
        """From a row of the read model."""
        return cls(
            id=strawberry.ID(row["id"]),
            code=row["code"],
            name=row["name"],
            country=CountryCode(row["country"]),
        )

    @classmethod
    def written(cls, state: WarehouseState) -> Warehouse:
        """From the log."""
        return cls(
            id=strawberry.ID(state.id),
            code=state.code,
            name=state.name,
            country=CountryCode(state.country),
        )


async def warehouse_of_stock(info: Info, warehouse_id: str) -> Warehouse:
    """The warehouse that stock is in: it exists, though a read model may not show it yet."""
    loader = info.context.loader(info.context.resources.reads.warehouses_by_id)
    row = await loader.load(warehouse_id)
    if row is not None:
        return Warehouse.of(row)
    state = await info.context.resources.warehouses.get(warehouse_id)
    assert state is not None, f"stock is in {warehouse_id}, which nobody created"
    return Warehouse.written(state)


@strawberry.type(description="received + adjusted + transferred - sold = on hand.")
class StockTotals:
    received: int
    sold: int
    adjusted: int
    transferred: int


@strawberry.type(description="One line of the ledger: signed units, and why.")
class StockMovement:
    kind: str
    on_hand: int
    reserved: int
    allocated: int
    order: Order | None
    reason: str | None
    actor_kind: str
    actor_id: str
    event_id: strawberry.ID
    at: datetime

    @classmethod
    def of(cls, row: Row) -> StockMovement:
        """From a row of the read model."""
        order_id = row["order_id"]
        return cls(
            kind=row["kind"],
            on_hand=row["on_hand"],
            reserved=row["reserved"],
            allocated=row["allocated"],
            order=None if order_id is None else Order(id=strawberry.ID(order_id)),
            reason=row["reason"],
            actor_kind=row["actor_kind"],
            actor_id=row["actor_id"],
            event_id=strawberry.ID(row["event_id"]),
            at=row["at"],
        )


@strawberry.federation.type(keys=["id"], description="A variant in a warehouse. For staff.")
class StockItem(Node):
    version: int
    variant: ProductVariant | None
    sku: str
    on_hand: int
    reserved: int
    allocated: int
    available: int
    warehouse_id: strawberry.Private[str]
    row: strawberry.Private[Row | None] = None

    @strawberry.field
    async def warehouse(self, info: Info) -> Warehouse:
        return await warehouse_of_stock(info, self.warehouse_id)

    @field("What came and went in all. Null right after a write, until it is visible.")
    async def totals(self, info: Info) -> StockTotals | None:
        row = self.row
        if row is None:
            loader = info.context.loader(info.context.resources.reads.levels_by_id)
            row = await loader.load(str(self.id))
        if row is None:
            return None
        return StockTotals(
            received=row["received"],
            sold=row["sold"],
            adjusted=row["adjusted"],
            transferred=row["transferred"],
        )

    @field("The ledger, newest first.")
    async def movements(
        self, info: Info, first: int, after: str | None = None
    ) -> Connection[StockMovement]:
        page = read_page(first, after, MOVEMENTS_BY_NEWEST)
        reads = info.context.resources.reads

        async def load(ids: Sequence[str]) -> Mapping[str, Sequence[Row]]:
            return await reads.movements(ids, page)

        rows = await info.context.loader(load, variant=(first, after)).load(str(self.id))
        return Connection.of(rows or (), page, MOVEMENTS_BY_NEWEST, StockMovement.of)

    @classmethod
    async def resolve_reference(
        cls,
        info: Info,
        id: strawberry.ID,  # noqa: A002
    ) -> StockItem | None:
        return await visible_stock_item(info, str(id))

    @classmethod
    def of(cls, row: Row) -> StockItem:
        """From a row of the read model."""
        return cls(
            id=strawberry.ID(row["id"]),
            version=row["version"],
            variant=ProductVariant(id=strawberry.ID(row["variant_id"])),
            sku=row["sku"],
            on_hand=row["on_hand"],
            reserved=row["reserved"],
            allocated=row["allocated"],
            available=row["on_hand"] - row["reserved"] - row["allocated"],
            warehouse_id=row["warehouse_id"],
            row=row,
        )

    @classmethod
    def written(cls, state: StockItemState, version: int) -> StockItem:
        """From what a command has just left in the log."""
        assert state.place is not None, f"{state.id} was never opened"
        return cls(
            id=strawberry.ID(state.id),
            version=version,
            variant=ProductVariant(id=strawberry.ID(state.place.variant_id)),
            sku=state.place.sku,
            on_hand=state.on_hand,
            reserved=state.reserved,
            allocated=state.allocated,
            available=state.available,
            warehouse_id=state.place.warehouse_id,
        )


@strawberry.type
class ReservationLine:
    variant: ProductVariant | None
    sku: str
    order_line_id: strawberry.ID
    quantity: int
    warehouse_id: strawberry.Private[str]

    @strawberry.field
    async def warehouse(self, info: Info) -> Warehouse:
        return await warehouse_of_stock(info, self.warehouse_id)


@strawberry.type(description="Why a reservation was rejected.")
class ReservationShortage:
    variant: ProductVariant | None
    sku: str
    requested: int
    available: int


@strawberry.federation.type(
    keys=["id"], description="What is held for an order. Its customer and staff see it."
)
class Reservation(Node):
    version: int
    order: Order | None
    state: ReservationState
    expires_at: datetime | None
    lines: list[ReservationLine]
    shortages: list[ReservationShortage]

    @classmethod
    async def resolve_reference(
        cls,
        info: Info,
        id: strawberry.ID,  # noqa: A002
    ) -> Reservation | None:
        loader = info.context.loader(info.context.resources.reads.reservations_by_id)
        return visible_reservation(info, await loader.load(str(id)))

    @classmethod
    def of(cls, row: Row) -> Reservation:
        """From a row of the read model."""
        return cls(
            id=strawberry.ID(row["id"]),
            version=row["version"],
            order=Order(id=strawberry.ID(row["order_id"])),
            state=ReservationState(row["state"]),
            expires_at=row["expires_at"],
            lines=[
                ReservationLine(
                    variant=ProductVariant(id=line["variant_id"]),
                    sku=line["sku"],
                    order_line_id=line["line_id"],
                    quantity=line["quantity"],
                    warehouse_id=line["warehouse_id"],
                )
                for line in row["lines"]
            ],
            shortages=[
                ReservationShortage(
                    variant=ProductVariant(id=short["variant_id"]),
                    sku=short["sku"],
                    requested=short["requested"],
                    available=short["available"],
                )
                for short in row["shortages"]
            ],
        )


@strawberry.federation.type(keys=["id"])
class Order:
    id: strawberry.ID

    @field("Null if there is none, or for those who may not see the order.")
    async def reservation(self, info: Info) -> Reservation | None:
        loader = info.context.loader(info.context.resources.reads.reservations_of_orders)
        return visible_reservation(info, await loader.load(str(self.id)))


def visible_reservation(info: Info, row: Row | None) -> Reservation | None:
    """The reservation, if the caller may see whose order it is for."""
    if row is None or not info.context.caller.may_see(row["customer_id"], *SEES_STOCK):
        return None
    return Reservation.of(row)


async def visible_stock_item(info: Info, stock_item_id: str) -> StockItem | None:
    """The stock item, for those who see stock."""
    if not info.context.caller.has(*SEES_STOCK):
        return None
    loader = info.context.loader(info.context.resources.reads.levels_by_id)
    row = await loader.load(stock_item_id)
    return None if row is None else StockItem.of(row)

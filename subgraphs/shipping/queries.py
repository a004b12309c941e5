"""The root queries of the shipping subgraph."""

from __future__ import annotations

import strawberry

from subgraphs.shared.graphql import Connection, CountryCode, CurrencyCode, field
from subgraphs.shared.paging import read_page
from subgraphs.shipping.domain import ShipmentState, quotes
from subgraphs.shipping.reads import BY_NEWEST
from subgraphs.shipping.schema import (
    SEES_SHIPMENTS,
    Info,
    Shipment,
    ShippingOption,
    rates,
    visible_shipment,
)


@strawberry.type
class ShipmentStateTotals:
    state: ShipmentState
    shipments: int
    orders: int
    units: int


@strawberry.type
class Query:
    @strawberry.field
    async def shipment(
        self,
        info: Info,
        id: strawberry.ID,  # noqa: A002
    ) -> Shipment | None:
        info.context.caller.require_user()
        return await visible_shipment(info, str(id))

    @field("Newest first. For staff.")
    async def shipments(
        self,
        info: Info,
        first: int,
        after: str | None = None,
        order_id: strawberry.ID | None = None,
        state: ShipmentState | None = None,
    ) -> Connection[Shipment]:
        info.context.caller.require_role("list shipments", *SEES_SHIPMENTS)
        page = read_page(first, after, BY_NEWEST)
        rows = await info.context.resources.reads.shipments(
            page, order_id=order_id, state=None if state is None else state.value
        )
        return Connection.of(rows, page, BY_NEWEST, Shipment.of)

    @field("What goods of a weight cost to send, cheapest first.")
    async def shipping_rates(
        self,
        info: Info,
        weight_grams: int,
        currency: CurrencyCode,
        country: CountryCode | None = None,
    ) -> list[ShippingOption]:
        rows = quotes(
            await rates(info),
            currency=str(currency),
            country=None if country is None else str(country),
            weight_grams=weight_grams,
        )
        return [ShippingOption.of(row, str(currency)) for row in rows]

    @field("By state. For staff.")
    async def shipment_totals(self, info: Info) -> list[ShipmentStateTotals]:
        info.context.caller.require_role("see totals of shipments", *SEES_SHIPMENTS)
        return [
            ShipmentStateTotals(
                state=ShipmentState(row["state"]),
                shipments=row["shipments"],
                orders=row["orders"],
                units=row["units"],
            )
            for row in await info.context.resources.reads.totals()
        ]

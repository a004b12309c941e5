"""The shipping subgraph: shipments and prices, and what orders, carts and variants show of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import strawberry

from subgraphs.shared.auth import Role
from subgraphs.shared.graphql import (
    CountryCode,
    CurrencyCode,
    MoneyType,
    Node,
    RequestContext,
    federated,
    field,
)
from subgraphs.shipping import domain
from subgraphs.shipping.domain import (
    FulfilmentStatus,
    Parcel,
    RateRow,
    ShipmentState,
    cheapest,
    quotes,
    status_of,
)
from subgraphs.shipping.handlers import ShippingHandlers
from subgraphs.shipping.reads import ALL, Row, ShippingReads


@dataclass(frozen=True, slots=True)
class ShippingResources:
    """What resolvers write through and read through."""

    shipping: ShippingHandlers
    reads: ShippingReads


Info = strawberry.Info[RequestContext[ShippingResources], None]

SEES_SHIPMENTS = (Role.STAFF, Role.AUDITOR, Role.OPERATOR, Role.ADMIN)
"""Roles that see other people's shipments."""

ESTIMATE_CURRENCY = CurrencyCode("EUR")
"""The currency of an estimate where none is named."""

strawberry.enum(ShipmentState, description="Where the goods are.")
FulfillmentStatus = strawberry.enum(
    FulfilmentStatus, name="FulfillmentStatus", description="How far an order is shipped."
)


@strawberry.federation.type(shareable=True)
class Destination:
    country: CountryCode
    postal_code: str | None = None


@strawberry.type(
    description="A way to get the goods. Its price is frozen when the order is placed."
)
class ShippingOption:
    id: strawberry.ID
    name: str
    price: MoneyType
    eta_days: int | None

    @classmethod
    def of(cls, row: RateRow, currency: str) -> ShippingOption:
        """From the row of the rate table that counts."""
        return cls(
            id=strawberry.ID(row.option_id),
            name=row.name,
            price=MoneyType.minor(row.price_minor, currency),
            eta_days=row.eta_days,
        )


async def rates(info: Info) -> list[RateRow]:
    """The whole rate table, read once for a request."""
    return list(await info.context.loader(info.context.resources.reads.rates).load(ALL) or ())


@strawberry.federation.type(keys=["id"])
class ProductVariant:
    id: strawberry.ID
    weight_grams: int | None = strawberry.federation.field(external=True, default=None)

    @federated(
        requires=["weightGrams"],
        description="The cheapest way to have one of it brought; null where nobody brings it.",
    )
    async def shipping_estimate(
        self,
        info: Info,
        country: CountryCode,
        currency: CurrencyCode = ESTIMATE_CURRENCY,
    ) -> MoneyType | None:
        if self.weight_grams is None:
            return None
        rows = quotes(
            await rates(info),
            currency=str(currency),
            country=str(country),
            weight_grams=self.weight_grams,
        )
        best = cheapest(rows)
        return None if best is None else MoneyType.minor(best.price_minor, str(currency))

    @classmethod
    def resolve_reference(
        cls,
        id: strawberry.ID,  # noqa: A002
        **required: Any,
    ) -> ProductVariant:
        return cls(id=id, weight_grams=required.get("weightGrams"))


@strawberry.federation.type(keys=["id"])
class Cart:
    id: strawberry.ID
    currency: CurrencyCode | None = strawberry.federation.field(
        external=True, default=None, graphql_type=CurrencyCode
    )
    total_weight_grams: int | None = strawberry.federation.field(
        external=True, default=None, graphql_type=int
    )
    destination: Destination | None = strawberry.federation.field(external=True, default=None)

    @federated(
        requires=["currency totalWeightGrams destination { country postalCode }"],
        description="What can be had for this weight and destination, cheapest first.",
    )
    async def shipping_options(self, info: Info) -> list[ShippingOption] | None:
        assert self.currency is not None, "the router sends the currency it was told is required"
        currency = str(self.currency)
        rows = quotes(
            await rates(info),
            currency=currency,
            country=None if self.destination is None else str(self.destination.country),
            weight_grams=self.total_weight_grams or 0,
        )
        return [ShippingOption.of(row, currency) for row in rows]

    @classmethod
    def resolve_reference(cls, id: strawberry.ID, **required: Any) -> Cart:  # noqa: A002
        given: Mapping[str, Any] | None = required.get("destination")
        destination = None
        if given is not None:
            destination = Destination(
                country=CountryCode(given["country"]), postal_code=given.get("postalCode")
            )
        currency = required.get("currency")
        return cls(
            id=id,
            currency=None if currency is None else CurrencyCode(currency),
            total_weight_grams=required.get("totalWeightGrams"),
            destination=destination,
        )


@strawberry.federation.type(keys=["id"])
class OrderLine:
    id: strawberry.ID
    quantity: int | None = strawberry.federation.field(
        external=True, default=None, graphql_type=int
    )

    @classmethod
    def resolve_reference(cls, id: strawberry.ID, **_: Any) -> OrderLine:  # noqa: A002
        return cls(id=id)


@strawberry.type
class ShipmentLine:
    order_line: OrderLine | None
    quantity: int


@strawberry.type
class TrackingEvent:
    at: datetime
    status: str
    location: str | None


@strawberry.federation.type(
    keys=["id"], description="Goods on their way. The order's customer and staff see it."
)
class Shipment(Node):
    version: int
    order: Order | None
    state: ShipmentState
    option_id: strawberry.ID
    carrier: str | None
    tracking_number: str | None
    lines: list[ShipmentLine]

    @field("Oldest first.")
    async def tracking(self, info: Info) -> list[TrackingEvent]:
        loader = info.context.loader(info.context.resources.reads.tracking)
        return [
            TrackingEvent(at=row["at"], status=row["status"], location=row["location"])
            for row in await loader.load(str(self.id)) or ()
        ]

    @classmethod
    async def resolve_reference(
        cls,
        info: Info,
        id: strawberry.ID,  # noqa: A002
    ) -> Shipment | None:
        return await visible_shipment(info, str(id))

    @classmethod
    def of(cls, row: Row) -> Shipment:
        """From a row of the read model."""
        return cls(
            id=strawberry.ID(row["id"]),
            version=row["version"],
            order=Order(id=strawberry.ID(row["order_id"])),
            state=ShipmentState(row["state"]),
            option_id=strawberry.ID(row["option_id"]),
            carrier=row["carrier"],
            tracking_number=row["tracking_number"],
            lines=[
                ShipmentLine(
                    order_line=OrderLine(id=strawberry.ID(line["line_id"])),
                    quantity=line["quantity"],
                )
                for line in row["lines"]
            ],
        )

    @classmethod
    def written(cls, state: domain.Shipment, version: int) -> Shipment:
        """From what a command has just left in the log."""
        lines = [{"line_id": line.line_id, "quantity": line.quantity} for line in state.lines]
        return cls.of(
            {
                "id": state.id,
                "version": version,
                "order_id": state.order_id,
                "state": state.state.value,
                "option_id": state.option_id,
                "carrier": state.carrier,
                "tracking_number": state.tracking_number,
                "lines": lines,
            }
        )


@strawberry.federation.type(keys=["id"])
class Order:
    id: strawberry.ID
    lines: list[OrderLine] | None = strawberry.federation.field(
        external=True, default=None, graphql_type=list[OrderLine]
    )

    @field("Oldest first; none for those who may not see the order.")
    async def shipments(self, info: Info) -> list[Shipment] | None:
        return [Shipment.of(row) for row in await self._rows(info)]

    @federated(requires=["lines { id quantity }"])
    async def fulfillment_status(self, info: Info) -> FulfilmentStatus | None:
        assert self.lines is not None, "the router sends the lines it was told are required"
        ordered = {str(line.id): line.quantity or 0 for line in self.lines}
        parcels = [
            Parcel(
                ShipmentState(row["state"]),
                {line["line_id"]: line["quantity"] for line in row["lines"]},
            )
            for row in await self._rows(info)
        ]
        return status_of(ordered, parcels)

    @classmethod
    def resolve_reference(cls, id: strawberry.ID, **required: Any) -> Order:  # noqa: A002
        given = required.get("lines")
        if given is None:
            return cls(id=id)
        lines = [
            OrderLine(id=strawberry.ID(line["id"]), quantity=line["quantity"]) for line in given
        ]
        return cls(id=id, lines=lines)

    async def _rows(self, info: Info) -> list[Row]:
        reads, caller = info.context.resources.reads, info.context.caller
        rows = await info.context.loader(reads.shipments_of_orders).load(str(self.id)) or ()
        return [row for row in rows if caller.may_see(row["customer_id"], *SEES_SHIPMENTS)]


async def visible_shipment(info: Info, shipment_id: str) -> Shipment | None:
    """The shipment, if the caller may see it."""
    loader = info.context.loader(info.context.resources.reads.shipments_by_id)
    row = await loader.load(shipment_id)
    if row is None or not info.context.caller.may_see(row["customer_id"], *SEES_SHIPMENTS):
        return None
    return Shipment.of(row)

"""The mutations of the shipping subgraph: arguments in, payloads out."""

from __future__ import annotations

from collections.abc import Awaitable
from datetime import datetime

import strawberry

from subgraphs.shared.commands import Done, attempt
from subgraphs.shared.graphql import (
    CountryCode,
    MoneyInput,
    Receipt,
    UserError,
    build_schema,
    mutation,
)
from subgraphs.shipping import domain
from subgraphs.shipping.domain import RateRow, TrackingStatus
from subgraphs.shipping.events import ParcelLine
from subgraphs.shipping.live import Subscription
from subgraphs.shipping.queries import Query
from subgraphs.shipping.schema import (
    Cart,
    Info,
    ProductVariant,
    Shipment,
    ShippingOption,
)

strawberry.enum(TrackingStatus, description="What a carrier may say of goods that have left.")


@strawberry.input
class ShipmentLineInput:
    order_line_id: strawberry.ID
    quantity: int


@strawberry.input
class CreateShipmentInput:
    order_id: strawberry.ID
    lines: list[ShipmentLineInput]
    idempotency_key: strawberry.ID
    warehouse_id: strawberry.ID | None = None


@strawberry.input(description="One row of the rate table; what is left out is any.")
class ShippingRateInput:
    option_id: strawberry.ID
    name: str
    price: MoneyInput
    idempotency_key: strawberry.ID
    carrier: str = strawberry.field(default="", description="Empty: customers collect the goods.")
    any_currency: bool = strawberry.field(
        default=False, description="For a price of zero, which is zero in every currency."
    )
    country: CountryCode | None = None
    weight_grams_max: int | None = None
    eta_days: int | None = None


@strawberry.type
class ShipmentPayload:
    shipment: Shipment | None
    receipt: Receipt | None
    user_errors: list[UserError]


@strawberry.type
class ShippingRatePayload:
    option: ShippingOption | None
    receipt: Receipt | None
    user_errors: list[UserError]


@strawberry.type
class Mutation:
    @mutation("For staff. Plans some lines of an order that are in no shipment.")
    async def create_shipment(
        self,
        info: Info,
        input: CreateShipmentInput,  # noqa: A002
    ) -> ShipmentPayload:
        lines = [ParcelLine(str(line.order_line_id), "", line.quantity) for line in input.lines]
        return await _payload(
            info.context.resources.shipping.create(
                info.context,
                str(input.order_id),
                lines,
                warehouse_id=None if input.warehouse_id is None else str(input.warehouse_id),
                key=str(input.idempotency_key),
            )
        )

    @mutation("For staff. The goods are still here; their lines can be planned anew.")
    async def cancel_shipment(
        self,
        info: Info,
        shipment_id: strawberry.ID,
        reason: str,
        idempotency_key: strawberry.ID,
        expected_version: int | None = None,
    ) -> ShipmentPayload:
        return await _payload(
            info.context.resources.shipping.cancel(
                info.context,
                str(shipment_id),
                reason,
                expected_version=expected_version,
                key=str(idempotency_key),
            )
        )

    @mutation("For staff. The goods have left.")
    async def mark_shipped(
        self,
        info: Info,
        shipment_id: strawberry.ID,
        carrier: str,
        tracking_number: str,
        idempotency_key: strawberry.ID,
        expected_version: int | None = None,
    ) -> ShipmentPayload:
        return await _payload(
            info.context.resources.shipping.mark_shipped(
                info.context,
                str(shipment_id),
                carrier,
                tracking_number,
                expected_version=expected_version,
                key=str(idempotency_key),
            )
        )

    @mutation("For staff. What the carrier says of goods that have left.")
    async def track_shipment(
        self,
        info: Info,
        shipment_id: strawberry.ID,
        status: TrackingStatus,
        at: datetime | None = None,
        location: str | None = None,
        expected_version: int | None = None,
    ) -> ShipmentPayload:
        return await _payload(
            info.context.resources.shipping.track(
                info.context,
                str(shipment_id),
                status,
                at=at,
                location=location,
                expected_version=expected_version,
            )
        )

    @mutation("For staff. Orders that are placed already keep their price.")
    async def set_shipping_rate(
        self,
        info: Info,
        input: ShippingRateInput,  # noqa: A002
        reason: str,
    ) -> ShippingRatePayload:
        async def work() -> tuple[RateRow, Done[domain.RateTable]]:
            price = input.price.value("input", "price")
            row = RateRow(
                str(input.option_id),
                input.name,
                input.carrier,
                price.minor,
                None if input.any_currency else price.currency,
                None if input.country is None else str(input.country),
                input.weight_grams_max,
                input.eta_days,
            )
            done = await info.context.resources.shipping.set_rate(
                info.context, row, reason=reason, key=str(input.idempotency_key)
            )
            return row, done

        result = await attempt(work())
        if result.value is None:
            return ShippingRatePayload(option=None, receipt=None, user_errors=result.user_errors)
        row, done = result.value
        return ShippingRatePayload(
            option=ShippingOption.of(row, str(input.price.currency)),
            receipt=done.receipt,
            user_errors=[],
        )


async def _payload(work: Awaitable[Done[domain.Shipment]]) -> ShipmentPayload:
    result = await attempt(work)
    if (done := result.value) is None:
        return ShipmentPayload(shipment=None, receipt=None, user_errors=result.user_errors)
    return ShipmentPayload(
        shipment=Shipment.written(done.state, done.receipt.version),
        receipt=done.receipt,
        user_errors=[],
    )


SCHEMA = build_schema(
    operator="shipping",
    query=Query,
    mutation=Mutation,
    subscription=Subscription,
    types=[ProductVariant, Cart],
)

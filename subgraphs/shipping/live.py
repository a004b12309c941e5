"""Shipments on their way, for whoever may see them."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import strawberry

from subgraphs.shared.changes import by_member
from subgraphs.shared.errors import NotFound
from subgraphs.shared.graphql import subscription
from subgraphs.shipping.schema import SEES_SHIPMENTS, Info, Shipment, visible_shipment

topics = by_member("shipment.", "order_id")


@strawberry.type
class Subscription:
    @subscription(
        "The shipments of an order whenever something happens to one. For its customer and staff."
    )
    async def shipment_tracked(
        self, info: Info, order_id: strawberry.ID
    ) -> AsyncGenerator[Shipment, None]:
        caller = info.context.caller
        caller.require_user()
        reads = info.context.resources.reads
        for row in await info.context.loader(reads.shipments_of_orders).load(str(order_id)) or ():
            if not caller.may_see(row["customer_id"], *SEES_SHIPMENTS):
                raise NotFound("Order", str(order_id), path=["orderId"])
        return info.context.follow(
            [str(order_id)], lambda change: visible_shipment(info, change.stream)
        )

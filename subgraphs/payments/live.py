"""Payments as they go on, for whoever may see them."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import strawberry

from subgraphs.payments.schema import SEES_PAYMENTS, Info, Payment, visible_payment
from subgraphs.shared.changes import by_member
from subgraphs.shared.errors import NotFound
from subgraphs.shared.graphql import subscription

topics = by_member("payment.", "order_id")


@strawberry.type
class Subscription:
    @subscription(
        "The payments of an order whenever something happens to one. For its customer and staff."
    )
    async def payment_updated(
        self, info: Info, order_id: strawberry.ID
    ) -> AsyncGenerator[Payment, None]:
        caller = info.context.caller
        caller.require_user()
        reads = info.context.resources.reads
        for row in await info.context.loader(reads.of_orders).load(str(order_id)) or ():
            if not caller.may_see(row["customer_id"], *SEES_PAYMENTS):
                raise NotFound("Order", str(order_id), path=["orderId"])
        return info.context.follow(
            [str(order_id)], lambda change: visible_payment(info, change.stream)
        )

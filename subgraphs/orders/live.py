"""Orders as they go on, for whoever may see them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence

import strawberry

from eventstore import FeedEvent
from subgraphs.orders.schema_common import Info
from subgraphs.orders.schema_order import Order, visible_order
from subgraphs.shared.changes import Change
from subgraphs.shared.errors import NotFound
from subgraphs.shared.graphql import subscription


@strawberry.type(description="An order after an event of its own, or of its placement.")
class OrderUpdate:
    order: Order
    event_type: str
    version: int = strawberry.field(description="Of the order, as it is shown.")
    position: str = strawberry.field(
        description="Of the event. Other services that are asked with it as `x-read-position` "
        "may not have heard of it yet."
    )


@strawberry.type
class Subscription:
    @subscription("Every event of an order from now on. For its customer and for staff.")
    async def order_updated(
        self,
        info: Info,
        id: strawberry.ID,  # noqa: A002
    ) -> AsyncGenerator[OrderUpdate, None]:
        info.context.caller.require_user()
        if await visible_order(info, str(id)) is None:
            raise NotFound("Order", str(id), path=["id"])

        async def update(change: Change) -> OrderUpdate | None:
            order = await visible_order(info, change.topic)
            if order is None:
                return None
            return OrderUpdate(
                order=order,
                event_type=change.type,
                version=order.version,
                position=f"orders:{change.position}",
            )

        return info.context.follow([str(id)], update)


async def topics(events: Sequence[FeedEvent]) -> Sequence[str | None]:
    """An order and its placement are streams that share what comes after their prefix."""
    parts = (event.stream.partition("_") for event in events)
    return [f"ord_{rest}" if prefix in ("ord", "plc") else None for prefix, _, rest in parts]

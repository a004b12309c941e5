"""Stock as it moves, for staff."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence

import strawberry

from eventstore import FeedEvent
from subgraphs.inventory.reads import InventoryReads
from subgraphs.inventory.schema import SEES_STOCK, Info, StockItem, visible_stock_item
from subgraphs.shared.changes import Topics, named
from subgraphs.shared.graphql import subscription


@strawberry.type
class Subscription:
    @subscription("Stock items of these variants, 100 at most, whenever one changes. For staff.")
    async def stock_changed(
        self, info: Info, variant_ids: list[strawberry.ID]
    ) -> AsyncGenerator[StockItem, None]:
        info.context.caller.require_role("see stock figures", *SEES_STOCK)
        return info.context.follow(
            named(variant_ids, "variantIds"),
            lambda change: visible_stock_item(info, change.stream),
        )


def topics(reads: InventoryReads) -> Topics:
    """Stock items are told under their variants, which not all of their events name."""

    async def variants(events: Sequence[FeedEvent]) -> Sequence[str | None]:
        items = await reads.levels_by_id(sorted({event.stream for event in events}))
        return [
            items[event.stream]["variant_id"] if event.stream in items else None for event in events
        ]

    return variants

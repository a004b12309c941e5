"""Prices as they change, for everybody."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import strawberry

from subgraphs.products.events import PriceChanged
from subgraphs.products.schema import Info, ProductVariant, load_variant
from subgraphs.shared.changes import Change, by_member, named
from subgraphs.shared.graphql import subscription

topics = by_member(PriceChanged.TYPE, "variant_id")


@strawberry.type
class Subscription:
    @subscription("Variants whose price changed in a channel: of these, 100 at most, or any.")
    async def price_changed(
        self, info: Info, variant_ids: list[strawberry.ID] | None = None
    ) -> AsyncGenerator[ProductVariant, None]:
        async def load(change: Change) -> ProductVariant | None:
            return await load_variant(info, change.topic, None)

        wanted = None if variant_ids is None else named(variant_ids, "variantIds")
        return info.context.follow(wanted, load)

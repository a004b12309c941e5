"""The root queries of the products subgraph."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import strawberry
from strawberry.types.nodes import SelectedField

from subgraphs.products.events import DEFAULT_CHANNEL
from subgraphs.products.reads import (
    BY_NAME,
    KEYSETS,
    SEARCH_CHARACTERS_MAX,
    Order,
    Where,
)
from subgraphs.products.schema import (
    Category,
    Info,
    Product,
    ProductStatus,
    ProductVariant,
    load_category,
    load_variant,
    sees_drafts,
    visible_product,
)
from subgraphs.shared.errors import InvalidPage
from subgraphs.shared.graphql import Connection, CountedConnection, MoneyInput, field
from subgraphs.shared.money import CurrencyDiffers
from subgraphs.shared.paging import read_page


@strawberry.input
class ProductWhere:
    search: str | None = None
    category_id: strawberry.ID | None = None
    price_min: MoneyInput | None = None
    price_max: MoneyInput | None = None
    status: ProductStatus | None = None


@strawberry.type
class Query:
    @field("By id or by slug.")
    async def product(
        self,
        info: Info,
        id: strawberry.ID | None = None,  # noqa: A002
        slug: str | None = None,
    ) -> Product | None:
        reads = info.context.resources.reads
        if id is not None:
            row = await info.context.loader(reads.products).load(str(id))
        elif slug is not None:
            row = await info.context.loader(reads.products_by_slug).load(slug)
        else:
            return None
        return visible_product(info, row)

    @field("What is on sale in a channel; staff see all unless they name one.")
    async def products(
        self,
        info: Info,
        first: int,
        after: str | None = None,
        where: ProductWhere | None = None,
        order_by: Order | None = None,
        channel: str | None = None,
    ) -> CountedConnection[Product]:
        where = where or ProductWhere()
        search = _search(where.search)
        order = order_by or (Order.RELEVANCE if search else Order.NEWEST)
        if order is Order.RELEVANCE and not search:
            order = Order.NEWEST
        keyset = KEYSETS[order]
        page = read_page(first, after, keyset)
        lowest, highest, currency = _prices(where)
        conditions = Where(
            search=search,
            category_id=None if where.category_id is None else str(where.category_id),
            price_min_minor=lowest,
            price_max_minor=highest,
            currency=currency,
            status=where.status.value if where.status else None,
            channel=channel or (None if sees_drafts(info) else DEFAULT_CHANNEL),
        )
        reads = info.context.resources.reads
        rows = await reads.page(page, order, conditions)
        counted = await reads.count(conditions) if _selects_count(info) else None
        return CountedConnection[Product].of(rows, page, keyset, Product.of, counted)

    @field("By id or by sku.")
    async def variant(
        self,
        info: Info,
        id: strawberry.ID | None = None,  # noqa: A002
        sku: str | None = None,
    ) -> ProductVariant | None:
        return await load_variant(info, None if id is None else str(id), sku)

    @strawberry.field
    async def category(self, info: Info, id: strawberry.ID) -> Category | None:  # noqa: A002
        return await load_category(info, str(id))

    @field("By name.")
    async def categories(
        self, info: Info, first: int, after: str | None = None
    ) -> Connection[Category]:
        page = read_page(first, after, BY_NAME)
        rows = await info.context.resources.reads.category_page(page)
        return Connection[Category].of(rows, page, BY_NAME, Category.of)


def _prices(where: ProductWhere) -> tuple[int | None, int | None, str | None]:
    """Lowest and highest price in minor units, and their currency. Raises CurrencyDiffers."""
    low = where.price_min.value("where", "priceMin") if where.price_min else None
    high = where.price_max.value("where", "priceMax") if where.price_max else None
    if low and high and low.currency != high.currency:
        raise CurrencyDiffers(high.currency, low.currency, path=["where", "priceMax"])
    currency = low.currency if low else high.currency if high else None
    return low.minor if low else None, high.minor if high else None, currency


def _search(text: str | None) -> str | None:
    if text is None or not text.strip():
        return None
    if len(text) > SEARCH_CHARACTERS_MAX or "\0" in text:
        raise InvalidPage(f"a search has at most {SEARCH_CHARACTERS_MAX} characters")
    return text.strip()


def _selects_count(info: Info) -> bool:
    """Whether the client wants `totalCount`: counting is not free."""
    return any(
        selection.name == "totalCount"
        for selected in info.selected_fields
        for selection in _flat(selected)
    )


def _flat(selected: Any) -> Iterator[Any]:
    for selection in selected.selections:
        if isinstance(selection, SelectedField):
            yield selection
        else:
            yield from _flat(selection)

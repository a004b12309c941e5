"""The products subgraph: what is sold, under which name, for how much."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import cast

import strawberry

from subgraphs.products import domain
from subgraphs.products.category import Category as CategoryState
from subgraphs.products.category_handlers import CategoryHandlers
from subgraphs.products.events import DEFAULT_CHANNEL
from subgraphs.products.handlers import ProductHandlers
from subgraphs.products.price_handlers import PriceHandlers
from subgraphs.products.reads import BY_LATEST_PRICE, CatalogueReads, Order, Row
from subgraphs.shared.auth import Role
from subgraphs.shared.graphql import (
    Connection,
    MoneyType,
    Node,
    RequestContext,
    field,
)
from subgraphs.shared.paging import Page, read_page


@dataclass(frozen=True, slots=True)
class ProductsResources:
    """What resolvers write through and read through."""

    products: ProductHandlers
    prices: PriceHandlers
    categories: CategoryHandlers
    reads: CatalogueReads


Info = strawberry.Info[RequestContext[ProductsResources], None]


def sees_drafts(info: Info) -> bool:
    """Whether the caller sees what was never on sale."""
    return info.context.caller.has(Role.STAFF, Role.ADMIN, Role.AUDITOR)


@strawberry.enum
class ProductStatus(Enum):
    DRAFT = "DRAFT"
    PUBLISHED = "PUBLISHED"
    ARCHIVED = "ARCHIVED"


ProductOrder = strawberry.enum(Order, name="ProductOrder")


@strawberry.federation.type(keys=["id"])
class Category(Node):
    version: int
    slug: str
    name: str
    parent_id: strawberry.Private[str | None]

    @strawberry.field
    async def parent(self, info: Info) -> Category | None:
        return None if self.parent_id is None else await load_category(info, self.parent_id)

    @classmethod
    async def resolve_reference(cls, info: Info, id: strawberry.ID) -> Category | None:  # noqa: A002
        return await load_category(info, str(id))

    @classmethod
    def of(cls, row: Row) -> Category:
        """From a row of the read model."""
        return cls(
            id=strawberry.ID(row["id"]),
            version=row["version"],
            slug=row["slug"],
            name=row["name"],
            parent_id=row["parent_id"],
        )

    @classmethod
    def written(cls, state: CategoryState, version: int) -> Category:
        """From what a command has just left in the log."""
        return cls(
            id=strawberry.ID(state.id),
            version=version,
            slug=state.slug,
            name=state.name,
            parent_id=state.parent_id,
        )


@strawberry.type
class VariantOption:
    name: str
    value: str


@strawberry.type(description="A price from a time on, and who set it.")
class PricePoint:
    price: MoneyType
    channel: str
    effective_at: datetime
    reason: str | None


@strawberry.federation.type(keys=["id", "sku"])
class ProductVariant(Node):
    sku: str = strawberry.federation.field(shareable=True)
    options: list[VariantOption]
    weight_grams: int | None
    tax_class: str
    product_id: strawberry.Private[str]
    default_price: strawberry.Private[MoneyType | None]
    state: strawberry.Private[domain.Product | None] = None
    product_version: strawberry.Private[int] = 0

    @strawberry.field
    async def product(self, info: Info) -> Product | None:
        if self.state is not None:
            return Product.written(self.state, self.product_version)
        row = await info.context.loader(info.context.resources.reads.products).load(self.product_id)
        assert row is not None, f"{self.id} has no product"
        return Product.of(row)

    @field("In a channel without a price of its own, the default one.")
    def price(self, info: Info, channel: str | None = None) -> MoneyType | None:
        """The default price came with the variant; another is awaited (graphql-core does that)."""
        if channel is None or channel == DEFAULT_CHANNEL:
            return self.default_price
        if self.state is not None:
            own = self.state.variants[str(self.id)].prices.get(channel)
            return self.default_price if own is None else MoneyType.of(own)
        return cast("MoneyType | None", self._price_in(info, channel))

    async def _price_in(self, info: Info, channel: str) -> MoneyType | None:
        loader = info.context.loader(info.context.resources.reads.prices)
        row = await loader.load((str(self.id), channel))
        return None if row is None else MoneyType.minor(row["minor"], row["currency"])

    @field("Latest first, over all channels.")
    async def price_history(
        self, info: Info, first: int, after: str | None = None
    ) -> Connection[PricePoint]:
        page = read_page(first, after, BY_LATEST_PRICE)
        rows = await info.context.loader(_history(info, page), variant=(first, after)).load(
            str(self.id)
        )
        return Connection[PricePoint].of(rows or [], page, BY_LATEST_PRICE, _point)

    @classmethod
    async def resolve_reference(
        cls,
        info: Info,
        id: strawberry.ID | None = None,  # noqa: A002
        sku: str | None = None,
    ) -> ProductVariant | None:
        return await load_variant(info, None if id is None else str(id), sku)

    @classmethod
    def of(cls, row: Row) -> ProductVariant:
        """From a row of the read model."""
        return cls(
            id=strawberry.ID(row["id"]),
            sku=row["sku"],
            options=[VariantOption(name=o["name"], value=o["value"]) for o in row["options"]],
            weight_grams=row["weight_grams"],
            tax_class=row["tax_class"],
            product_id=row["product_id"],
            default_price=None
            if row["minor"] is None
            else MoneyType.minor(row["minor"], row["currency"]),
        )

    @classmethod
    def written(
        cls, state: domain.Product, variant: domain.Variant, version: int
    ) -> ProductVariant:
        """From what a command has just left in the log; `version` is the product's."""
        return cls(
            id=strawberry.ID(variant.id),
            sku=variant.sku,
            options=[VariantOption(name=o.name, value=o.value) for o in variant.options],
            weight_grams=variant.weight_grams,
            tax_class=variant.tax_class,
            product_id=state.id,
            default_price=MoneyType.of(variant.prices[DEFAULT_CHANNEL]),
            state=state,
            product_version=version,
        )


@strawberry.federation.type(keys=["id"])
class Product(Node):
    version: int
    slug: str
    title: str
    description: str | None
    status: ProductStatus
    channels: list[str] = strawberry.field(description="Where it is on sale.")
    created_at: datetime
    category_id: strawberry.Private[str | None]
    state: strawberry.Private[domain.Product | None] = None

    @strawberry.field
    async def category(self, info: Info) -> Category | None:
        return None if self.category_id is None else await load_category(info, self.category_id)

    @field("In the order in which they were added; 100 at most.")
    async def variants(self, info: Info) -> list[ProductVariant]:
        if (state := self.state) is not None:
            return [
                ProductVariant.written(state, variant, self.version)
                for variant in state.variants.values()
            ]
        loader = info.context.loader(info.context.resources.reads.variants_of)
        return [ProductVariant.of(row) for row in await loader.load(str(self.id)) or []]

    @classmethod
    async def resolve_reference(cls, info: Info, id: strawberry.ID) -> Product | None:  # noqa: A002
        row = await info.context.loader(info.context.resources.reads.products).load(str(id))
        return visible_product(info, row)

    @classmethod
    def of(cls, row: Row) -> Product:
        """From a row of the read model."""
        return cls(
            id=strawberry.ID(row["id"]),
            version=row["version"],
            slug=row["slug"],
            title=row["title"],
            description=row["description"],
            status=_status(row["archived"], row["channels"]),
            channels=sorted(row["channels"]),
            created_at=row["created_at"],
            category_id=row["category_id"],
        )

    @classmethod
    def written(cls, state: domain.Product, version: int) -> Product:
        """From what a command has just left in the log: a product that exists."""
        assert state.created_at is not None, f"{state.id} does not exist"
        return cls(
            id=strawberry.ID(state.id),
            version=version,
            slug=state.slug,
            title=state.details.title,
            description=state.details.description,
            status=_status(state.archived, state.channels),
            channels=sorted(state.channels),
            created_at=state.created_at,
            category_id=state.details.category_id,
            state=state,
        )


def visible_product(info: Info, row: Row | None) -> Product | None:
    """A draft is nobody's business but the staff's; what was sold once stays visible."""
    if row is None or not (row["ever_published"] or sees_drafts(info)):
        return None
    return Product.of(row)


async def load_variant(
    info: Info, variant_id: str | None, sku: str | None
) -> ProductVariant | None:
    """By id or by sku; null where there is none, or only a draft."""
    reads = info.context.resources.reads
    if variant_id is not None:
        row = await info.context.loader(reads.variants).load(variant_id)
    elif sku is not None:
        row = await info.context.loader(reads.variants_by_sku).load(sku)
    else:
        return None
    if row is None or not (row["ever_published"] or sees_drafts(info)):
        return None
    return ProductVariant.of(row)


async def load_category(info: Info, category_id: str) -> Category | None:
    """One statement for all categories that a request wants at the same time."""
    row = await info.context.loader(info.context.resources.reads.categories).load(category_id)
    return None if row is None else Category.of(row)


def _status(archived: bool, channels: Collection[str]) -> ProductStatus:
    if archived:
        return ProductStatus.ARCHIVED
    return ProductStatus.PUBLISHED if channels else ProductStatus.DRAFT


def _history(
    info: Info, page: Page
) -> Callable[[Sequence[str]], Awaitable[Mapping[str, list[Row]]]]:
    reads = info.context.resources.reads

    async def load(variant_ids: Sequence[str]) -> Mapping[str, list[Row]]:
        return await reads.price_history(variant_ids, page)

    return load


def _point(row: Row) -> PricePoint:
    return PricePoint(
        price=MoneyType.minor(row["minor"], row["currency"]),
        channel=row["channel"],
        effective_at=row["effective_at"],
        reason=row["reason"],
    )

"""The inputs of the products subgraph, and what they mean."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TypeVar

import strawberry

from subgraphs.products.domain import PriceChange
from subgraphs.products.domain_rules import STANDARD_TAX, Details, NewVariant
from subgraphs.products.events import DEFAULT_CHANNEL, Option
from subgraphs.products.handlers import NewProduct
from subgraphs.products.price_handlers import PriceRequest
from subgraphs.shared.errors import InvalidValue, Refusal, Refusals
from subgraphs.shared.graphql import MoneyInput
from subgraphs.shared.ids import new_id

A = TypeVar("A")
B = TypeVar("B")


@strawberry.input
class VariantOptionInput:
    name: str
    value: str


@strawberry.input
class CreateVariantInput:
    sku: str
    price: MoneyInput
    options: list[VariantOptionInput] | None = None
    weight_grams: int | None = None
    tax_class: str | None = None


@strawberry.input
class NewProductInput:
    slug: str
    title: str
    variants: list[CreateVariantInput]
    description: str | None = None
    category_id: strawberry.ID | None = None
    publish: bool = False


@strawberry.input
class CreateProductInput(NewProductInput):
    idempotency_key: strawberry.ID


@strawberry.input
class CreateProductsInput:
    products: list[NewProductInput]
    idempotency_key: strawberry.ID


@strawberry.input
class ProductDetailsInput:
    title: str
    description: str | None = None
    category_id: strawberry.ID | None = None


@strawberry.input(description="Name the variant by its id or by its sku.")
class PriceChangeInput:
    price: MoneyInput
    variant_id: strawberry.ID | None = None
    sku: str | None = None
    channel: str | None = None
    effective_at: datetime | None = None
    reason: str | None = None


@strawberry.input
class CreateCategoryInput:
    slug: str
    name: str
    idempotency_key: strawberry.ID
    parent_id: strawberry.ID | None = None


def details_of(given: NewProductInput | ProductDetailsInput) -> Details:
    """What a product is to be called."""
    category_id = None if given.category_id is None else str(given.category_id)
    return Details(given.title, given.description, category_id)


def variant_of(given: CreateVariantInput, *path: str) -> NewVariant:
    """A variant with a new id. Raises InvalidMoney."""
    return NewVariant(
        new_id("var"),
        given.sku,
        given.price.value(*path, "price"),
        tuple(Option(option.name, option.value) for option in given.options or ()),
        given.weight_grams,
        given.tax_class or STANDARD_TAX,
    )


def product_of(given: NewProductInput, *path: str) -> NewProduct:
    """A product with new ids. Raises Refusals: all that is no amount of money."""
    variants = each(
        given.variants, lambda index, variant: variant_of(variant, *path, "variants", index)
    )
    return NewProduct(
        new_id("prd"), given.slug, details_of(given), tuple(variants), given.publish, path
    )


def price_of(given: PriceChangeInput, *path: str) -> PriceRequest:
    """Which price is to change. Raises InvalidMoney, InvalidValue."""
    if (given.variant_id is None) == (given.sku is None):
        raise InvalidValue("name the variant by its id or by its sku: one of them", path=path)
    by_sku = given.variant_id is None
    key = given.sku if by_sku else str(given.variant_id)
    change = PriceChange(
        given.price.value(*path, "price"),
        given.channel or DEFAULT_CHANNEL,
        given.effective_at,
        given.reason,
    )
    return PriceRequest(key or "", by_sku, change, path)


def each(items: Sequence[A], read: Callable[[str, A], B]) -> list[B]:
    """Read every item, by its index. Raises Refusals: those of all items."""
    found: list[B] = []
    refusals: list[Refusal] = []
    for index, item in enumerate(items):
        try:
            found.append(read(str(index), item))
        except Refusal as refusal:
            refusals.append(refusal)
        except Refusals as several:
            refusals += several.refusals
    if refusals:
        raise Refusals(refusals)
    return found

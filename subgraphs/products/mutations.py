"""The mutations of the products subgraph: arguments in, payloads out."""

from __future__ import annotations

from collections.abc import Awaitable

import strawberry

from subgraphs.products.category import Category as CategoryState
from subgraphs.products.domain import Product as ProductState
from subgraphs.products.events import DEFAULT_CHANNEL
from subgraphs.products.inputs import (
    CreateCategoryInput,
    CreateProductInput,
    CreateProductsInput,
    CreateVariantInput,
    PriceChangeInput,
    ProductDetailsInput,
    details_of,
    each,
    price_of,
    product_of,
    variant_of,
)
from subgraphs.products.live import Subscription
from subgraphs.products.queries import Query
from subgraphs.products.schema import Category, Info, Product
from subgraphs.shared.commands import Done, attempt
from subgraphs.shared.graphql import Receipt, UserError, build_schema, mutation


@strawberry.type
class ProductPayload:
    product: Product | None
    receipt: Receipt | None
    user_errors: list[UserError]


@strawberry.type(description="All of them, or none and all that is wrong.")
class ProductsPayload:
    products: list[Product]
    receipt: Receipt | None
    user_errors: list[UserError]


@strawberry.type
class CategoryPayload:
    category: Category | None
    receipt: Receipt | None
    user_errors: list[UserError]


@strawberry.type
class Mutation:
    @mutation("For staff, as all mutations of the catalogue.")
    async def create_product(
        self,
        info: Info,
        input: CreateProductInput,  # noqa: A002
    ) -> ProductPayload:
        return await _product_payload(_create(info, input))

    @mutation("Up to 500 products, all or none.")
    async def create_products(
        self,
        info: Info,
        input: CreateProductsInput,  # noqa: A002
    ) -> ProductsPayload:
        return await _products_payload(_create_many(info, input))

    @strawberry.mutation
    async def change_product_details(
        self,
        info: Info,
        id: strawberry.ID,  # noqa: A002
        input: ProductDetailsInput,  # noqa: A002
        expected_version: int | None = None,
    ) -> ProductPayload:
        return await _product_payload(
            info.context.resources.products.change_details(
                info.context, str(id), details_of(input), expected_version
            )
        )

    @strawberry.mutation
    async def add_variant(
        self,
        info: Info,
        product_id: strawberry.ID,
        input: CreateVariantInput,  # noqa: A002
        idempotency_key: strawberry.ID,
        expected_version: int | None = None,
    ) -> ProductPayload:
        return await _product_payload(
            _add_variant(info, str(product_id), input, str(idempotency_key), expected_version)
        )

    @mutation("A price at a time to come is scheduled.")
    async def change_price(
        self,
        info: Info,
        input: PriceChangeInput,  # noqa: A002
        idempotency_key: strawberry.ID,
        expected_version: int | None = None,
    ) -> ProductPayload:
        return await _product_payload(
            _change_price(info, input, str(idempotency_key), expected_version)
        )

    @mutation("Up to 500 prices, all or none.")
    async def change_prices(
        self, info: Info, changes: list[PriceChangeInput], idempotency_key: strawberry.ID
    ) -> ProductsPayload:
        return await _products_payload(_change_prices(info, changes, str(idempotency_key)))

    @strawberry.mutation
    async def publish_product(
        self,
        info: Info,
        id: strawberry.ID,  # noqa: A002
        channel: str = DEFAULT_CHANNEL,
        expected_version: int | None = None,
    ) -> ProductPayload:
        return await _product_payload(
            info.context.resources.products.publish(
                info.context, str(id), channel, expected_version
            )
        )

    @strawberry.mutation
    async def unpublish_product(
        self,
        info: Info,
        id: strawberry.ID,  # noqa: A002
        channel: str = DEFAULT_CHANNEL,
        reason: str | None = None,
        expected_version: int | None = None,
    ) -> ProductPayload:
        return await _product_payload(
            info.context.resources.products.unpublish(
                info.context, str(id), channel, reason, expected_version
            )
        )

    @mutation("For good: what was sold of it stays readable.")
    async def archive_product(
        self,
        info: Info,
        id: strawberry.ID,  # noqa: A002
        reason: str,
        expected_version: int | None = None,
    ) -> ProductPayload:
        return await _product_payload(
            info.context.resources.products.archive(info.context, str(id), reason, expected_version)
        )

    @strawberry.mutation
    async def create_category(
        self,
        info: Info,
        input: CreateCategoryInput,  # noqa: A002
    ) -> CategoryPayload:
        return await _category_payload(
            info.context.resources.categories.create(
                info.context,
                slug=input.slug,
                name=input.name,
                parent_id=None if input.parent_id is None else str(input.parent_id),
                body=input,
                idempotency_key=str(input.idempotency_key),
            )
        )

    @strawberry.mutation
    async def rename_category(
        self,
        info: Info,
        id: strawberry.ID,  # noqa: A002
        name: str,
        expected_version: int | None = None,
    ) -> CategoryPayload:
        return await _category_payload(
            info.context.resources.categories.rename(info.context, str(id), name, expected_version)
        )

    @mutation("Without a parent, to the top.")
    async def move_category(
        self,
        info: Info,
        id: strawberry.ID,  # noqa: A002
        parent_id: strawberry.ID | None = None,
        expected_version: int | None = None,
    ) -> CategoryPayload:
        return await _category_payload(
            info.context.resources.categories.move(
                info.context,
                str(id),
                None if parent_id is None else str(parent_id),
                expected_version,
            )
        )


async def _create(info: Info, given: CreateProductInput) -> Done[ProductState]:
    return await info.context.resources.products.create(
        info.context,
        [product_of(given, "input")],
        operation="createProduct",
        body=given,
        idempotency_key=str(given.idempotency_key),
    )


async def _create_many(info: Info, given: CreateProductsInput) -> Done[ProductState]:
    products = each(
        given.products, lambda index, product: product_of(product, "input", "products", index)
    )
    return await info.context.resources.products.create(
        info.context,
        products,
        operation="createProducts",
        body=given,
        idempotency_key=str(given.idempotency_key),
    )


async def _add_variant(
    info: Info, product_id: str, given: CreateVariantInput, key: str, expected: int | None
) -> Done[ProductState]:
    return await info.context.resources.products.add_variant(
        info.context,
        product_id,
        variant_of(given, "input"),
        body=[product_id, given, expected],
        idempotency_key=key,
        expected=expected,
    )


async def _change_price(
    info: Info, given: PriceChangeInput, key: str, expected: int | None
) -> Done[ProductState]:
    return await info.context.resources.prices.change_price(
        info.context,
        price_of(given, "input"),
        body=[given, expected],
        idempotency_key=key,
        expected=expected,
    )


async def _change_prices(
    info: Info, changes: list[PriceChangeInput], key: str
) -> Done[ProductState]:
    requests = each(changes, lambda index, change: price_of(change, "changes", index))
    return await info.context.resources.prices.change_prices(
        info.context, requests, body=changes, idempotency_key=key
    )


async def _product_payload(work: Awaitable[Done[ProductState]]) -> ProductPayload:
    result = await attempt(work)
    if (done := result.value) is None:
        return ProductPayload(product=None, receipt=None, user_errors=result.user_errors)
    product = Product.written(done.state, done.receipt.version)
    return ProductPayload(product=product, receipt=done.receipt, user_errors=[])


async def _products_payload(work: Awaitable[Done[ProductState]]) -> ProductsPayload:
    result = await attempt(work)
    if (done := result.value) is None:
        return ProductsPayload(products=[], receipt=None, user_errors=result.user_errors)
    states = [(done.state, done.receipt.version), *done.others]
    products = [Product.written(state, version) for state, version in states]
    return ProductsPayload(products=products, receipt=done.receipt, user_errors=[])


async def _category_payload(work: Awaitable[Done[CategoryState]]) -> CategoryPayload:
    result = await attempt(work)
    if (done := result.value) is None:
        return CategoryPayload(category=None, receipt=None, user_errors=result.user_errors)
    category = Category.written(done.state, done.receipt.version)
    return CategoryPayload(category=category, receipt=done.receipt, user_errors=[])


SCHEMA = build_schema(
    operator="products", query=Query, mutation=Mutation, subscription=Subscription
)

"""Carts in the schema. Only their owner and staff see one: to others it is null."""

from __future__ import annotations

from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, Annotated

import strawberry

from subgraphs.orders.cart import CartLine as LineState
from subgraphs.orders.cart_handlers import SEES_OTHERS
from subgraphs.orders.pricing import line_amount_minor
from subgraphs.orders.schema_common import DeliveryAddress, DestinationType, Info, ProductVariant
from subgraphs.orders.views import CartView
from subgraphs.shared.graphql import CurrencyCode, MoneyType, Node, field
from subgraphs.shared.ids import is_id

if TYPE_CHECKING:
    from subgraphs.orders.schema_order import Order


LazyOrder = Annotated["Order", strawberry.lazy("subgraphs.orders.schema_order")]


@strawberry.enum
class CartStatus(Enum):
    OPEN = "OPEN"
    ORDERED = "ORDERED"
    EXPIRED = "EXPIRED"


@strawberry.interface(description="Why the cart could not be ordered as it stands.")
class CartProblem:
    message: str


@strawberry.type(description="The price is another one than when the line was set.")
class PriceChanged(CartProblem):
    variant: ProductVariant | None
    from_: MoneyType = strawberry.field(name="from")
    to: MoneyType


@strawberry.type(description="The variant is not for sale at the moment.")
class NotForSale(CartProblem):
    variant: ProductVariant | None


@strawberry.federation.type
class CartLine:
    id: strawberry.ID
    variant: ProductVariant | None = strawberry.federation.field(provides=["sku"])
    title: str
    quantity: int
    unit_price: MoneyType
    discount: MoneyType
    total: MoneyType

    @classmethod
    def of(cls, cart: CartView, line: LineState) -> CartLine:
        currency = cart.currency
        return cls(
            id=strawberry.ID(f"{cart.id}:{line.variant_id}"),
            variant=_variant(line),
            title=line.title,
            quantity=line.quantity,
            unit_price=MoneyType.minor(line.unit_price_minor, currency),
            discount=MoneyType.minor(line.discount_minor, currency),
            total=MoneyType.minor(line_amount_minor(line), currency),
        )


@strawberry.federation.type(keys=["id"], description="What somebody is about to order.")
class Cart(Node):
    version: int
    status: CartStatus
    currency: CurrencyCode
    expires_at: datetime
    view: strawberry.Private[CartView]

    @classmethod
    def of(cls, view: CartView) -> Cart:
        return cls(
            id=strawberry.ID(view.id),
            version=view.version,
            status=CartStatus(view.status),
            currency=CurrencyCode(view.currency),
            expires_at=view.expires_at,
            view=view,
        )

    @classmethod
    async def resolve_reference(
        cls,
        info: Info,
        id: strawberry.ID,  # noqa: A002
    ) -> Cart | None:
        return await visible_cart(info, str(id))

    @field("In the order in which they were first set.")
    def lines(self) -> list[CartLine]:
        return [CartLine.of(self.view, line) for line in self.view.lines]

    @strawberry.field
    def destination(self) -> DestinationType | None:
        return DestinationType.of(self.view.destination)

    @strawberry.field
    def address(self) -> DeliveryAddress | None:
        return DeliveryAddress.of(self.view.destination)

    @strawberry.field
    def total_weight_grams(self) -> int:
        return self.view.total_weight_grams

    @field("At the prices the lines were set with, without shipping.")
    def total(self) -> MoneyType:
        return MoneyType.minor(self.view.total_minor, self.view.currency)

    @field("Empty when it could be ordered at this total.")
    async def problems(self, info: Info) -> list[CartProblem]:
        lines = self.view.lines
        loader = info.context.loader(info.context.resources.catalogue.offers)
        offers = await loader.load_many([line.variant_id for line in lines])
        problems: list[CartProblem] = []
        for line, offer in zip(lines, offers, strict=True):
            if offer is None or not offer.published or offer.currency != self.view.currency:
                problems.append(
                    NotForSale(
                        message=f"{line.sku} is not for sale at the moment", variant=_variant(line)
                    )
                )
            elif offer.price_minor != line.unit_price_minor:
                problems.append(
                    PriceChanged(
                        message=f"the price of {line.sku} has changed",
                        variant=_variant(line),
                        from_=MoneyType.minor(line.unit_price_minor, self.view.currency),
                        to=MoneyType.minor(offer.price_minor, offer.currency),
                    )
                )
        return problems

    @field("The order it became.")
    async def order(self, info: Info) -> LazyOrder | None:
        from subgraphs.orders.schema_order import visible_order

        return None if self.view.order_id is None else await visible_order(info, self.view.order_id)


async def visible_cart(info: Info, cart_id: str) -> Cart | None:
    """The cart, if there is one and the caller may see it."""
    if not is_id(cart_id, "crt"):
        return None
    view = await info.context.loader(info.context.resources.reads.carts).load(cart_id)
    if view is None or not info.context.caller.may_see(view.customer_id, *SEES_OTHERS):
        return None
    return Cart.of(view)


def _variant(line: LineState) -> ProductVariant:
    return ProductVariant(id=strawberry.ID(line.variant_id), sku=line.sku)

"""What the types of this subgraph share: resources, stubs of others' entities, addresses."""

from __future__ import annotations

from dataclasses import dataclass

import strawberry
from strawberry.federation.schema_directives import Key
from strawberry.federation.types import FieldSet

from subgraphs.orders.cart_handlers import CartHandlers
from subgraphs.orders.catalogue import Catalogue
from subgraphs.orders.history import OrderHistory
from subgraphs.orders.order_handlers import OrderHandlers
from subgraphs.orders.parts import Destination
from subgraphs.orders.reads import OrderReads
from subgraphs.shared.graphql import CountryCode, RequestContext


@dataclass(frozen=True, slots=True)
class OrdersResources:
    """What resolvers write through and read through."""

    carts: CartHandlers
    orders: OrderHandlers
    reads: OrderReads
    catalogue: Catalogue
    history: OrderHistory


Info = strawberry.Info[RequestContext[OrdersResources], None]


@strawberry.federation.type(
    keys=[Key(fields=FieldSet("id"), resolvable=False)],
    description="A variant of a product: carts and orders keep its sku, the catalogue the rest.",
)
class ProductVariant:
    id: strawberry.ID
    sku: str = strawberry.federation.field(external=True)


@strawberry.federation.type(
    name="Destination", shareable=True, description="As much of an address as rates depend on."
)
class DestinationType:
    country: CountryCode
    postal_code: str | None

    @classmethod
    def of(cls, destination: Destination | None) -> DestinationType | None:
        if destination is None:
            return None
        return cls(country=CountryCode(destination.country), postal_code=destination.postal_code)


@strawberry.type(description="Where the goods go, as it was given.")
class DeliveryAddress:
    name: str
    lines: list[str]
    city: str
    postal_code: str | None
    region: str | None
    country: CountryCode
    phone: str | None

    @classmethod
    def of(cls, destination: Destination | None) -> DeliveryAddress | None:
        if destination is None:
            return None
        return cls(
            name=destination.name,
            lines=list(destination.lines),
            city=destination.city,
            postal_code=destination.postal_code,
            region=destination.region,
            country=CountryCode(destination.country),
            phone=destination.phone,
        )

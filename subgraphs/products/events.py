"""What happens to products, their variants and categories. Prices are minor units of `currency`.

`channel` names a place of sale; "default" is the shop. Consumers that know one place of sale ignore
events of other channels.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from eventstore.event import Event, event_type

DEFAULT_CHANNEL = "default"


class Option(msgspec.Struct, frozen=True):
    """What tells one variant of a product from another: size L."""

    name: str
    value: str


@event_type("product.created")
class ProductCreated(Event, frozen=True):
    product_id: str
    slug: str
    title: str
    description: str | None
    category_id: str | None
    at: datetime


@event_type("product.details_changed")
class DetailsChanged(Event, frozen=True):
    product_id: str
    title: str
    description: str | None
    category_id: str | None


@event_type("product.variant_added")
class VariantAdded(Event, frozen=True):
    """`title` is that of the product with the options, as a customer would read it on a bill."""

    product_id: str
    variant_id: str
    sku: str
    title: str
    options: list[Option]
    weight_grams: int | None
    tax_class: str
    price_minor: int
    currency: str
    at: datetime


@event_type("variant.price_changed")
class PriceChanged(Event, frozen=True):
    """`from_minor` is None for the first price in a channel."""

    product_id: str
    variant_id: str
    sku: str
    channel: str
    from_minor: int | None
    to_minor: int
    currency: str
    effective_at: datetime
    reason: str | None


@event_type("variant.price_scheduled", public=False)
class PriceScheduled(Event, frozen=True):
    """A price to come: it is nobody else's business until then."""

    product_id: str
    variant_id: str
    schedule_id: str
    channel: str
    to_minor: int
    currency: str
    effective_at: datetime
    reason: str | None


@event_type("product.published")
class ProductPublished(Event, frozen=True):
    product_id: str
    channel: str


@event_type("product.unpublished")
class ProductUnpublished(Event, frozen=True):
    product_id: str
    channel: str
    reason: str | None


@event_type("product.archived")
class ProductArchived(Event, frozen=True):
    """No longer part of the catalogue; what was sold of it stays readable."""

    product_id: str
    reason: str


@event_type("category.created")
class CategoryCreated(Event, frozen=True):
    category_id: str
    slug: str
    name: str
    parent_id: str | None


@event_type("category.renamed")
class CategoryRenamed(Event, frozen=True):
    category_id: str
    name: str


@event_type("category.moved")
class CategoryMoved(Event, frozen=True):
    category_id: str
    parent_id: str | None


EVENTS = (
    ProductCreated,
    DetailsChanged,
    VariantAdded,
    PriceChanged,
    PriceScheduled,
    ProductPublished,
    ProductUnpublished,
    ProductArchived,
    CategoryCreated,
    CategoryRenamed,
    CategoryMoved,
)

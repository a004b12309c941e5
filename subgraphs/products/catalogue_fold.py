"""The catalogue written by sets: what a batch of events leaves of each product, in few statements.

A product that is created within the batch is inserted once, as the batch leaves it; one that was
there before is updated in place. Both as `Catalogue.apply` would, one event after the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

from eventstore.event import Recorded
from projections import Cursor
from projections.bulk import insert, update, upsert
from subgraphs.products.events import (
    DEFAULT_CHANNEL,
    DetailsChanged,
    PriceChanged,
    ProductArchived,
    ProductCreated,
    ProductPublished,
    ProductUnpublished,
    VariantAdded,
)

INSERT = """
    INSERT INTO products (id, version, slug, title, description, category_id, archived, channels,
        ever_published, created_at, price_min_minor, price_max_minor)
    SELECT id, version, slug, title, description, category_id, archived,
        array(SELECT jsonb_array_elements_text(channels)),
        ever_published, created_at, price_min_minor, price_max_minor
    FROM unnest(%s::text[], %s::bigint[], %s::text[], %s::text[], %s::text[], %s::text[],
            %s::boolean[], %s::jsonb[], %s::boolean[], %s::timestamptz[], %s::bigint[],
            %s::bigint[])
        AS given (id, version, slug, title, description, category_id, archived, channels,
            ever_published, created_at, price_min_minor, price_max_minor)
"""
CHANNELS = """
    UPDATE products SET ever_published = ever_published OR cardinality(published) > 0,
        channels = array(SELECT channel FROM unnest(channels) WITH ORDINALITY AS old (channel, n)
            WHERE channel <> ALL (touched) ORDER BY n) || shown
    FROM (SELECT product_id, array_agg(channel) AS touched,
            coalesce(array_agg(channel ORDER BY place) FILTER (WHERE shown), '{}') AS shown,
            coalesce(array_agg(channel) FILTER (WHERE published), '{}') AS published
        FROM unnest(%s::text[], %s::text[], %s::integer[], %s::boolean[], %s::boolean[])
            AS given (product_id, channel, place, shown, published) GROUP BY product_id) changed
    WHERE id = product_id
"""
PRICE_RANGES = """
    UPDATE products SET price_min_minor = low, price_max_minor = high
    FROM (SELECT product_id, min(minor) AS low, max(minor) AS high
        FROM variants JOIN prices ON variant_id = variants.id
        WHERE product_id = ANY (%s) AND channel = %s GROUP BY product_id) priced
    WHERE products.id = product_id
"""


class Change:
    """What a batch does to one product."""

    def __init__(self) -> None:
        self.version = 0
        self.created: ProductCreated | None = None
        self.details: ProductCreated | DetailsChanged | None = None
        self.archived = False
        self.channels: dict[str, bool] = {}
        """Channel to whether it is shown there now, by the order of the last change."""
        self.published: set[str] = set()
        self.variants: set[str] = set()
        self.default_prices: dict[str, int] = {}

    def publish(self, channel: str, shown: bool) -> None:
        self.channels.pop(channel, None)
        self.channels[channel] = shown
        if shown:
            self.published.add(channel)

    @property
    def prices(self) -> list[int]:
        """The default prices of the variants that the batch added."""
        return [minor for id_, minor in self.default_prices.items() if id_ in self.variants]


class Prices:
    """The prices that a batch leaves, and how they came about."""

    def __init__(self) -> None:
        self.last: dict[tuple[str, str], tuple[int, str]] = {}
        self.history: list[tuple[Any, ...]] = []

    def set(
        self,
        recorded: Recorded[Any],
        channel: str,
        minor: int,
        effective_at: datetime,
        change: Change,
    ) -> None:
        event, metadata = recorded.event, recorded.metadata
        variant, currency = event.variant_id, event.currency
        self.last[variant, channel] = (minor, currency)
        self.history.append(
            (
                *(variant, recorded.position, channel, minor, currency, effective_at),
                *(metadata.reason, metadata.actor.id),
            )
        )
        if channel == DEFAULT_CHANNEL:
            change.default_prices[variant] = minor


def fold_catalogue(batch: Sequence[Recorded[Any]], cursor: Cursor) -> None:
    """Write what the batch leaves."""
    changes: dict[str, Change] = {}
    variants: list[tuple[Any, ...]] = []
    prices = Prices()
    for recorded in batch:
        event = recorded.event
        change = changes.get(event.product_id)
        if change is None:
            change = changes[event.product_id] = Change()
        change.version = recorded.version
        match event:
            case ProductCreated():
                change.created = change.details = event
            case DetailsChanged():
                change.details = event
            case VariantAdded():
                change.variants.add(event.variant_id)
                variants.append(_variant(recorded))
                prices.set(recorded, DEFAULT_CHANNEL, event.price_minor, event.at, change)
            case PriceChanged():
                prices.set(recorded, event.channel, event.to_minor, event.effective_at, change)
            case ProductPublished():
                change.publish(event.channel, True)
            case ProductUnpublished():
                change.publish(event.channel, False)
            case ProductArchived():
                change.archived = True
    new = {id_: change for id_, change in changes.items() if change.created is not None}
    old = {id_: change for id_, change in changes.items() if change.created is None}
    _insert_products(new, cursor)
    insert(cursor, "variants", _columns(VARIANT, variants))
    _write_prices(prices, cursor)
    _update_products(old, cursor)


VARIANT = {
    "id": "text",
    "product_id": "text",
    "sku": "text",
    "options": "jsonb",
    "weight_grams": "bigint",
    "tax_class": "text",
    "place": "bigint",
}
PRICE = {"variant_id": "text", "channel": "text", "minor": "bigint", "currency": "text"}
PRICE_CHANGE = {
    "variant_id": "text",
    "position": "bigint",
    "channel": "text",
    "minor": "bigint",
    "currency": "text",
    "effective_at": "timestamptz",
    "reason": "text",
    "actor_id": "text",
}
DETAILS = {"id": "text", "title": "text", "description": "text", "category_id": "text"}


def _columns(
    types: Mapping[str, str], rows: Iterable[tuple[Any, ...]]
) -> dict[str, tuple[str, list[Any]]]:
    columns: list[list[Any]] = [list(column) for column in zip(*rows, strict=True)]
    columns = columns or [[] for _ in types]
    return {
        name: (kind, values) for (name, kind), values in zip(types.items(), columns, strict=True)
    }


def _variant(recorded: Recorded[VariantAdded]) -> tuple[Any, ...]:
    event = recorded.event
    return (
        event.variant_id,
        event.product_id,
        event.sku,
        Jsonb([{"name": option.name, "value": option.value} for option in event.options]),
        event.weight_grams,
        event.tax_class,
        recorded.version,
    )


def _write_prices(prices: Prices, cursor: Cursor) -> None:
    last = [(*key, *price) for key, price in prices.last.items()]
    upsert(cursor, "prices", _columns(PRICE, last), key=("variant_id", "channel"))
    insert(cursor, "price_history", _columns(PRICE_CHANGE, prices.history))


def _insert_products(new: Mapping[str, Change], cursor: Cursor) -> None:
    rows = []
    for id_, change in new.items():
        created, details, prices = change.created, change.details, change.prices
        assert created is not None
        assert details is not None
        channels = [channel for channel, shown in change.channels.items() if shown]
        rows.append(
            (
                *(id_, change.version, created.slug),
                *(details.title, details.description, details.category_id),
                *(change.archived, Jsonb(channels), bool(change.published), created.at),
                *(min(prices, default=None), max(prices, default=None)),
            )
        )
    if rows:
        columns = [list(column) for column in zip(*rows, strict=True)]
        cursor.execute(INSERT.encode(), columns, prepare=True)


def _update_products(old: Mapping[str, Change], cursor: Cursor) -> None:
    versions = [(id_, change.version) for id_, change in old.items()]
    update(cursor, "products", _columns({"id": "text", "version": "bigint"}, versions), key=("id",))
    details = [
        (id_, change.details.title, change.details.description, change.details.category_id)
        for id_, change in old.items()
        if change.details is not None
    ]
    update(cursor, "products", _columns(DETAILS, details), key=("id",))
    archived = [(id_, True) for id_, change in old.items() if change.archived]
    update(
        cursor, "products", _columns({"id": "text", "archived": "boolean"}, archived), key=("id",)
    )
    channels = [
        (id_, channel, place, shown, channel in change.published)
        for id_, change in old.items()
        for place, (channel, shown) in enumerate(change.channels.items())
    ]
    if channels:
        columns = [list(column) for column in zip(*channels, strict=True)]
        cursor.execute(CHANNELS.encode(), columns, prepare=True)
    priced = [id_ for id_, change in old.items() if change.default_prices]
    if priced:
        cursor.execute(PRICE_RANGES.encode(), (priced, DEFAULT_CHANNEL), prepare=True)

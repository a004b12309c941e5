"""What is asked of the catalogue: products, variants, prices and their history, categories."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from psycopg.types.json import Jsonb

from eventstore.event import Recorded
from projections import Cursor, Projection
from subgraphs.products.catalogue_fold import fold_catalogue
from subgraphs.products.events import (
    DEFAULT_CHANNEL,
    CategoryCreated,
    CategoryMoved,
    CategoryRenamed,
    DetailsChanged,
    PriceChanged,
    PriceScheduled,
    ProductArchived,
    ProductCreated,
    ProductPublished,
    ProductUnpublished,
    VariantAdded,
)

EXTENSIONS = "CREATE EXTENSION IF NOT EXISTS pg_trgm SCHEMA public;"
"""Similar words, for search. In `public`, where it outlives the builds of read models."""


class Catalogue(Projection):
    """Products with their variants and prices; the lowest and highest default price with each.

    Every event of a product's stream moves its version, also a price that is still to come.
    """

    name, version = "catalogue", 1
    handles = (
        ProductCreated,
        DetailsChanged,
        VariantAdded,
        PriceChanged,
        PriceScheduled,
        ProductPublished,
        ProductUnpublished,
        ProductArchived,
    )
    parallel = True
    tables = """
        CREATE TABLE products (
            id text PRIMARY KEY,
            version bigint NOT NULL,
            slug text NOT NULL,
            title text NOT NULL,
            description text,
            category_id text,
            archived boolean NOT NULL DEFAULT false,
            channels text[] NOT NULL DEFAULT '{}',
            ever_published boolean NOT NULL DEFAULT false,
            created_at timestamptz NOT NULL,
            price_min_minor bigint,
            price_max_minor bigint,
            words tsvector GENERATED ALWAYS AS (
                setweight(to_tsvector('simple', title), 'A')
                || setweight(to_tsvector('simple', coalesce(description, '')), 'C')
            ) STORED
        );
        CREATE UNIQUE INDEX products_by_slug ON products (slug);
        CREATE INDEX products_by_newest ON products (created_at, id);
        CREATE INDEX products_by_title ON products (title, id);
        CREATE INDEX products_by_price ON products (price_min_minor, id);
        CREATE INDEX products_by_category ON products (category_id, created_at, id);
        CREATE INDEX products_by_words ON products USING gin (words);
        CREATE INDEX products_by_likeness ON products USING gin (title public.gin_trgm_ops);
        CREATE TABLE variants (
            id text PRIMARY KEY,
            product_id text NOT NULL,
            sku text NOT NULL,
            options jsonb NOT NULL,
            weight_grams bigint,
            tax_class text NOT NULL,
            place bigint NOT NULL
        );
        CREATE UNIQUE INDEX variants_by_sku ON variants (sku);
        CREATE INDEX variants_by_product ON variants (product_id, place);
        CREATE TABLE prices (
            variant_id text NOT NULL,
            channel text NOT NULL,
            minor bigint NOT NULL,
            currency text NOT NULL,
            PRIMARY KEY (variant_id, channel)
        );
        CREATE TABLE price_history (
            variant_id text NOT NULL,
            position bigint NOT NULL,
            channel text NOT NULL,
            minor bigint NOT NULL,
            currency text NOT NULL,
            effective_at timestamptz NOT NULL,
            reason text,
            actor_id text NOT NULL,
            PRIMARY KEY (variant_id, position)
        );
    """

    def apply(self, recorded: Recorded[Any], cursor: Cursor) -> None:
        """Write the rows of one event."""
        event = recorded.event
        if isinstance(event, ProductCreated):
            cursor.execute(
                "INSERT INTO products (id, version, slug, title, description, category_id,"
                " created_at) VALUES (%s, %s, %s, %s, %s, %s, %s)",
                (
                    event.product_id,
                    recorded.version,
                    event.slug,
                    event.title,
                    event.description,
                    event.category_id,
                    event.at,
                ),
            )
            return
        cursor.execute(
            "UPDATE products SET version = %s WHERE id = %s", (recorded.version, event.product_id)
        )
        match event:
            case DetailsChanged():
                cursor.execute(
                    "UPDATE products SET title = %s, description = %s, category_id = %s"
                    " WHERE id = %s",
                    (event.title, event.description, event.category_id, event.product_id),
                )
            case VariantAdded():
                _add_variant(recorded, event, cursor)
            case PriceChanged():
                _price(recorded, event.channel, event.to_minor, event.effective_at, cursor)
            case ProductPublished():
                cursor.execute(
                    "UPDATE products SET ever_published = true,"
                    " channels = array_append(array_remove(channels, %s), %s) WHERE id = %s",
                    (event.channel, event.channel, event.product_id),
                )
            case ProductUnpublished():
                cursor.execute(
                    "UPDATE products SET channels = array_remove(channels, %s) WHERE id = %s",
                    (event.channel, event.product_id),
                )
            case ProductArchived():
                cursor.execute(
                    "UPDATE products SET archived = true WHERE id = %s", (event.product_id,)
                )

    def fold(self, batch: Sequence[Recorded[Any]], cursor: Cursor) -> None:
        """Write what the batch leaves, by sets."""
        fold_catalogue(batch, cursor)


def _add_variant(recorded: Recorded[Any], event: VariantAdded, cursor: Cursor) -> None:
    options = [{"name": option.name, "value": option.value} for option in event.options]
    cursor.execute(
        "INSERT INTO variants VALUES (%s, %s, %s, %s, %s, %s, %s)",
        (
            event.variant_id,
            event.product_id,
            event.sku,
            Jsonb(options),
            event.weight_grams,
            event.tax_class,
            recorded.version,
        ),
    )
    _price(recorded, DEFAULT_CHANNEL, event.price_minor, event.at, cursor)


def _price(
    recorded: Recorded[Any], channel: str, minor: int, effective_at: Any, cursor: Cursor
) -> None:
    event = recorded.event
    cursor.execute(
        "INSERT INTO prices VALUES (%s, %s, %s, %s) ON CONFLICT (variant_id, channel)"
        " DO UPDATE SET minor = excluded.minor, currency = excluded.currency",
        (event.variant_id, channel, minor, event.currency),
    )
    cursor.execute(
        "INSERT INTO price_history VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
        (
            event.variant_id,
            recorded.position,
            channel,
            minor,
            event.currency,
            effective_at,
            recorded.metadata.reason,
            recorded.metadata.actor.id,
        ),
    )
    if channel == DEFAULT_CHANNEL:
        cursor.execute(
            "UPDATE products SET (price_min_minor, price_max_minor) = ("
            "SELECT min(minor), max(minor) FROM prices JOIN variants ON id = variant_id"
            " WHERE product_id = %s AND channel = %s) WHERE id = %s",
            (event.product_id, DEFAULT_CHANNEL, event.product_id),
        )


class Categories(Projection):
    """One row per category."""

    name, version, handles = (
        "categories",
        1,
        (CategoryCreated, CategoryRenamed, CategoryMoved),
    )
    parallel = True
    tables = """
        CREATE TABLE categories (
            id text PRIMARY KEY,
            version bigint NOT NULL,
            slug text NOT NULL,
            name text NOT NULL,
            parent_id text
        );
        CREATE INDEX categories_by_name ON categories (name, id);
    """

    def apply(self, recorded: Recorded[Any], cursor: Cursor) -> None:
        """Write the rows of one event."""
        match recorded.event:
            case CategoryCreated() as event:
                cursor.execute(
                    "INSERT INTO categories VALUES (%s, %s, %s, %s, %s)",
                    (
                        event.category_id,
                        recorded.version,
                        event.slug,
                        event.name,
                        event.parent_id,
                    ),
                )
            case CategoryRenamed() as event:
                cursor.execute(
                    "UPDATE categories SET version = %s, name = %s WHERE id = %s",
                    (recorded.version, event.name, event.category_id),
                )
            case CategoryMoved() as event:
                cursor.execute(
                    "UPDATE categories SET version = %s, parent_id = %s WHERE id = %s",
                    (recorded.version, event.parent_id, event.category_id),
                )


PROJECTIONS: Sequence[type[Projection]] = (Catalogue, Categories)

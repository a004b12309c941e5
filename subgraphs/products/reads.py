"""Queries over the catalogue's read models: each one statement, however many rows it is about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from projections import ReadModels
from subgraphs.products.events import DEFAULT_CHANNEL
from subgraphs.shared.paging import Keyset, Page

COUNT_MAX = 10_000
"""Lists longer than this are not counted."""

SEARCH_CHARACTERS_MAX = 200

Row = Mapping[str, Any]

_LIKENESS = "public.word_similarity(%(search)s, title)"
_RANK = (
    "(ts_rank(words, websearch_to_tsquery('simple', %(search)s)) * 1000000"
    f" + {_LIKENESS} * 1000000)::bigint"
)
_PRICE = "coalesce(price_min_minor, 0)"


_VARIANTS = f"""
SELECT variants.*, ever_published, minor, currency FROM variants
JOIN products ON products.id = product_id
LEFT JOIN prices ON variant_id = variants.id AND channel = '{DEFAULT_CHANNEL}'
"""


class Order(Enum):
    """How a list of products is sorted."""

    RELEVANCE = "RELEVANCE"
    NEWEST = "NEWEST"
    PRICE_ASC = "PRICE_ASC"
    PRICE_DESC = "PRICE_DESC"
    TITLE = "TITLE"


KEYSETS = {
    Order.RELEVANCE: Keyset(_RANK, key="rank", cast="bigint", descending=True),
    Order.NEWEST: Keyset("created_at", cast="timestamptz", descending=True),
    Order.PRICE_ASC: Keyset(_PRICE, key="price", cast="bigint"),
    Order.PRICE_DESC: Keyset(_PRICE, key="price", cast="bigint", descending=True),
    Order.TITLE: Keyset("title"),
}
BY_NAME = Keyset("name")
BY_LATEST_PRICE = Keyset("position", "position", cast="bigint", id_cast="bigint", descending=True)


@dataclass(frozen=True, slots=True)
class Where:
    """What products must be like. `channel` is where they are published, None anywhere or not."""

    search: str | None = None
    category_id: str | None = None
    price_min_minor: int | None = None
    price_max_minor: int | None = None
    status: str | None = None
    channel: str | None = None
    currency: str | None = None


_FOUND = """id IN (
    SELECT id FROM products WHERE words @@ websearch_to_tsquery('simple', %(search)s)
    UNION SELECT id FROM products WHERE %(search)s <%% title
    UNION SELECT product_id FROM variants WHERE sku = %(search)s)"""
"""By words, by likeness to the title, by sku: each part has its index."""

_PRICED = """EXISTS (SELECT 1 FROM variants JOIN prices ON variant_id = variants.id
    WHERE product_id = products.id AND currency = %(currency)s)"""

_STATUS = {
    "ARCHIVED": "archived",
    "PUBLISHED": "NOT archived AND channels <> '{}'",
    "DRAFT": "NOT archived AND channels = '{}'",
}


def _conditions(where: Where) -> str:
    """The conditions that are given, so that the planner sees no others."""
    given = {
        _FOUND: where.search is not None,
        "category_id = %(category_id)s": where.category_id is not None,
        "price_max_minor >= %(price_min_minor)s": where.price_min_minor is not None,
        "price_min_minor <= %(price_max_minor)s": where.price_max_minor is not None,
        "%(channel)s = ANY(channels) AND NOT archived": where.channel is not None,
        _PRICED: where.currency is not None,
        _STATUS.get(where.status or "", ""): where.status is not None,
    }
    return " AND ".join(sql for sql, is_given in given.items() if is_given) or "true"


class CatalogueReads:
    """Rows by key for loaders, and pages of lists."""

    def __init__(self, reads: ReadModels) -> None:
        self._reads = reads

    async def products(self, ids: Sequence[str]) -> dict[str, Row]:
        """Products by id."""
        return await self._by("SELECT * FROM products WHERE id = ANY(%s)", ids, "id")

    async def products_by_slug(self, slugs: Sequence[str]) -> dict[str, Row]:
        """Products by slug."""
        return await self._by("SELECT * FROM products WHERE slug = ANY(%s)", slugs, "slug")

    async def variants(self, ids: Sequence[str]) -> dict[str, Row]:
        """Variants by id, with the default price and whether their product was ever on sale."""
        return await self._by(f"{_VARIANTS} WHERE variants.id = ANY(%s)", ids, "id")

    async def variants_by_sku(self, skus: Sequence[str]) -> dict[str, Row]:
        """Variants by sku, as above."""
        return await self._by(f"{_VARIANTS} WHERE sku = ANY(%s)", skus, "sku")

    async def variants_of(self, product_ids: Sequence[str]) -> dict[str, list[Row]]:
        """Variants by product, as above, in the order in which they were added."""
        rows = await self._reads.fetch(
            f"{_VARIANTS} WHERE product_id = ANY(%s) ORDER BY place", (list(product_ids),)
        )
        found: dict[str, list[Row]] = {}
        for row in rows:
            found.setdefault(row["product_id"], []).append(row)
        return found

    async def prices(self, keys: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Row]:
        """Prices by (variant, channel): a channel without one has the default price."""
        rows = await self._reads.fetch(
            """
            SELECT DISTINCT ON (asked.variant_id, asked.channel)
                asked.variant_id, asked.channel, minor, currency
            FROM unnest(%s::text[], %s::text[]) AS asked (variant_id, channel)
            JOIN prices ON prices.variant_id = asked.variant_id
                AND prices.channel IN (asked.channel, %s)
            ORDER BY asked.variant_id, asked.channel, prices.channel <> asked.channel
            """,
            ([key[0] for key in keys], [key[1] for key in keys], DEFAULT_CHANNEL),
        )
        return {(row["variant_id"], row["channel"]): row for row in rows}

    async def price_history(self, variant_ids: Sequence[str], page: Page) -> dict[str, list[Row]]:
        """The same page of the price history of each variant, latest first."""
        rows = await self._reads.fetch(
            f"""
            SELECT history.* FROM unnest(%(variant_ids)s::text[]) AS asked (id)
            CROSS JOIN LATERAL (
                SELECT * FROM price_history WHERE variant_id = asked.id AND {page.condition}
                ORDER BY {page.order} LIMIT {page.limit}
            ) AS history
            """,
            {**page.params, "variant_ids": list(variant_ids)},
        )
        found: dict[str, list[Row]] = {}
        for row in rows:
            found.setdefault(row["variant_id"], []).append(row)
        return found

    async def page(self, page: Page, order: Order, where: Where) -> list[dict[str, Any]]:
        """Products that match every given condition."""
        rank = _RANK if order is Order.RELEVANCE else "0"
        return await self._reads.fetch(
            f"SELECT *, {rank} AS rank, {_PRICE} AS price FROM products"
            f" WHERE {page.condition} AND {_conditions(where)}"
            f" ORDER BY {page.order} LIMIT {page.limit}",
            {**page.params, **_params(where)},
        )

    async def count(self, where: Where) -> int | None:
        """How many match; None for more than COUNT_MAX."""
        row = await self._reads.fetch_one(
            f"SELECT count(*) AS found FROM (SELECT 1 FROM products WHERE {_conditions(where)}"
            f" LIMIT {COUNT_MAX + 1}) AS counted",
            _params(where),
        )
        found = int(row["found"]) if row else 0
        return found if found <= COUNT_MAX else None

    async def categories(self, ids: Sequence[str]) -> dict[str, Row]:
        """Categories by id."""
        return await self._by("SELECT * FROM categories WHERE id = ANY(%s)", ids, "id")

    async def category_page(self, page: Page) -> list[dict[str, Any]]:
        """Categories by name."""
        return await self._reads.fetch(
            f"SELECT * FROM categories WHERE {page.condition}"
            f" ORDER BY {page.order} LIMIT {page.limit}",
            page.params,
        )

    async def _by(self, sql: str, keys: Sequence[str], column: str) -> dict[str, Row]:
        rows = await self._reads.fetch(sql, (list(keys),))
        return {row[column]: row for row in rows}


def _params(where: Where) -> dict[str, Any]:
    return {
        "search": where.search,
        "category_id": where.category_id,
        "price_min_minor": where.price_min_minor,
        "price_max_minor": where.price_max_minor,
        "status": where.status,
        "channel": where.channel,
        "currency": where.currency,
    }

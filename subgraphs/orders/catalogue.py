"""The copy of the catalogue that carts and orders are priced from, and of the shipping rates.

Filled from the feeds of products and shipping by the reactors of `reactions`: each message's row
and its inbox entry are one append, so a message that comes again changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from eventstore import Effect
from projections import ReadModels
from subgraphs.orders.cart import Offer

TABLES = """
CREATE TABLE IF NOT EXISTS public.orders_variants (
    variant_id text PRIMARY KEY,
    product_id text NOT NULL,
    sku text NOT NULL,
    title text NOT NULL,
    price_minor bigint NOT NULL,
    currency text NOT NULL,
    weight_grams bigint NOT NULL
);
CREATE INDEX IF NOT EXISTS orders_variants_by_sku ON public.orders_variants (sku);
CREATE TABLE IF NOT EXISTS public.orders_products (
    product_id text PRIMARY KEY,
    published boolean NOT NULL
);
CREATE TABLE IF NOT EXISTS public.orders_shipping_rates (
    option_id text NOT NULL,
    currency text NOT NULL DEFAULT '',
    country text NOT NULL DEFAULT '',
    weight_grams_max bigint NOT NULL DEFAULT -1,
    name text NOT NULL,
    price_minor bigint NOT NULL,
    carrier text NOT NULL,
    PRIMARY KEY (option_id, currency, country, weight_grams_max)
);
"""


@dataclass(frozen=True, slots=True)
class Rate:
    """What an option costs; None means any currency, country or weight (limit included).

    `carrier` is "" where customers collect the goods: such an option needs no destination.
    """

    option_id: str
    name: str
    price_minor: int
    currency: str | None = None
    country: str | None = None
    weight_grams_max: int | None = None
    carrier: str = ""

    def fits(self, currency: str, country: str | None, weight_grams: int) -> bool:
        return (
            self.currency in (None, currency)
            and (self.country is None or self.country == country)
            and (self.weight_grams_max is None or self.weight_grams_max >= weight_grams)
        )

    @property
    def breadth(self) -> tuple[bool, bool, bool, int]:
        """Sorts the most specific row first: the same order that shipping quotes by."""
        return (
            self.country is None,
            self.currency is None,
            self.weight_grams_max is None,
            self.weight_grams_max or 0,
        )


PICKUP = Rate("pickup", "Collect it yourself", 0)
"""The rate there is before shipping says anything."""


def rate_that_counts(
    rates: Iterable[Rate], *, currency: str, country: str | None, weight_grams: int
) -> Rate | None:
    """The most specific of the fitting rates; None if none fits."""
    fitting = [rate for rate in rates if rate.fits(currency, country, weight_grams)]
    return min(fitting, key=lambda rate: rate.breadth, default=None)


def keep_variant(product_id: str, offer: Offer) -> Effect:
    """The row of a variant."""
    return Effect(
        "INSERT INTO public.orders_variants VALUES (%(variant_id)s, %(product_id)s, %(sku)s,"
        " %(title)s, %(price_minor)s, %(currency)s, %(weight_grams)s)"
        " ON CONFLICT (variant_id) DO UPDATE SET sku = excluded.sku, title = excluded.title,"
        " price_minor = excluded.price_minor, currency = excluded.currency,"
        " weight_grams = excluded.weight_grams",
        {
            "variant_id": offer.variant_id,
            "product_id": product_id,
            "sku": offer.sku,
            "title": offer.title,
            "price_minor": offer.price_minor,
            "currency": offer.currency,
            "weight_grams": offer.weight_grams,
        },
    )


def keep_price(variant_id: str, price_minor: int, currency: str) -> Effect:
    return Effect(
        "UPDATE public.orders_variants SET price_minor = %s, currency = %s WHERE variant_id = %s",
        (price_minor, currency, variant_id),
    )


def keep_publication(product_id: str, *, published: bool) -> Effect:
    return Effect(
        "INSERT INTO public.orders_products VALUES (%s, %s)"
        " ON CONFLICT (product_id) DO UPDATE SET published = excluded.published",
        (product_id, published),
    )


def keep_rate(rate: Rate) -> Effect:
    return Effect(
        "INSERT INTO public.orders_shipping_rates"
        " (option_id, currency, country, weight_grams_max, name, price_minor, carrier)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s)"
        " ON CONFLICT (option_id, currency, country, weight_grams_max)"
        " DO UPDATE SET name = excluded.name, price_minor = excluded.price_minor,"
        " carrier = excluded.carrier",
        (
            rate.option_id,
            rate.currency or "",
            rate.country or "",
            -1 if rate.weight_grams_max is None else rate.weight_grams_max,
            rate.name,
            rate.price_minor,
            rate.carrier,
        ),
    )


class Catalogue:
    """Reads the copies. `own_rates` are those of the settings; shipping's rows come before them."""

    def __init__(self, reads: ReadModels, own_rates: Sequence[Rate] = (PICKUP,)) -> None:
        self._reads, self._own_rates = reads, tuple(own_rates)

    async def offers(self, variant_ids: Sequence[str]) -> dict[str, Offer]:
        """Offers by variant id; unknown variants are missing."""
        return {offer.variant_id: offer for offer in await self.find(ids=variant_ids)}

    async def find(self, *, ids: Sequence[str] = (), skus: Sequence[str] = ()) -> list[Offer]:
        """The offers of these variants, named by id or by sku; one statement."""
        rows = await self._reads.fetch(
            "SELECT v.*, coalesce(p.published, false) AS published FROM public.orders_variants v"
            " LEFT JOIN public.orders_products p USING (product_id)"
            " WHERE v.variant_id = ANY(%s) OR v.sku = ANY(%s)",
            (list(ids), list(skus)),
        )
        return [_offer(row) for row in rows]

    async def shipping_rate(
        self, option_id: str, *, currency: str, country: str | None, weight_grams: int
    ) -> Rate | None:
        """The rate of a shipping option for this; None if it is not offered."""
        rows = await self._reads.fetch(
            "SELECT * FROM public.orders_shipping_rates WHERE option_id = %s", (option_id,)
        )
        known = [_rate(row) for row in rows]
        rates = known or [rate for rate in self._own_rates if rate.option_id == option_id]
        return rate_that_counts(
            rates, currency=currency, country=country, weight_grams=weight_grams
        )


def _offer(row: Mapping[str, Any]) -> Offer:
    return Offer(
        variant_id=row["variant_id"],
        sku=row["sku"],
        title=row["title"],
        price_minor=row["price_minor"],
        currency=row["currency"],
        weight_grams=row["weight_grams"],
        published=row["published"],
    )


def _rate(row: Mapping[str, Any]) -> Rate:
    return Rate(
        option_id=row["option_id"],
        name=row["name"],
        price_minor=row["price_minor"],
        currency=row["currency"] or None,
        country=row["country"] or None,
        weight_grams_max=None if row["weight_grams_max"] < 0 else row["weight_grams_max"],
        carrier=row["carrier"],
    )

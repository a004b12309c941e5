"""What this service keeps of others: skus of variants, customers of orders.

Filled from their feeds by the reactors of `reactions`; each message's row and its inbox entry are
one append.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from eventstore import Effect
from projections import ReadModels

TABLES = """
CREATE TABLE IF NOT EXISTS public.inventory_variants (
    variant_id text PRIMARY KEY,
    sku text NOT NULL
);
CREATE INDEX IF NOT EXISTS inventory_variants_by_sku ON public.inventory_variants (sku);
CREATE TABLE IF NOT EXISTS public.inventory_orders (
    order_id text PRIMARY KEY,
    customer_id text NOT NULL
);
"""


@dataclass(frozen=True, slots=True)
class Variant:
    """A variant as far as stock is concerned."""

    id: str
    sku: str


def keep_variant(variant_id: str, sku: str) -> Effect:
    """The row of a variant."""
    return Effect(
        "INSERT INTO public.inventory_variants (variant_id, sku) VALUES (%s, %s)"
        " ON CONFLICT (variant_id) DO UPDATE SET sku = excluded.sku",
        (variant_id, sku),
    )


def keep_order(order_id: str, customer_id: str) -> Effect:
    """The row of an order."""
    return Effect(
        "INSERT INTO public.inventory_orders (order_id, customer_id) VALUES (%s, %s)"
        " ON CONFLICT (order_id) DO NOTHING",
        (order_id, customer_id),
    )


class Copies:
    """Reads the copies."""

    def __init__(self, reads: ReadModels) -> None:
        self._reads = reads

    async def variants(
        self, *, ids: Sequence[str] = (), skus: Sequence[str] = ()
    ) -> tuple[Mapping[str, Variant], Mapping[str, Variant]]:
        """Known variants by id and by sku, of those asked for; one statement."""
        rows: list[dict[str, Any]] = await self._reads.fetch(
            "SELECT variant_id, sku FROM public.inventory_variants"
            " WHERE variant_id = ANY(%s) OR sku = ANY(%s) ORDER BY variant_id",
            (list(ids), list(skus)),
        )
        found = [Variant(row["variant_id"], row["sku"]) for row in rows]
        return {v.id: v for v in found}, {v.sku: v for v in found}

"""Skus, slugs and variant ids: each claimed once, in the transaction of the append that uses it.

A table beside the log, not a read model: it is never behind, so it can decide.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from eventstore import Effect
from projections import ReadModels
from subgraphs.shared.errors import NotFound

TABLES = """
CREATE TABLE IF NOT EXISTS public.catalogue_keys (
    kind text NOT NULL CHECK (kind IN ('sku', 'slug', 'variant', 'category_slug')),
    key text NOT NULL,
    owner_id text NOT NULL,
    variant_id text,
    CONSTRAINT catalogue_keys_are_unique PRIMARY KEY (kind, key)
);
"""
UNIQUE = "catalogue_keys_are_unique"


@dataclass(frozen=True, slots=True)
class Claim:
    """`owner_id` is the product (or category) that the key leads to."""

    kind: str
    key: str
    owner_id: str
    variant_id: str | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a variant is."""

    product_id: str
    variant_id: str


def claim(claims: Iterable[Claim]) -> Effect:
    """Claim keys. The append is refused, by constraint UNIQUE, if one is somebody else's."""
    rows = list(claims)
    return Effect(
        "INSERT INTO public.catalogue_keys (kind, key, owner_id, variant_id) "
        "SELECT * FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[])",
        (
            [row.kind for row in rows],
            [row.key for row in rows],
            [row.owner_id for row in rows],
            [row.variant_id for row in rows],
        ),
    )


class CatalogueKeys:
    """Looks keys up."""

    def __init__(self, reads: ReadModels) -> None:
        self._reads = reads

    async def taken(self, claims: Sequence[Claim]) -> set[tuple[str, str]]:
        """Which of these keys are claimed already, as (kind, key)."""
        rows = await self._reads.fetch(
            "SELECT kind, key FROM public.catalogue_keys WHERE (kind, key) IN "
            "(SELECT * FROM unnest(%s::text[], %s::text[]))",
            ([claim.kind for claim in claims], [claim.key for claim in claims]),
        )
        return {(row["kind"], row["key"]) for row in rows}

    async def places(self, *, variant_ids: Sequence[str], skus: Sequence[str]) -> dict[str, Place]:
        """Where variants are, by the id or the sku they were asked for by; unknown are missing."""
        rows = await self._reads.fetch(
            "SELECT kind, key, owner_id, variant_id FROM public.catalogue_keys "
            "WHERE (kind = 'variant' AND key = ANY(%s)) OR (kind = 'sku' AND key = ANY(%s))",
            (list(variant_ids), list(skus)),
        )
        return {row["key"]: Place(row["owner_id"], row["variant_id"]) for row in rows}

    async def place(self, key: str, *, by_sku: bool) -> Place:
        """Where one variant is. Raises NotFound."""
        if by_sku:
            found = await self.places(variant_ids=[], skus=[key])
        else:
            found = await self.places(variant_ids=[key], skus=[])
        if key not in found:
            name = "sku" if by_sku else "variantId"
            raise NotFound("ProductVariant", key, path=["input", name])
        return found[key]

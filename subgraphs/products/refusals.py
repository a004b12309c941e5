"""Why the catalogue says no."""

from __future__ import annotations

from collections.abc import Sequence

from subgraphs.shared.errors import Refusal


class SkuTaken(Refusal):
    """Another variant has this sku."""

    code = "SKU_TAKEN"

    def __init__(self, sku: str, *, path: Sequence[str] | None = None) -> None:
        self.sku = sku
        super().__init__(f"the sku {sku!r} is another variant's", path=path)


class SlugTaken(Refusal):
    """Another product or category has this slug."""

    code = "SLUG_TAKEN"

    def __init__(self, slug: str, *, path: Sequence[str] | None = None) -> None:
        self.slug = slug
        super().__init__(f"the slug {slug!r} is in use", path=path)


class NegativePrice(Refusal):
    """Nobody is paid to take something."""

    code = "NEGATIVE_PRICE"

    def __init__(self, amount: str, *, path: Sequence[str] | None = None) -> None:
        self.amount = amount
        super().__init__(f"a price is not negative, this is {amount}", path=path)


class Archived(Refusal):
    """The product is no longer part of the catalogue."""

    code = "PRODUCT_ARCHIVED"

    def __init__(self, product_id: str) -> None:
        self.product_id = product_id
        super().__init__(f"{product_id} is archived: it cannot be changed or published")


class CategoryCycle(Refusal):
    """A category cannot be below itself."""

    code = "CATEGORY_CYCLE"

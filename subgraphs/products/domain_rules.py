"""What a product, a variant and a price must be like, whatever happened before."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from subgraphs.products.events import Option
from subgraphs.products.refusals import NegativePrice
from subgraphs.shared.errors import InvalidValue
from subgraphs.shared.money import Money

OPTIONS_MAX = 10
SLUG_CHARACTERS_MAX = 120
TITLE_CHARACTERS_MAX = 300
DESCRIPTION_CHARACTERS_MAX = 10_000
WEIGHT_GRAMS_MAX = 10_000_000
STANDARD_TAX = "standard"

_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*\Z")
_SKU = re.compile(r"[\x21-\x7e]{1,64}\Z")
_WORD = re.compile(r"[a-z][a-z0-9_-]{0,63}\Z")

Path = Sequence[str]


@dataclass(frozen=True, slots=True)
class NewVariant:
    """What is asked for. `id` is given by the handler."""

    id: str
    sku: str
    price: Money
    options: tuple[Option, ...] = ()
    weight_grams: int | None = None
    tax_class: str = STANDARD_TAX


@dataclass(frozen=True, slots=True)
class Details:
    """What a product is called."""

    title: str
    description: str | None = None
    category_id: str | None = None


def check_slug(slug: str, path: Path) -> None:
    """Raises InvalidValue."""
    if not _SLUG.match(slug) or len(slug) > SLUG_CHARACTERS_MAX:
        raise InvalidValue(
            f"{slug[:80]!r} is not a slug: expected lower-case words joined by -", path=path
        )


def checked_details(details: Details, path: Path) -> Details:
    """The details without surrounding blanks. Raises InvalidValue."""
    title = details.title.strip()
    if not title or len(title) > TITLE_CHARACTERS_MAX or not title.isprintable():
        raise InvalidValue(
            f"a title has 1 to {TITLE_CHARACTERS_MAX} printable characters", path=[*path, "title"]
        )
    description = details.description
    if description is not None and len(description) > DESCRIPTION_CHARACTERS_MAX:
        raise InvalidValue(
            f"a description has at most {DESCRIPTION_CHARACTERS_MAX} characters",
            path=[*path, "description"],
        )
    return replace(details, title=title)


def check_variant(new: NewVariant, path: Path) -> None:
    """Raises InvalidValue, NegativePrice."""
    if not _SKU.match(new.sku):
        raise InvalidValue(
            f"{new.sku[:80]!r} is not a sku: 1 to 64 ASCII characters without blanks",
            path=[*path, "sku"],
        )
    if len(new.options) > OPTIONS_MAX:
        raise InvalidValue(f"a variant has at most {OPTIONS_MAX} options", path=[*path, "options"])
    for option in new.options:
        if not (1 <= len(option.name) <= 100 and 1 <= len(option.value) <= 100):
            raise InvalidValue(
                "an option's name and value have 1 to 100 characters", path=[*path, "options"]
            )
    weight = new.weight_grams
    if weight is not None and not 0 <= weight <= WEIGHT_GRAMS_MAX:
        raise InvalidValue(
            f"a weight is 0 to {WEIGHT_GRAMS_MAX} grams, this is {weight}",
            path=[*path, "weightGrams"],
        )
    if not _WORD.match(new.tax_class):
        raise InvalidValue("a tax class is a lower-case word", path=[*path, "taxClass"])
    check_price(new.price, [*path, "price", "amount"])


def check_price(price: Money, path: Path) -> None:
    """Raises NegativePrice."""
    if price.minor < 0:
        raise NegativePrice(str(price), path=path)


def check_channel(channel: str) -> None:
    """Raises InvalidValue."""
    if not _WORD.match(channel):
        raise InvalidValue(
            f"{channel[:80]!r} is not a channel: a lower-case word", path=["channel"]
        )

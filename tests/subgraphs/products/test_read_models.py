"""The read models: by single events, by batches or rebuilt anywhere, they are the same rows."""

from __future__ import annotations

from datetime import timedelta
from random import Random

import psycopg
import pytest

from eventstore import Event
from projections.testing import check_projection
from subgraphs.products.events import (
    DEFAULT_CHANNEL,
    CategoryCreated,
    CategoryMoved,
    CategoryRenamed,
    DetailsChanged,
    Option,
    PriceChanged,
    PriceScheduled,
    ProductArchived,
    ProductCreated,
    ProductPublished,
    ProductUnpublished,
    VariantAdded,
)
from subgraphs.products.read_models import EXTENSIONS, Catalogue, Categories
from tests.support.projected import AT, Log

pytestmark = pytest.mark.slow

CHANNELS = (DEFAULT_CHANNEL, "market", 'fair "1"', "{}")


class Products:
    """Makes a log in which anything happens to a few products, in any order."""

    def __init__(self, seed: int) -> None:
        self.chance, self.log = Random(seed), Log()
        self.variants: dict[str, list[str]] = {}

    def create(self) -> None:
        number = len(self.variants)
        product = f"prd_{number}"
        self.variants[product] = []
        category = self.chance.choice([None, "cat_1"])
        self.log.append(
            product, [ProductCreated(product, f"s{number}", f"Silk {number}", None, category, AT)]
        )

    def happen(self) -> None:
        """One more thing to one of the products."""
        product = self.chance.choice(list(self.variants))
        self.log.append(product, [self.event(product)])

    def event(self, product: str) -> Event:
        chance, variants = self.chance, self.variants[product]
        channel = chance.choice(CHANNELS)
        match chance.randrange(9):
            case 0 | 1 | 2 if variants:
                variant, minor = chance.choice(variants), chance.randrange(100)
                at = AT + timedelta(minutes=minor)
                return PriceChanged(
                    product, variant, variant, channel, None, minor, "EUR", at, None
                )
            case 3 if variants:
                variant = chance.choice(variants)
                return PriceScheduled(product, variant, "sch_1", channel, 7, "EUR", AT, "later")
            case 4 | 5:
                return ProductPublished(product, channel)
            case 6:
                return ProductUnpublished(product, channel, None)
            case 7:
                return DetailsChanged(product, f"Silk {chance.random()}", "soft", None)
            case 8 if chance.random() < 0.3:
                return ProductArchived(product, "worn out")
            case _:
                variant = f"{product}_{len(variants)}"
                variants.append(variant)
                minor, options = chance.randrange(100), [Option("size", variant)]
                return VariantAdded(
                    *(product, variant, variant, "Silk", options, None, "STANDARD"),
                    *(minor, "EUR", AT),
                )


@pytest.fixture(autouse=True)
def _extended(database: str) -> None:
    with psycopg.connect(database) as connection:
        connection.execute(EXTENSIONS.encode())


@pytest.mark.parametrize("seed", range(3))
def test_the_catalogue_by_batches_is_the_catalogue_one_by_one(database: str, seed: int) -> None:
    products = Products(seed)
    for _ in range(6):
        products.create()
        for _ in range(25):
            products.happen()
    rows = check_projection(database, Catalogue(), products.log.events, seed=seed, cuts=6)
    assert all(rows.values())


def test_a_catalogue_rebuilt_at_any_position_is_what_was_live_there(database: str) -> None:
    products = Products(9)
    for _ in range(2):
        products.create()
        for _ in range(20):
            products.happen()
    check_projection(database, Catalogue(), products.log.events, prefixes=True)


def test_categories_are_the_same_again(database: str) -> None:
    log = Log()
    log.append("cat_1", [CategoryCreated("cat_1", "silk", "Silk", None)])
    log.append("cat_2", [CategoryCreated("cat_2", "wool", "Wool", "cat_1")])
    log.append("cat_2", [CategoryRenamed("cat_2", "Fine wool"), CategoryMoved("cat_2", None)])
    rows = check_projection(database, Categories(), log.events, prefixes=True)
    assert rows["categories"] == ["(cat_1,1,silk,Silk,)", '(cat_2,3,wool,"Fine wool",)']

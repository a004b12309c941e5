"""The rate table: the most specific row counts."""

from __future__ import annotations

import pytest

from subgraphs.shared.money import UnknownCurrency
from subgraphs.shipping.domain import RateRow, RateTable, cheapest, quotes
from subgraphs.shipping.errors import InvalidRate
from subgraphs.shipping.events import RateSet

PICKUP = RateRow("pickup", "Collect", "", 0)
SPAIN_2KG = RateRow("standard", "Standard", "post", 495, "EUR", "ES", 2000, 3)
SPAIN_10KG = RateRow("standard", "Standard", "post", 795, "EUR", "ES", 10_000, 3)
WORLD = RateRow("standard", "Standard", "post", 1995, "EUR", None, 10_000, 9)
EXPRESS = RateRow("express", "Express", "van", 990, "EUR", "ES", 5000, 1)
TABLE = [WORLD, SPAIN_10KG, EXPRESS, SPAIN_2KG, PICKUP]


def found(**about: object) -> list[RateRow]:
    return quotes(TABLE, **about)  # type: ignore[arg-type]


def test_the_smallest_weight_that_holds_the_goods_counts() -> None:
    assert found(currency="EUR", country="ES", weight_grams=2000) == [PICKUP, SPAIN_2KG, EXPRESS]
    assert found(currency="EUR", country="ES", weight_grams=2001) == [PICKUP, SPAIN_10KG, EXPRESS]


def test_a_country_comes_before_any_country() -> None:
    assert found(currency="EUR", country="FR", weight_grams=1) == [PICKUP, WORLD]


def test_without_a_country_only_rows_for_any_count() -> None:
    assert found(currency="EUR", country=None, weight_grams=1) == [PICKUP, WORLD]


def test_too_heavy_or_another_currency_leaves_what_always_goes() -> None:
    assert found(currency="EUR", country="ES", weight_grams=10_001) == [PICKUP]
    assert found(currency="USD", country="ES", weight_grams=1) == [PICKUP]


def test_the_estimate_is_the_cheapest_that_is_brought() -> None:
    assert cheapest(found(currency="EUR", country="ES", weight_grams=1)) == SPAIN_2KG
    assert cheapest(found(currency="USD", country="ES", weight_grams=1)) is None


def test_a_row_replaces_the_one_with_its_key() -> None:
    table = RateTable.initial("rat_1")
    for row in (SPAIN_2KG, SPAIN_10KG):
        [event] = table.set(row)
        assert isinstance(event, RateSet)
        table = table.evolve(event)
    assert table.set(SPAIN_2KG) == []
    dearer = RateRow("standard", "Standard", "post", 595, "EUR", "ES", 2000, 3)
    [event] = table.set(dearer)
    assert table.evolve(event).rows == (SPAIN_10KG, dearer)


@pytest.mark.parametrize(
    "row",
    [
        RateRow("", "x", "x", 0),
        RateRow("x", "x", "x", -1, "EUR"),
        RateRow("x", "x", "x", 1),
        RateRow("x", "x", "x", 1, "EUR", None, 0),
    ],
)
def test_a_row_that_cannot_be_is_refused(row: RateRow) -> None:
    with pytest.raises(InvalidRate):
        RateTable.initial("rat_1").set(row)


def test_an_unknown_currency_is_refused() -> None:
    with pytest.raises(UnknownCurrency):
        RateTable.initial("rat_1").set(RateRow("x", "x", "x", 1, "ZZZ"))

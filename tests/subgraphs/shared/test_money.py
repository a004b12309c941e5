from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, strategies

from subgraphs.shared.money import (
    MINOR_MAX,
    CurrencyDiffers,
    InvalidMoney,
    Money,
    UnknownCurrency,
    exponent,
    percentage_minor,
    rounded_minor,
    total,
)

minors = strategies.integers(-MINOR_MAX, MINOR_MAX)
currencies = strategies.sampled_from(["EUR", "JPY", "BHD", "USD", "CLF"])


@given(minors, currencies)
def test_the_decimal_string_reads_back_as_the_same_amount(minor: int, currency: str) -> None:
    money = Money(minor, currency)
    assert Money.parse(money.amount, currency) == money


@pytest.mark.parametrize(
    ("amount", "currency", "minor"),
    [("10.5", "EUR", 1050), ("10", "EUR", 1000), ("-0.01", "EUR", -1), ("7", "JPY", 7)],
)
def test_read(amount: str, currency: str, minor: int) -> None:
    assert Money.parse(amount, currency) == Money(minor, currency)


@pytest.mark.parametrize(
    "amount",
    ["1e3", "NaN", "", "1.", ".5", "1,5", " 1", "+1", "٣", "1.123456789", "12345678901234567"],
)
def test_what_is_not_a_decimal_string_is_refused(amount: str) -> None:
    with pytest.raises(InvalidMoney, match="decimal string"):
        Money.parse(amount, "EUR")


def test_too_many_decimals_for_the_currency_are_refused() -> None:
    with pytest.raises(InvalidMoney, match="EUR has 2 decimals"):
        Money.parse("1.005", "EUR")
    with pytest.raises(InvalidMoney, match="JPY has 0 decimals"):
        Money.parse("1.5", "JPY")
    assert Money.parse("1.500", "EUR") == Money(150, "EUR")


def test_an_amount_nobody_has_is_refused() -> None:
    with pytest.raises(InvalidMoney, match="too large"):
        Money.parse("9999999999999999", "EUR")
    with pytest.raises(InvalidMoney, match="too many"):
        Money(MINOR_MAX, "EUR") + Money(1, "EUR")


@pytest.mark.parametrize("minor", [1.0, True, Decimal(1), "1"])
def test_only_whole_numbers_are_minor_units(minor: object) -> None:
    with pytest.raises(InvalidMoney, match="whole number"):
        Money(minor, "EUR")  # type: ignore[arg-type]


@pytest.mark.parametrize("currency", ["EURO", "eur", "XXZ", "XAU", ""])
def test_unknown_currencies_and_those_without_minor_units_are_refused(currency: str) -> None:
    with pytest.raises(UnknownCurrency):
        exponent(currency)


def test_currencies_do_not_mix() -> None:
    with pytest.raises(CurrencyDiffers, match="in USD, expected EUR"):
        Money(1, "EUR") + Money(1, "USD")
    with pytest.raises(CurrencyDiffers):
        total([Money(1, "USD")], "EUR")
    assert total([], "EUR") == Money(0, "EUR")


def test_a_product_with_a_fraction_is_refused() -> None:
    with pytest.raises(InvalidMoney, match="rounded_minor"):
        Money(1, "EUR") * 0.5  # type: ignore[operator]


@pytest.mark.parametrize(
    ("exact", "rounded"),
    [("0.5", 1), ("-0.5", -1), ("1.49", 1), ("2.5", 3), ("-2.5", -3), ("0", 0), ("1.5", 2)],
)
def test_halves_round_away_from_zero(exact: str, rounded: int) -> None:
    assert rounded_minor(Decimal(exact)) == rounded


@given(strategies.fractions(max_denominator=10**6))
def test_rounding_moves_by_half_a_unit_at_most(exact: Fraction) -> None:
    assert abs(rounded_minor(exact) - exact) <= Fraction(1, 2)


def test_floats_are_not_rounded_but_refused() -> None:
    with pytest.raises(InvalidMoney, match="float"):
        rounded_minor(0.1)  # type: ignore[arg-type]


def test_a_percentage_is_rounded_once() -> None:
    assert percentage_minor(333, 2100) == 70

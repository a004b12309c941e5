"""Money: a whole number of minor units of an ISO 4217 currency, never a float.

Rounding happens in `rounded_minor` and nowhere else; what an event stores is already rounded.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache

from iso4217 import Currency

from subgraphs.shared.errors import InvalidValue

MINOR_MAX = 10**15
"""The largest amount in minor units, either way: a few thousand such still add up in a bigint."""

_AMOUNT = re.compile(r"-?[0-9]{1,16}(\.[0-9]{1,8})?\Z")


class InvalidMoney(InvalidValue):
    """Not an amount of money."""

    code = "INVALID_MONEY"


class UnknownCurrency(InvalidMoney):
    """Not a currency of ISO 4217 that has minor units."""

    code = "UNKNOWN_CURRENCY"

    def __init__(self, currency: str, *, path: Sequence[str] | None = None) -> None:
        self.currency = currency
        super().__init__(
            f"{currency[:16]!r} is not a currency code of ISO 4217, like EUR", path=path
        )


class CurrencyDiffers(InvalidMoney):
    """Two currencies where one was needed."""

    code = "CURRENCY_MISMATCH"

    def __init__(self, found: str, expected: str, *, path: Sequence[str] | None = None) -> None:
        self.found, self.expected = found, expected
        super().__init__(f"the amount is in {found}, expected {expected}", path=path)


@lru_cache(maxsize=512)
def exponent(currency: str) -> int:
    """How many decimals the currency has: 2 for EUR, 0 for JPY. Raises UnknownCurrency."""
    try:
        decimals = Currency(currency).exponent
    except ValueError:
        decimals = None
    if decimals is None:
        raise UnknownCurrency(currency)
    return int(decimals)


@dataclass(frozen=True, slots=True)
class Money:
    """`minor` units of `currency`: Money(1050, "EUR") is 10.50 euros. May be negative.

    Raises InvalidMoney for what is not a whole number or is beyond MINOR_MAX, UnknownCurrency.
    """

    minor: int
    currency: str

    def __post_init__(self) -> None:
        exponent(self.currency)
        if type(self.minor) is not int:
            raise InvalidMoney(f"{self.minor!r} is not a whole number of minor units")
        if abs(self.minor) > MINOR_MAX:
            raise InvalidMoney(f"{self.minor} minor units are too many: the most is {MINOR_MAX}")

    @classmethod
    def parse(cls, amount: str, currency: str, *, path: Sequence[str] | None = None) -> Money:
        """Read a decimal string like "10.50". Trailing zeros may be left out, digits never are.

        Raises InvalidMoney (too precise for the currency, too large, not a number).
        """
        if not isinstance(amount, str) or not _AMOUNT.match(amount):
            raise InvalidMoney(
                f'{str(amount)[:40]!r} is not an amount: expected a decimal string like "10.50"',
                path=path,
            )
        try:
            decimals = exponent(currency)
        except UnknownCurrency:
            raise UnknownCurrency(currency, path=path) from None
        minor = Decimal(amount).scaleb(decimals)
        if minor != minor.to_integral_value():
            raise InvalidMoney(
                f"{amount} {currency} is too precise: {currency} has {decimals} decimals", path=path
            )
        if abs(minor) > MINOR_MAX:
            raise InvalidMoney(f"{amount} {currency} is too large an amount", path=path)
        return cls(int(minor), currency)

    @property
    def amount(self) -> str:
        """The decimal string, with all decimals of the currency: "10.50"."""
        decimals = exponent(self.currency)
        return f"{Decimal(self.minor).scaleb(-decimals):.{decimals}f}"

    def __add__(self, other: Money) -> Money:
        return Money(self.minor + self._same(other), self.currency)

    def __sub__(self, other: Money) -> Money:
        return Money(self.minor - self._same(other), self.currency)

    def __mul__(self, factor: int) -> Money:
        if type(factor) is not int:
            raise InvalidMoney(f"money times {factor!r} is not exact: use rounded_minor")
        return Money(self.minor * factor, self.currency)

    def __neg__(self) -> Money:
        return Money(-self.minor, self.currency)

    def __lt__(self, other: Money) -> bool:
        return self.minor < self._same(other)

    def __le__(self, other: Money) -> bool:
        return self.minor <= self._same(other)

    def __str__(self) -> str:
        return f"{self.amount} {self.currency}"

    def _same(self, other: Money) -> int:
        if other.currency != self.currency:
            raise CurrencyDiffers(other.currency, self.currency)
        return other.minor


def total(amounts: Iterable[Money], currency: str) -> Money:
    """Their sum; zero of `currency` for none. Raises CurrencyDiffers."""
    result = Money(0, currency)
    for amount in amounts:
        result = result + amount
    return result


def rounded_minor(value: Fraction | Decimal | int) -> int:
    """The whole number of minor units nearest to an exact value; halves away from zero.

    The one place where money is rounded: once for each line, before an event stores it.
    """
    if isinstance(value, float):
        raise InvalidMoney(f"{value!r} is a float: money is computed exactly")
    exact = Fraction(value)
    doubled = abs(exact) * 2 + 1
    magnitude = doubled.numerator // (doubled.denominator * 2)
    return -magnitude if exact < 0 else magnitude


def percentage_minor(minor: int, basis_points: int) -> int:
    """`basis_points` ten-thousandths of an amount, rounded: 21 % tax is 2100."""
    return rounded_minor(Fraction(minor * basis_points, 10_000))


__all__ = [
    "MINOR_MAX",
    "CurrencyDiffers",
    "InvalidMoney",
    "Money",
    "UnknownCurrency",
    "exponent",
    "percentage_minor",
    "rounded_minor",
    "total",
]

"""The rate table: which option costs what, by country, weight and currency."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from subgraphs.shared.money import MINOR_MAX, exponent
from subgraphs.shipping.errors import InvalidRate
from subgraphs.shipping.events import RateSet

OPTION_CHARACTERS_MAX = 40


@dataclass(frozen=True, slots=True)
class RateRow:
    """A row; None means any. `weight_grams_max` includes its limit.

    `carrier` is "" where customers collect the goods themselves.
    """

    option_id: str
    name: str
    carrier: str
    price_minor: int
    currency: str | None = None
    country: str | None = None
    weight_grams_max: int | None = None
    eta_days: int | None = None

    @property
    def key(self) -> tuple[str | None, str | None, int | None]:
        """What a row is the only one for, within its option."""
        return self.currency, self.country, self.weight_grams_max

    def fits(self, currency: str, country: str | None, weight_grams: int) -> bool:
        """Whether the row may be used."""
        return (
            self.currency in (None, currency)
            and (self.country is None or self.country == country)
            and (self.weight_grams_max is None or self.weight_grams_max >= weight_grams)
        )

    @property
    def breadth(self) -> tuple[bool, bool, bool, int]:
        """Sorts the most specific row first."""
        return (
            self.country is None,
            self.currency is None,
            self.weight_grams_max is None,
            self.weight_grams_max or 0,
        )


@dataclass(frozen=True, slots=True)
class RateTable:
    """The rows of one option, folded from its stream."""

    id: str
    rows: tuple[RateRow, ...] = ()

    @classmethod
    def initial(cls, stream: str) -> RateTable:
        return cls(stream)

    def set(self, row: RateRow) -> list[RateSet]:
        """Decide. A row that is so already is nothing to do. Raises InvalidRate."""
        _check(row)
        if row in self.rows:
            return []
        return [
            RateSet(
                row.option_id,
                row.name,
                row.carrier,
                row.currency,
                row.country,
                row.weight_grams_max,
                row.price_minor,
                row.eta_days,
            )
        ]

    def evolve(self, event: RateSet) -> RateTable:
        """Fold. Never refuses: the event already happened."""
        row = RateRow(
            event.option_id,
            event.name,
            event.carrier,
            event.price_minor,
            event.currency,
            event.country,
            event.weight_grams_max,
            event.eta_days,
        )
        return replace(self, rows=(*(kept for kept in self.rows if kept.key != row.key), row))


def quotes(
    rows: Iterable[RateRow], *, currency: str, country: str | None, weight_grams: int
) -> list[RateRow]:
    """For each option that can be had the row that counts, cheapest first."""
    best: dict[str, RateRow] = {}
    for row in rows:
        if row.fits(currency, country, weight_grams):
            known = best.get(row.option_id)
            if known is None or row.breadth < known.breadth:
                best[row.option_id] = row
    return sorted(best.values(), key=lambda row: (row.price_minor, row.option_id))


def cheapest(rows: Sequence[RateRow]) -> RateRow | None:
    """The cheapest row by which somebody brings the goods; collecting them does not count."""
    brought = [row for row in rows if row.carrier]
    return min(brought, key=lambda row: (row.price_minor, row.option_id), default=None)


def _check(row: RateRow) -> None:
    if not 0 < len(row.option_id) <= OPTION_CHARACTERS_MAX or not row.option_id.isprintable():
        raise InvalidRate(
            f"option id {row.option_id[:60]!r} has not 1 to {OPTION_CHARACTERS_MAX} characters",
            path=["input", "optionId"],
        )
    if not 0 <= row.price_minor <= MINOR_MAX:
        raise InvalidRate("a price is zero or more", path=["input", "price"])
    if row.currency is None and row.price_minor:
        raise InvalidRate("a price above zero needs a currency", path=["input", "price"])
    if row.currency is not None:
        exponent(row.currency)
    if row.weight_grams_max is not None and row.weight_grams_max <= 0:
        raise InvalidRate("a weight limit is above zero", path=["input", "weightGramsMax"])

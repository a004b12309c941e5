"""The rates that a new shop starts with; staff change them with `setShippingRate`."""

from __future__ import annotations

from subgraphs.shipping.domain import RateRow

PICKUP = "pickup"
STANDARD = "standard"
EXPRESS = "express"


def _rows(
    option_id: str,
    name: str,
    carrier: str,
    eta_days: int,
    prices: dict[tuple[str, str | None], list[tuple[int, int]]],
) -> list[RateRow]:
    return [
        RateRow(option_id, name, carrier, price, currency, country, weight, eta_days)
        for (currency, country), steps in prices.items()
        for weight, price in steps
    ]


DEFAULT_RATES: tuple[RateRow, ...] = (
    RateRow(PICKUP, "Collect in the shop", "", 0),
    *_rows(
        STANDARD,
        "Standard",
        "post",
        4,
        {
            ("EUR", "ES"): [(2_000, 495), (10_000, 795), (30_000, 1295)],
            ("EUR", None): [(2_000, 995), (10_000, 1795), (30_000, 2995)],
            ("USD", "US"): [(2_000, 595), (10_000, 995), (30_000, 1695)],
            ("USD", None): [(2_000, 1495), (10_000, 2995), (30_000, 4995)],
        },
    ),
    *_rows(
        EXPRESS,
        "Express",
        "courier",
        1,
        {
            ("EUR", "ES"): [(2_000, 995), (10_000, 1495)],
            ("EUR", None): [(2_000, 2495), (10_000, 3995)],
            ("USD", "US"): [(2_000, 1295), (10_000, 1995)],
        },
    ),
)
"""Prices are minor units up to a weight in grams; the row without a carrier costs nothing."""

"""How a supermarket basket becomes requests to the shop. The one place where the two worlds meet.

household   a user: e-mail and password are derived from its number
product     a product with one variant, SKU `CJ-<number>`; title from its kind, category and size
price       the till kept what was paid for a line, not a price. The unit price is that divided
            by the quantity, rounded up to a whole cent; what this is too much becomes the
            line's discount. So unit price x quantity - discount is what was paid, and the
            catalogue's price follows from basket to basket by price changes.
stock       one warehouse. At the start of each week it receives SUPPLY_SHARE of what the week's
            baskets will ask for, so that shortages happen as they do
dirt        lines with a quantity of zero, of tens of thousands, or of a product that the catalogue
            lacks are sent as they are: refusing them is the shop's business
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from lonja.demo.dataset import Basket, BasketLine, CatalogueEntry

CURRENCY = "USD"
SUPPLY_SHARE_PERCENT = 98
LINE_QUANTITY_MAX = 999
"""The shop's own limit; demand above it will be refused, so no stock is ordered for it."""


@dataclass(frozen=True, slots=True)
class Price:
    """What a line of the basket asks of the catalogue and of the cart, in cents."""

    unit_cents: int
    discount_cents: int


def sku(product_id: int) -> str:
    """The stock keeping unit of a product."""
    return f"CJ-{product_id}"


def slug(product_id: int) -> str:
    """The product's place in URLs."""
    return f"cj-{product_id}"


def title(entry: CatalogueEntry) -> str:
    """What the product is called: its kind, else its category or department, and its size."""
    name = entry.kind or entry.category or entry.department or f"Product {entry.product_id}"
    return f"{name.strip().title()}{f', {entry.size.strip()}' if entry.size else ''}"


def email(household_id: int) -> str:
    """The household's sign-in name."""
    return f"household-{household_id}@baskets.example"


def password(household_id: int) -> str:
    """The household's password: the demo keeps no secrets."""
    return f"a basket for household {household_id}"


def price(line: BasketLine) -> Price | None:
    """Unit price and discount of a line; None where the quantity cannot be priced."""
    if not 0 < line.quantity <= LINE_QUANTITY_MAX:
        return None
    unit_cents = -(-line.paid_cents // line.quantity)
    return Price(unit_cents, unit_cents * line.quantity - line.paid_cents)


def first_prices(baskets: Iterable[Basket]) -> dict[int, int]:
    """Product to the unit price, in cents, at which it first sells; absent if it never can."""
    prices: dict[int, int] = {}
    for basket in baskets:
        for line in basket.lines:
            found = price(line)
            if found is not None:
                prices.setdefault(line.product_id, found.unit_cents)
    return prices


def supply(baskets: Iterable[Basket], listed: Mapping[int, object]) -> dict[int, dict[int, int]]:
    """Week to product to units received: SUPPLY_SHARE_PERCENT of all that can be sold.

    The share is taken of the running sum over products, so that it holds for the whole although
    most products sell once: every fiftieth unit or so is missing, whichever product it is of.
    """
    demand: dict[int, Counter[int]] = {}
    for basket in baskets:
        for line in basket.lines:
            if line.product_id in listed and 0 < line.quantity <= LINE_QUANTITY_MAX:
                demand.setdefault(basket.week, Counter())[line.product_id] += line.quantity
    received: dict[int, dict[int, int]] = {}
    asked = given = 0
    for week, wanted in sorted(demand.items()):
        for product_id, units in sorted(wanted.items()):
            asked += units
            units_given = asked * SUPPLY_SHARE_PERCENT // 100 - given
            given += units_given
            if units_given:
                received.setdefault(week, {})[product_id] = units_given
    return received

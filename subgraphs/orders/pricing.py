"""What lines, orders and shipments cost, in integer minor units. All rounding is in this module.

Unit prices and discounts are whole minor units, so a line's amount is exact. The only rounding is
the share of a line of which a part is sent: down, and what was rounded off is charged with the
last unit, so that the shares of all shipments add up to the total exactly.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from subgraphs.orders.parts import PlacedLine


class Priced(Protocol):
    """A line that has a price: of a cart or of an order."""

    @property
    def unit_price_minor(self) -> int: ...
    @property
    def quantity(self) -> int: ...
    @property
    def discount_minor(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Totals:
    """`total` = `subtotal` - `discount` + `tax` + `shipping`; `subtotal` is before discounts."""

    subtotal_minor: int
    discount_minor: int
    tax_minor: int
    shipping_minor: int

    @property
    def total_minor(self) -> int:
        return self.subtotal_minor - self.discount_minor + self.tax_minor + self.shipping_minor


def line_amount_minor(line: Priced) -> int:
    """What the line costs, its discount taken off."""
    return line.unit_price_minor * line.quantity - line.discount_minor


def totals_of(lines: Iterable[Priced], *, shipping_minor: int = 0) -> Totals:
    """The totals of these lines. Prices include tax, so no tax comes on top of them."""
    subtotal = discount = 0
    for line in lines:
        subtotal += line.unit_price_minor * line.quantity
        discount += line.discount_minor
    return Totals(subtotal, discount, 0, shipping_minor)


def due_minor(lines: Sequence[PlacedLine], total_minor: int, sent: Mapping[str, int]) -> int:
    """What is due once these quantities (by line id) were sent; what is not of a line (shipping,
    tax) is due with the first unit.
    """
    if not any(sent.values()):
        return 0
    due = total_minor - sum(line.amount_minor for line in lines)
    for line in lines:
        quantity = min(sent.get(line.line_id, 0), line.quantity)
        due += line.amount_minor * quantity // line.quantity
    return due


def shipment_share(
    lines: Sequence[PlacedLine],
    total_minor: int,
    before: Mapping[str, int],
    after: Mapping[str, int],
) -> int:
    """What one shipment adds to what is due: quantities sent `before` it and `after` it."""
    return due_minor(lines, total_minor, after) - due_minor(lines, total_minor, before)

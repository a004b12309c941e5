"""Which warehouse gives which units of an order: all lines, or none.

Lines of one variant share what there is of it, in the order of the lines, so an order that names a
variant twice cannot be promised the same unit twice.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from subgraphs.inventory.domain.stock_item import StockItem
from subgraphs.inventory.events import HeldLine, Shortage


@dataclass(frozen=True, slots=True)
class WantedLine:
    """An order line as the buyer wants it."""

    line_id: str
    variant_id: str
    sku: str
    quantity: int


@dataclass(frozen=True, slots=True)
class Picking:
    """What is taken from where, or what is missing: never both."""

    picks: tuple[HeldLine, ...] = ()
    shortages: tuple[Shortage, ...] = ()


def pick(wanted: Sequence[WantedLine], stock: Iterable[StockItem]) -> Picking:
    """Take each line from as few warehouses as a simple rule finds.

    Warehouses that can give more of the order's variants completely come first, so that an order
    leaves from one place when one place has all of it; ties go by warehouse id, so the same stock
    gives the same answer.
    """
    items: dict[str, list[StockItem]] = defaultdict(list)
    for item in stock:
        if item.place is not None and item.available > 0:
            items[item.place.variant_id].append(item)
    rank = _ranks(wanted, items)
    for held in items.values():
        held.sort(key=lambda item: (rank[item.id], item.id))
    left = {item.id: item.available for held in items.values() for item in held}
    picks: list[HeldLine] = []
    shortages: list[Shortage] = []
    for line in wanted:
        missing = line.quantity
        for item in items.get(line.variant_id, ()):
            taken = min(missing, left[item.id])
            if taken > 0:
                assert item.place is not None
                left[item.id] -= taken
                missing -= taken
                picks.append(
                    HeldLine(
                        line.line_id,
                        line.variant_id,
                        line.sku,
                        item.place.warehouse_id,
                        item.id,
                        taken,
                    )
                )
        if missing > 0:
            shortages.append(
                Shortage(
                    line.line_id,
                    line.variant_id,
                    line.sku,
                    line.quantity,
                    line.quantity - missing,
                )
            )
    return Picking(shortages=tuple(shortages)) if shortages else Picking(picks=tuple(picks))


def _ranks(
    wanted: Sequence[WantedLine], items: dict[str, list[StockItem]]
) -> dict[str, tuple[int, str]]:
    """Per stock item, the place of its warehouse: most complete first, then by id."""
    sums: dict[str, int] = defaultdict(int)
    for line in wanted:
        sums[line.variant_id] += line.quantity
    complete: dict[str, int] = defaultdict(int)
    for variant_id, quantity in sums.items():
        for item in items.get(variant_id, ()):
            assert item.place is not None
            complete[item.place.warehouse_id] += item.available >= quantity
    return {
        item.id: (-complete[item.place.warehouse_id], item.place.warehouse_id)
        for held in items.values()
        for item in held
        if item.place is not None
    }

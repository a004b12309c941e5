"""Which warehouse gives what: all lines or none, and never the same unit twice."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from subgraphs.inventory.domain import Place, StockItem, WantedLine, pick, stock_item_of


def item(variant: str, warehouse: str, available: int) -> StockItem:
    return StockItem(
        stock_item_of(variant, warehouse), Place(variant, variant.upper(), warehouse), available
    )


def want(line: str, variant: str, quantity: int) -> WantedLine:
    return WantedLine(line, variant, variant.upper(), quantity)


def test_two_lines_of_one_variant_share_what_there_is() -> None:
    picking = pick([want("l1", "var_a", 3), want("l2", "var_a", 3)], [item("var_a", "w1", 4)])
    assert picking.picks == ()
    assert [(s.line_id, s.requested, s.available) for s in picking.shortages] == [("l2", 3, 1)]


def test_the_warehouse_that_has_everything_comes_first() -> None:
    stock = [item("var_a", "w1", 9), item("var_a", "w2", 9), item("var_b", "w2", 9)]
    picking = pick([want("l1", "var_a", 1), want("l2", "var_b", 1)], stock)
    assert {held.warehouse_id for held in picking.picks} == {"w2"}


def test_a_line_may_come_from_two_warehouses() -> None:
    picking = pick([want("l1", "var_a", 5)], [item("var_a", "w1", 3), item("var_a", "w2", 2)])
    assert sorted((held.warehouse_id, held.quantity) for held in picking.picks) == [
        ("w1", 3),
        ("w2", 2),
    ]


def test_an_unknown_variant_is_a_shortage_of_all_of_it() -> None:
    [shortage] = pick([want("l1", "var_x", 2)], []).shortages
    assert (shortage.requested, shortage.available) == (2, 0)


VARIANTS = st.sampled_from(["var_a", "var_b", "var_c"])
WAREHOUSES = st.sampled_from(["w1", "w2", "w3"])


@given(
    st.lists(st.tuples(VARIANTS, st.integers(1, 6)), min_size=1, max_size=6),
    st.dictionaries(st.tuples(VARIANTS, WAREHOUSES), st.integers(0, 8), max_size=9),
)
def test_all_or_nothing_and_no_unit_twice(
    wanted: list[tuple[str, int]], stock: dict[tuple[str, str], int]
) -> None:
    lines = [want(f"l{n}", variant, quantity) for n, (variant, quantity) in enumerate(wanted)]
    items = [item(variant, warehouse, units) for (variant, warehouse), units in stock.items()]
    picking = pick(lines, items)
    sums: Counter[str] = Counter()
    for variant, quantity in wanted:
        sums[variant] += quantity
    there: Counter[str] = Counter()
    for (variant, _), units in stock.items():
        there[variant] += units
    if all(there[variant] >= quantity for variant, quantity in sums.items()):
        taken: Counter[str] = Counter()
        by_line: Counter[str] = Counter()
        for held in picking.picks:
            taken[held.stock_item_id] += held.quantity
            by_line[held.line_id] += held.quantity
        assert by_line == {line.line_id: line.quantity for line in lines}
        assert all(taken[i.id] <= i.available for i in items)
        assert picking.shortages == ()
    else:
        assert picking.picks == ()
        assert picking.shortages
    assert pick(lines, reversed(items)) == picking

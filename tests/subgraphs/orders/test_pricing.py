"""Totals and the shares of shipments: exact in sum, whatever is sent when."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from subgraphs.orders.order import placed_lines
from subgraphs.orders.pricing import Totals, due_minor, shipment_share, totals_of
from tests.subgraphs.orders.given import ORDER, SALT, SILK, cart_line, terms


def test_a_total_is_lines_less_discounts_plus_shipping() -> None:
    totals = totals_of([cart_line(SILK, 2), cart_line(SALT, 1, 99)], shipping_minor=350)
    assert totals == Totals(2999, 99, 0, 350)
    assert totals.total_minor == 3250


def test_a_part_of_a_line_is_rounded_down_and_the_rest_comes_last() -> None:
    lines = placed_lines(ORDER, [cart_line(SALT, 3, 497)])  # 10.00 for 3
    line = lines[0].line_id
    shares = [
        shipment_share(lines, 1000, {line: before}, {line: before + 1}) for before in range(3)
    ]
    assert shares == [333, 333, 334]


def test_shipping_is_due_with_the_first_parcel() -> None:
    agreed = terms(cart_line(SILK, 1), cart_line(SALT, 1), shipping_minor=300)
    first, second = (line.line_id for line in agreed.lines)
    assert due_minor(agreed.lines, agreed.total_minor, {}) == 0
    assert due_minor(agreed.lines, agreed.total_minor, {first: 1}) == 1550
    assert due_minor(agreed.lines, agreed.total_minor, {first: 1, second: 1}) == 2049


LINES = st.lists(
    st.tuples(st.integers(1, 30), st.integers(0, 2000), st.integers(0, 100)), min_size=1, max_size=5
)


@given(LINES, st.integers(0, 900), st.randoms(use_true_random=False))
def test_the_shares_of_all_shipments_are_the_total(
    drawn: list[tuple[int, int, int]], shipping_minor: int, random: object
) -> None:
    from dataclasses import replace

    lines = placed_lines(
        ORDER,
        [
            cart_line(replace(SALT, variant_id=f"var_{n}", price_minor=price), quantity)
            for n, (quantity, price, _) in enumerate(drawn)
        ],
    )
    total = sum(line.amount_minor for line in lines) + shipping_minor
    units = [line.line_id for line in lines for _ in range(line.quantity)]
    random.shuffle(units)  # type: ignore[attr-defined]
    sent: dict[str, int] = {}
    shares = []
    for unit in units:
        after = {**sent, unit: sent.get(unit, 0) + 1}
        shares.append(shipment_share(lines, total, sent, after))
        sent = after
    assert sum(shares) == total
    assert all(share >= 0 for share in shares)

"""Stock items: the events, the refusal, the nothing-to-do of each command."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from subgraphs.inventory.domain import AdjustReason, Place, StockItem, stock_item_of
from subgraphs.inventory.errors import (
    NotEnoughStock,
    QuantityChanged,
    QuantityOutOfRange,
    ReasonMissing,
    UnknownStockItem,
)
from subgraphs.inventory.events import (
    StockAdjusted,
    StockAllocated,
    StockEvent,
    StockOpened,
    StockRanLow,
    StockReceived,
    StockReleased,
    StockReserved,
    StockShipped,
    StockTransferredIn,
    StockTransferredOut,
)

PLACE = Place("var_silk", "SILK-1", "whs_port")
OF = ("var_silk", "SILK-1", "whs_port")
ID = stock_item_of("var_silk", "whs_port")
OPENED = StockOpened(*OF)


def given(*events: StockEvent) -> StockItem:
    item = StockItem.initial(ID)
    for event in events:
        item = item.evolve(event)
    return item


def received(quantity: int) -> Sequence[StockEvent]:
    return (OPENED, StockReceived(*OF, quantity=quantity))


def test_the_first_receipt_opens_the_item() -> None:
    assert given().receive(PLACE, 5) == [OPENED, StockReceived(*OF, quantity=5)]
    assert given(*received(5)).receive(PLACE, 2) == [StockReceived(*OF, quantity=2)]


@pytest.mark.parametrize("quantity", [0, -1, 1_000_001])
def test_a_quantity_out_of_range_is_refused(quantity: int) -> None:
    with pytest.raises(QuantityOutOfRange):
        given().receive(PLACE, quantity)


def test_an_adjustment_changes_what_is_on_hand() -> None:
    item = given(*received(5))
    events = item.adjust(-2, AdjustReason.DAMAGE, change_from_quantity=5)
    assert events == [StockAdjusted(*OF, delta=-2, reason="DAMAGE", note=None)]
    assert item.evolve(events[0]).on_hand == 3


def test_an_adjustment_by_nothing_is_nothing_to_do() -> None:
    assert given(*received(5)).adjust(0, AdjustReason.COUNT) == []


def test_an_adjustment_from_another_figure_is_refused() -> None:
    with pytest.raises(QuantityChanged) as refused:
        given(*received(5)).adjust(1, AdjustReason.COUNT, change_from_quantity=4)
    assert (refused.value.expected, refused.value.actual) == (4, 5)


def test_a_correction_needs_a_note() -> None:
    with pytest.raises(ReasonMissing):
        given(*received(5)).adjust(1, AdjustReason.CORRECTION, note="  ")


def test_promised_units_cannot_be_adjusted_away() -> None:
    item = given(*received(5), StockReserved("rsv_1", "ord_1", 4))
    with pytest.raises(NotEnoughStock) as refused:
        item.adjust(-2, AdjustReason.DAMAGE)
    assert refused.value.available == 1


def test_an_unknown_item_cannot_be_adjusted_or_sent() -> None:
    with pytest.raises(UnknownStockItem):
        given().adjust(1, AdjustReason.COUNT)
    with pytest.raises(UnknownStockItem):
        given().send(1, "stk_other")


def test_a_transfer_leaves_here_and_arrives_there() -> None:
    there = Place("var_silk", "SILK-1", "whs_hill")
    arrived = StockItem.initial("stk_there").arrive(there, 3, ID)
    assert given(*received(5)).send(3, "stk_there") == [
        StockTransferredOut(*OF, quantity=3, to_stock_item_id="stk_there")
    ]
    assert arrived[1] == StockTransferredIn(
        "var_silk", "SILK-1", "whs_hill", quantity=3, from_stock_item_id=ID
    )


def test_more_than_is_available_cannot_be_sent() -> None:
    with pytest.raises(NotEnoughStock):
        given(*received(5), StockReserved("rsv_1", "ord_1", 3)).send(3, "stk_there")


def test_more_than_is_available_cannot_be_reserved() -> None:
    with pytest.raises(NotEnoughStock):
        given(*received(5), StockReserved("rsv_1", "ord_1", 3)).reserve("rsv_2", "ord_2", 3)


def test_the_low_stock_event_comes_once_when_the_threshold_is_crossed() -> None:
    item = given(*received(5))
    first = item.reserve("rsv_1", "ord_1", 2, low_at=3)
    assert first == [
        StockReserved("rsv_1", "ord_1", 2),
        StockRanLow(*OF, available=3, threshold=3),
    ]
    second = item.evolve(first[0]).reserve("rsv_2", "ord_2", 1, low_at=3)
    assert second == [StockReserved("rsv_2", "ord_2", 1)]


def test_the_way_of_a_unit_that_is_sold() -> None:
    item = given(
        *received(5),
        StockReserved("rsv_1", "ord_1", 2),
        StockAllocated("rsv_1", "ord_1", 2),
        StockShipped(*OF, "rsv_1", "ord_1", "shp_1", 2),
    )
    assert (item.on_hand, item.reserved, item.allocated, item.available) == (3, 0, 0, 3)


def test_released_units_are_available_again() -> None:
    item = given(*received(5), StockReserved("rsv_1", "ord_1", 2))
    [released] = item.release("rsv_1", "ord_1", 2, allocated=False)
    assert released == StockReleased("rsv_1", "ord_1", 2, allocated=False)
    assert item.evolve(released).available == 5


def test_the_id_of_an_item_follows_from_variant_and_warehouse() -> None:
    assert stock_item_of("var_a", "whs_b") == stock_item_of("var_a", "whs_b")
    assert stock_item_of("var_a", "whs_b") != stock_item_of("var_b", "whs_a")
    assert stock_item_of("var_a", "whs_b").startswith("stk_")

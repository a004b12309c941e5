"""Reservations: every request one answer, and stock that never goes below what is promised."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
)

from subgraphs.inventory.domain import (
    AdjustReason,
    Decision,
    Place,
    Reservation,
    ReservationState,
    StockItem,
    StockRequest,
    WantedLine,
    reservation_of,
    stock_item_of,
)
from subgraphs.inventory.errors import NotEnoughStock, ShipmentExceedsAllocation
from subgraphs.inventory.events import (
    ReservationCommitted,
    ReservationExpired,
    ReservationHeld,
    ReservationRejected,
    ReservationReleased,
    ReservationShipped,
    StockAllocated,
    StockReleased,
    StockReserved,
    StockShipped,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LATER = NOW + timedelta(minutes=15)
RSV = reservation_of("ord_1")
ITEM = stock_item_of("var_a", "w1")


class Stock:
    """Items and reservations as two dictionaries that decisions are folded into."""

    def __init__(self, **on_hand: int) -> None:
        self.items: dict[str, StockItem] = {}
        self.reservations: dict[str, Reservation] = {}
        for variant, units in on_hand.items():
            self.receive(f"var_{variant}", units)

    def receive(self, variant: str, units: int) -> None:
        item_id = stock_item_of(variant, "w1")
        item = self.items.get(item_id, StockItem.initial(item_id))
        self.fold({item_id: item.receive(Place(variant, variant.upper(), "w1"), units)})

    def reservation(self, order: str = "ord_1") -> Reservation:
        return self.reservations.get(reservation_of(order), Reservation(reservation_of(order)))

    def hold(
        self, *lines: tuple[str, int], order: str = "ord_1", request: str = "r1", attempt: int = 1
    ) -> Decision:
        wanted = tuple(
            WantedLine(f"l{n}", variant, variant.upper(), quantity)
            for n, (variant, quantity) in enumerate(lines)
        )
        decision = self.reservation(order).hold(
            StockRequest(order, request, attempt, wanted), self.items.values(), expires_at=LATER
        )
        return self.fold(decision)

    def commit(self, order: str = "ord_1", request: str = "c1", now: datetime = NOW) -> Decision:
        return self.fold(self.reservation(order).commit(order, request, self.items, now=now))

    def release(self, order: str = "ord_1", request: str = "x1") -> Decision:
        return self.fold(self.reservation(order).release(order, request, "CANCELLED", self.items))

    def expire(self, order: str = "ord_1", attempt: int = 1, now: datetime = LATER) -> Decision:
        return self.fold(self.reservation(order).expire(attempt, self.items, now=now))

    def ship(self, shipment: str, *lines: tuple[str, int], order: str = "ord_1") -> Decision:
        return self.fold(self.reservation(order).ship(shipment, lines, self.items))

    def fold(self, decision: Decision) -> Decision:
        assert list(decision) == sorted(decision), "streams are written in one order by everybody"
        for stream, events in decision.items():
            for event in events:
                if stream.startswith("rsv_"):
                    state = self.reservations.get(stream, Reservation.initial(stream))
                    self.reservations[stream] = state.evolve(event)  # type: ignore[arg-type]
                else:
                    item = self.items.get(stream, StockItem.initial(stream))
                    self.items[stream] = item.evolve(event)  # type: ignore[arg-type]
        return decision


def test_held_lines_are_reserved_in_the_same_decision() -> None:
    decision = Stock(a=5).hold(("var_a", 2))
    assert decision[ITEM] == [StockReserved(RSV, "ord_1", 2)]
    [held] = decision[RSV]
    assert isinstance(held, ReservationHeld)
    assert (held.expires_at, held.lines[0].quantity) == (LATER, 2)


def test_two_lines_of_one_item_are_one_event_of_its_stream() -> None:
    decision = Stock(a=6).hold(("var_a", 2), ("var_a", 3))
    assert decision[ITEM] == [StockReserved(RSV, "ord_1", 5)]


def test_one_shortage_rejects_all_lines() -> None:
    stock = Stock(a=5, b=1)
    decision = stock.hold(("var_a", 2), ("var_b", 2))
    assert list(decision) == [RSV]
    [rejected] = decision[RSV]
    assert isinstance(rejected, ReservationRejected)
    assert [(s.sku, s.requested, s.available) for s in rejected.shortages] == [("VAR_B", 2, 1)]


def test_the_same_request_again_is_nothing_to_do() -> None:
    stock = Stock(a=5)
    stock.hold(("var_a", 2))
    assert stock.hold(("var_a", 2)) == {}
    stock.commit()
    assert stock.commit() == {}
    stock.release()
    assert stock.release() == {}


def test_what_is_held_is_confirmed_to_another_request() -> None:
    stock = Stock(a=5)
    stock.hold(("var_a", 2))
    decision = stock.hold(("var_a", 2), request="r2", attempt=2)
    assert list(decision) == [RSV]
    assert stock.items[ITEM].reserved == 2


def test_committing_allocates() -> None:
    stock = Stock(a=5)
    stock.hold(("var_a", 2))
    decision = stock.commit()
    assert decision[ITEM] == [StockAllocated(RSV, "ord_1", 2)]
    assert decision[RSV] == [ReservationCommitted("ord_1", RSV, "c1")]


def test_committing_too_late_frees_the_units_and_says_so() -> None:
    stock = Stock(a=5)
    stock.hold(("var_a", 2))
    decision = stock.commit(now=LATER)
    assert decision[ITEM] == [StockReleased(RSV, "ord_1", 2, allocated=False)]
    assert decision[RSV] == [ReservationExpired("ord_1", RSV, "c1", attempt=1)]


def test_committing_what_is_gone_is_answered_all_the_same() -> None:
    stock = Stock(a=5)
    stock.hold(("var_a", 2))
    stock.expire()
    assert stock.commit() == {RSV: [ReservationExpired("ord_1", RSV, "c1", attempt=1)]}


def test_a_timer_of_an_earlier_attempt_or_too_early_is_ignored() -> None:
    stock = Stock(a=5)
    stock.hold(("var_a", 2))
    assert stock.expire(now=NOW) == {}
    stock.expire()
    stock.hold(("var_a", 2), request="r2", attempt=2)
    assert stock.expire(attempt=1) == {}
    assert stock.reservation().state is ReservationState.HELD


def test_a_committed_reservation_does_not_expire() -> None:
    stock = Stock(a=5)
    stock.hold(("var_a", 2))
    stock.commit()
    assert stock.expire() == {}


def test_releasing_after_the_pivot_gives_back_what_was_allocated() -> None:
    stock = Stock(a=5)
    stock.hold(("var_a", 2))
    stock.commit()
    decision = stock.release()
    assert decision[ITEM] == [StockReleased(RSV, "ord_1", 2, allocated=True)]
    assert decision[RSV] == [ReservationReleased("ord_1", RSV, "x1", "CANCELLED")]


def test_releasing_what_was_never_held_is_answered() -> None:
    assert Stock().release() == {RSV: [ReservationReleased("ord_1", RSV, "x1", "CANCELLED")]}


def test_a_shipment_sells_allocated_units_once() -> None:
    stock = Stock(a=5)
    stock.hold(("var_a", 3))
    stock.commit()
    decision = stock.ship("shp_1", ("l0", 2))
    assert decision[ITEM] == [StockShipped("var_a", "VAR_A", "w1", RSV, "ord_1", "shp_1", 2)]
    assert isinstance(decision[RSV][0], ReservationShipped)
    assert stock.ship("shp_1", ("l0", 2)) == {}
    assert (stock.items[ITEM].on_hand, stock.items[ITEM].allocated) == (3, 1)


def test_a_shipment_of_more_than_is_allocated_is_refused() -> None:
    stock = Stock(a=5)
    stock.hold(("var_a", 3))
    with pytest.raises(ShipmentExceedsAllocation):
        stock.ship("shp_0", ("l0", 1))
    stock.commit()
    with pytest.raises(ShipmentExceedsAllocation) as refused:
        stock.ship("shp_1", ("l0", 4))
    assert refused.value.excess == 1


VARIANT = st.sampled_from(["var_a", "var_b"])


class AnySequence(RuleBasedStateMachine):
    """Whatever is asked in whatever order: on hand ≥ reserved + allocated, none below zero, and
    what the items keep is what the reservations say they keep."""

    orders = Bundle("orders")

    def __init__(self) -> None:
        super().__init__()
        self.stock = Stock()
        self.received = 0
        self.count = 0

    @initialize(target=orders)
    def first(self) -> str:
        return "ord_0"

    @rule(variant=VARIANT, units=st.integers(1, 9))
    def receive(self, variant: str, units: int) -> None:
        self.stock.receive(variant, units)
        self.received += units

    @rule(target=orders, lines=st.lists(st.tuples(VARIANT, st.integers(1, 5)), min_size=1))
    def hold(self, lines: list[tuple[str, int]]) -> str:
        self.count += 1
        order = f"ord_{self.count}"
        self.stock.hold(*lines, order=order, request=f"r{self.count}")
        return order

    @rule(order=orders, attempt=st.integers(1, 3), lines=st.lists(st.tuples(VARIANT, st.just(1))))
    def hold_again(self, order: str, attempt: int, lines: list[tuple[str, int]]) -> None:
        self.stock.hold(*lines, order=order, request=f"again{attempt}", attempt=attempt)

    @rule(order=orders, request=st.sampled_from(["c1", "c2"]), late=st.booleans())
    def commit(self, order: str, request: str, late: bool) -> None:
        self.stock.commit(order, request, LATER if late else NOW)

    @rule(target=orders, order=consumes(orders), keep=st.booleans())
    def release(self, order: str, keep: bool) -> object:
        self.stock.release(order)
        return order if keep else multiple()

    @rule(order=orders, attempt=st.integers(1, 3))
    def expire(self, order: str, attempt: int) -> None:
        self.stock.expire(order, attempt)

    @rule(order=orders, shipment=st.integers(1, 3), share=st.integers(1, 3))
    def ship(self, order: str, shipment: int, share: int) -> None:
        lines = self.stock.reservation(order).lines
        wanted = [(line.line_id, min(share, line.quantity)) for line in lines]
        if self.stock.reservation(order).state is ReservationState.COMMITTED and wanted:
            self.stock.ship(f"shp_{shipment}", *wanted, order=order)

    @rule(variant=VARIANT, delta=st.integers(-3, 3))
    def adjust(self, variant: str, delta: int) -> None:
        item = self.stock.items.get(stock_item_of(variant, "w1"))
        if item is None:
            return
        try:
            self.stock.fold({item.id: item.adjust(delta, AdjustReason.COUNT)})
        except NotEnoughStock:
            assert -delta > item.available

    @invariant()
    def nothing_is_promised_twice(self) -> None:
        for item in self.stock.items.values():
            assert item.reserved >= 0
            assert item.allocated >= 0
            assert item.on_hand >= item.reserved + item.allocated

    @invariant()
    def items_and_reservations_agree(self) -> None:
        for state, figure in (
            (ReservationState.HELD, sum(item.reserved for item in self.stock.items.values())),
            (ReservationState.COMMITTED, sum(i.allocated for i in self.stock.items.values())),
        ):
            kept = [r for r in self.stock.reservations.values() if r.state is state]
            assert sum(line.quantity for r in kept for line in r.lines) == figure


TestAnySequence = pytest.mark.slow(AnySequence.TestCase)
TestAnySequence.settings = settings(max_examples=30, stateful_step_count=30, deadline=None)

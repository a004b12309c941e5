"""Fulfilments and shipments: never more in shipments than was ordered."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given as any_given
from hypothesis import settings
from hypothesis import strategies as st

from subgraphs.shared.errors import Refusals
from subgraphs.shipping.domain import (
    Fulfilment,
    FulfilmentStatus,
    Parcel,
    Shipment,
    ShipmentState,
    TrackingStatus,
    fulfilment_of,
    shipment_of,
    status_of,
)
from subgraphs.shipping.domain.fulfilment import Decision
from subgraphs.shipping.errors import ExceedsOrder, NothingToShip, ShipmentNotIn
from subgraphs.shipping.events import (
    FulfilmentAssigned,
    FulfilmentClosed,
    FulfilmentOpened,
    OrderedLine,
    ParcelLine,
    ShipmentCancelled,
    ShipmentDelivered,
    ShipmentDispatched,
    ShipmentPacked,
    ShipmentPlanned,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LINES = (OrderedLine("l1", "var_a", "A", 3, 200), OrderedLine("l2", "var_b", "B", 1, 50))
SHP = shipment_of("ord_1", "r1")


class Given:
    """The fulfilment of one order with its shipments, that decisions are folded into."""

    def __init__(self, *, opened: bool = True) -> None:
        self.fulfilment = Fulfilment.initial(fulfilment_of("ord_1"))
        self.shipments: dict[str, Shipment] = {}
        if opened:
            self.open()

    def open(self, request: str = "r1") -> Decision:
        return self.fold(
            self.fulfilment.open(
                order_id="ord_1",
                request_id=request,
                shipment_id=shipment_of("ord_1", request),
                lines=LINES,
                destination=None,
                option_id="standard",
                customer_id="usr_1",
            )
        )

    def plan(self, shipment: str, *lines: tuple[str, int]) -> Decision:
        wanted = [ParcelLine(line, "", quantity) for line, quantity in lines]
        return self.fold(self.fulfilment.plan(shipment, wanted))

    def cancel(self, request: str = "x1") -> Decision:
        assigned = {key: self.shipments[key] for key in self.fulfilment.assigned}
        return self.fold(
            self.fulfilment.cancel(
                assigned,
                order_id="ord_1",
                request_id=request,
                reason="why",
                customer_id="usr_1",
            )
        )

    def withdraw(self, shipment: str) -> Decision:
        return self.fold(self.fulfilment.withdraw(self.shipments[shipment], "again"))

    def fold(self, decision: Decision) -> Decision:
        for stream, events in decision.items():
            for event in events:
                if stream == self.fulfilment.id:
                    self.fulfilment = self.fulfilment.evolve(event)  # type: ignore[arg-type]
                else:
                    state = self.shipments.get(stream, Shipment.initial(stream))
                    self.shipments[stream] = state.evolve(event)  # type: ignore[arg-type]
        return decision


def test_an_order_is_planned_as_one_shipment() -> None:
    decision = Given(opened=False).open()
    parcel = (ParcelLine("l1", "var_a", 3), ParcelLine("l2", "var_b", 1))
    assert decision[fulfilment_of("ord_1")] == [
        FulfilmentOpened("ord_1", "r1", LINES, None, "standard", "usr_1"),
        FulfilmentAssigned("ord_1", SHP, parcel),
    ]
    assert decision[SHP] == [
        ShipmentPlanned(
            *("ord_1", SHP, "r1", parcel, None, "standard"), weight_grams=650, customer_id="usr_1"
        )
    ]


def test_the_same_request_or_another_for_the_same_order_is_nothing_to_do() -> None:
    given = Given()
    assert given.open() == {}
    assert given.open("r2") == {}


def test_no_more_than_is_left_can_be_planned() -> None:
    with pytest.raises(Refusals) as refused:
        Given().plan("shp_2", ("l1", 1), ("l9", 1))
    first, second = refused.value.refusals
    assert isinstance(first, ExceedsOrder)
    assert (first.requested, first.left) == (1, 0)
    assert isinstance(second, ExceedsOrder)


def test_quantities_of_one_line_are_summed_before_they_are_judged() -> None:
    given = Given()
    given.withdraw(SHP)
    with pytest.raises(Refusals):
        given.plan("shp_2", ("l1", 2), ("l1", 2))


def test_a_withdrawn_shipment_can_be_split() -> None:
    given = Given()
    given.withdraw(SHP)
    given.plan("shp_2", ("l1", 2))
    given.plan("shp_3", ("l1", 1), ("l2", 1))
    assert not any(given.fulfilment.left.values())
    assert given.withdraw(SHP) == {}


@pytest.mark.parametrize("quantity", [0, -1])
def test_a_shipment_of_nothing_is_refused(quantity: int) -> None:
    given = Given()
    given.withdraw(SHP)
    with pytest.raises(Refusals):
        given.plan("shp_2", ("l1", quantity))
    with pytest.raises(NothingToShip):
        given.plan("shp_2")


def test_an_order_that_nobody_asked_to_ship_is_not_shipped() -> None:
    with pytest.raises(NothingToShip):
        Given(opened=False).plan("shp_2", ("l1", 1))


def test_cancelling_cancels_what_has_not_left() -> None:
    given = Given()
    decision = given.cancel()
    assert decision[fulfilment_of("ord_1")] == [FulfilmentClosed("ord_1", "x1", "why")]
    assert decision[SHP] == [ShipmentCancelled("ord_1", SHP, "x1", "why", "usr_1")]
    assert given.cancel() == {}
    with pytest.raises(NothingToShip):
        given.plan("shp_2", ("l1", 1))


def test_cancelling_what_has_left_does_nothing() -> None:
    given = Given()
    given.fold({SHP: given.shipments[SHP].dispatch("fake", "T1")})
    assert given.cancel() == {}


def test_cancelling_where_nothing_is_planned_is_answered() -> None:
    given = Given()
    given.withdraw(SHP)
    decision = given.cancel()
    assert any(
        isinstance(event, ShipmentCancelled) for events in decision.values() for event in events
    )


def shipment(*states: str) -> Shipment:
    given = Given()
    state = given.shipments[SHP]
    for step in states:
        events = {
            "packed": state.pack,
            "dispatched": lambda state=state: state.dispatch("fake", "T1"),
            "delivered": lambda state=state: state.track(TrackingStatus.DELIVERED, NOW),
            "cancelled": lambda state=state: state.cancel("why"),
        }[step]()
        for event in events:
            state = state.evolve(event)
    return state


def test_dispatching_packs_first() -> None:
    packed, dispatched = shipment().dispatch("fake", "T1")
    assert isinstance(packed, ShipmentPacked)
    assert isinstance(dispatched, ShipmentDispatched)
    assert [line.quantity for line in dispatched.lines] == [3, 1]


def test_goods_leave_once() -> None:
    assert shipment("dispatched").dispatch("fake", "T1") == []
    with pytest.raises(ShipmentNotIn):
        shipment("dispatched").dispatch("fake", "T2")
    with pytest.raises(ShipmentNotIn):
        shipment("cancelled").dispatch("fake", "T1")


def test_goods_that_left_cannot_be_cancelled() -> None:
    with pytest.raises(ShipmentNotIn):
        shipment("dispatched").cancel("why")
    assert shipment("cancelled").cancel("why") == []


def test_tracking() -> None:
    with pytest.raises(ShipmentNotIn):
        shipment("packed").track(TrackingStatus.DELIVERED, NOW)
    _, delivered = shipment("dispatched").track(TrackingStatus.DELIVERED, NOW)
    assert delivered == ShipmentDelivered("ord_1", SHP, NOW)
    assert shipment("dispatched", "delivered").track(TrackingStatus.DELIVERED, NOW) == []
    with pytest.raises(ShipmentNotIn):
        shipment("dispatched", "delivered").track(TrackingStatus.IN_TRANSIT, NOW)
    assert shipment("dispatched", "delivered").track(TrackingStatus.RETURNED, NOW)


@pytest.mark.parametrize(
    ("parcels", "status"),
    [
        ([], FulfilmentStatus.UNFULFILLED),
        ([(ShipmentState.PACKED, 3)], FulfilmentStatus.UNFULFILLED),
        ([(ShipmentState.SHIPPED, 2)], FulfilmentStatus.PARTIAL),
        ([(ShipmentState.SHIPPED, 2), (ShipmentState.DELIVERED, 1)], FulfilmentStatus.FULFILLED),
        ([(ShipmentState.DELIVERED, 3)], FulfilmentStatus.DELIVERED),
        ([(ShipmentState.RETURNED, 1), (ShipmentState.DELIVERED, 2)], FulfilmentStatus.DELIVERED),
        ([(ShipmentState.RETURNED, 3)], FulfilmentStatus.RETURNED),
        ([(ShipmentState.CANCELLED, 3)], FulfilmentStatus.UNFULFILLED),
    ],
)
def test_the_status_follows_from_lines_and_shipments(
    parcels: list[tuple[ShipmentState, int]], status: FulfilmentStatus
) -> None:
    assert status_of({"l1": 3}, [Parcel(state, {"l1": n}) for state, n in parcels]) is status


STEP = st.tuples(
    st.sampled_from(["plan", "withdraw", "dispatch", "cancel"]),
    st.sampled_from([SHP, "shp_2", "shp_3"]),
    st.sampled_from(["l1", "l2"]),
    st.integers(-1, 4),
)


@settings(max_examples=100, deadline=None)
@any_given(st.lists(STEP, max_size=12))
def test_never_more_in_shipments_than_was_ordered(steps: list[tuple[str, str, str, int]]) -> None:
    given = Given()
    for action, target, line, quantity in steps:
        live = given.shipments.get(target, Shipment.initial(target))
        try:
            match action:
                case "plan" if not live.exists:
                    given.plan(target, (line, quantity))
                case "withdraw" if live.exists:
                    given.withdraw(target)
                case "dispatch":
                    given.fold({target: live.dispatch("fake", "T1")})
                case "cancel":
                    given.cancel()
        except (Refusals, NothingToShip, ShipmentNotIn):
            continue
        sent: dict[str, int] = {}
        for parcel in given.shipments.values():
            if parcel.state is not ShipmentState.CANCELLED:
                for part in parcel.lines:
                    sent[part.line_id] = sent.get(part.line_id, 0) + part.quantity
        assert all(sent.get(ordered.line_id, 0) <= ordered.quantity for ordered in LINES)
        if given.fulfilment.closed:
            assert not any(s.has_left for s in given.shipments.values())
        else:
            assert all(units >= 0 for units in given.fulfilment.left.values())

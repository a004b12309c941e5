"""The placement process, row by row of the table: what each answer leads to."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from msgspec import structs

from eventstore.event import ERASED
from subgraphs.orders import answers
from subgraphs.orders import placement_events as happened
from subgraphs.orders.order_events import OrderCancelled, OrderCompleted, OrderRejected
from subgraphs.orders.parts import SentLine, Shortage
from subgraphs.orders.placement_requests import (
    RESENDS_BEFORE_ALERT,
    RESENDS_MAX,
    RESERVATION_TTL_SECONDS,
    Policy,
    resend_after,
)
from subgraphs.orders.placement_states import Goal, Money, Stock
from subgraphs.orders.refusals import NotCancellable, NothingToResume
from tests.subgraphs.orders.given import (
    ACTION,
    AUTHORIZED,
    CANCEL,
    CANCELLED,
    COMMITTED,
    CUSTOMER,
    DECLINED,
    EXPIRED,
    HELD,
    NOW,
    ORDER,
    PLANNED,
    POLICY,
    RELEASED,
    SALT,
    SILK,
    TERMS,
    TOTAL,
    UNKNOWN,
    VOIDED,
    Process,
    captured,
    cart_line,
    dispatched,
    given,
    terms,
)

SHORTAGES = (Shortage(TERMS.lines[0].line_id, "var_silk", "SILK-1", 2, 1),)
SHORT = answers.ReservationRejected(order_id=ORDER, attempt=1, shortages=SHORTAGES)
SHORT_AGAIN = answers.ReservationRejected(order_id=ORDER, attempt=2, shortages=SHORTAGES)
HELD_AGAIN = answers.ReservationHeld(order_id=ORDER, reservation_id="rsv_1", attempt=2)
EXPIRED_AGAIN = answers.ReservationExpired(order_id=ORDER, reservation_id="rsv_1", attempt=2)


# ---- the way to the end


def test_it_begins_by_asking_for_stock() -> None:
    process = given()
    assert process.happened == ["started", "stock_requested"]
    request = process.events[1]
    assert isinstance(request, happened.StockRequested)
    assert request.request_id == f"{ORDER}:reserve:1"
    assert [(line.sku, line.quantity) for line in request.lines] == [("SILK-1", 2), ("SALT-1", 1)]
    assert request.ttl_seconds == 900


def test_held_stock_asks_for_the_money() -> None:
    process = given().when(HELD)
    assert process.happened == ["stock_held", "authorization_requested"]
    request = process.events[1]
    assert isinstance(request, happened.AuthorizationRequested)
    assert (request.amount_minor, request.currency) == (TOTAL, "EUR")


def test_authorised_money_asks_for_the_allocation() -> None:
    process = given(HELD).when(AUTHORIZED)
    assert process.happened == ["payment_authorized", "allocation_requested"]


def test_the_allocation_confirms_the_order_and_asks_for_the_shipment() -> None:
    process = given(HELD, AUTHORIZED).when(COMMITTED)
    assert process.happened == ["stock_allocated", "shipment_requested"]
    assert process.told == ["order.confirmed"]


def test_what_was_sent_is_captured_and_no_more() -> None:
    process = given(HELD, AUTHORIZED, COMMITTED, PLANNED).when(dispatched((1, 1)))
    assert process.happened == ["shipment_dispatched", "capture_requested"]
    request = process.events[1]
    assert isinstance(request, happened.CaptureRequested)
    assert (request.amount_minor, request.request_id) == (1250, f"{ORDER}:capture:shp_1")
    assert process.told == ["order.lines_shipped"]


def test_it_is_complete_when_all_is_sent_and_captured() -> None:
    process = given(HELD, AUTHORIZED, COMMITTED, PLANNED, dispatched()).when(captured())
    assert process.happened == ["payment_captured", "ended"]
    [completed] = process.order_events
    assert isinstance(completed, OrderCompleted)
    assert completed.captured_minor == TOTAL
    assert process.state.progress == "DONE"
    assert not process.state.waits


def test_two_parcels_are_captured_one_by_one() -> None:
    process = given(HELD, AUTHORIZED, COMMITTED, dispatched((1, 1)), captured(1250))
    assert process.state.outcome is None
    process.when(dispatched((1, 1), (2, 1), shipment_id="shp_2"))
    process.when(captured(1650, "shp_2"))
    assert process.told == ["order.completed"]
    assert process.state.captured_minor == TOTAL


def test_after_the_first_of_two_parcels_the_second_is_still_awaited() -> None:
    other = answers.Planned(order_id=ORDER, shipment_id="shp_2")
    process = given(HELD, AUTHORIZED, COMMITTED, PLANNED, other, dispatched((1, 2)), captured(2500))
    assert process.state.waits.keys() == {"DISPATCH"}
    assert process.when(dispatched((2, 1), shipment_id="shp_2")).state.waits.keys() == {
        "CAPTURE/shp_2"
    }


def test_an_order_that_costs_nothing_needs_no_payment() -> None:
    free = terms(cart_line(SALT, 1, 499))
    process = given(terms_=free).when(HELD)
    assert process.happened == ["stock_held", "allocation_requested"]
    process.when(COMMITTED)
    process.when(dispatched(of=free))
    assert process.happened == ["shipment_dispatched", "ended"]
    assert process.told == ["order.lines_shipped", "order.completed"]


# ---- no stock


def test_no_stock_rejects_the_order_and_no_money_is_touched() -> None:
    process = given().when(SHORT)
    assert process.happened == ["stock_refused", "compensation_started", "ended"]
    [rejected] = process.order_events
    assert isinstance(rejected, OrderRejected)
    assert rejected.reason == "OUT_OF_STOCK"
    assert rejected.shortages == SHORT.shortages
    assert process.state.money is Money.NONE


def test_a_reservation_that_expired_is_tried_once_more() -> None:
    process = given(HELD, AUTHORIZED).when(EXPIRED)
    assert process.happened == ["stock_lost", "stock_requested"]
    again = process.events[1]
    assert isinstance(again, happened.StockRequested)
    assert (again.attempt, again.request_id) == (2, f"{ORDER}:reserve:2")
    process.when(HELD_AGAIN)
    assert process.happened == ["stock_held", "allocation_requested"]


def test_stock_lost_twice_gives_the_money_back_and_rejects() -> None:
    process = given(HELD, AUTHORIZED, EXPIRED, HELD_AGAIN).when(EXPIRED_AGAIN)
    assert process.happened == ["stock_lost", "compensation_started", "void_requested"]
    assert process.told == []
    process.when(VOIDED)
    [rejected] = process.order_events
    assert isinstance(rejected, OrderRejected)
    assert rejected.reason == "STOCK_LOST"


def test_no_stock_at_the_second_try_is_stock_lost() -> None:
    process = given(HELD, AUTHORIZED, EXPIRED).when(SHORT_AGAIN)
    assert process.happened == ["stock_refused", "compensation_started", "void_requested"]
    assert process.state.reason == "STOCK_LOST"


def test_the_first_reservation_held_late_is_not_the_second() -> None:
    process = given().when(EXPIRED)  # seen before it was seen to be held
    assert process.state.reserve_attempt == 2
    process.when(HELD)
    assert process.events == ()
    process.when(HELD_AGAIN)
    assert process.when(EXPIRED).events == ()


# ---- no money


def test_a_declined_payment_releases_the_stock_before_it_rejects() -> None:
    process = given(HELD).when(DECLINED)
    assert process.happened == ["payment_refused", "compensation_started", "release_requested"]
    assert process.told == []
    process.when(RELEASED)
    [rejected] = process.order_events
    assert isinstance(rejected, OrderRejected)
    assert (rejected.reason, rejected.decline_code) == ("PAYMENT_DECLINED", "insufficient_funds")


def test_an_unknown_outcome_is_never_a_failure() -> None:
    process = given(HELD).when(UNKNOWN)
    assert process.happened == ["payment_uncertain"]
    process.fires("AUTHORIZE")
    again = process.events[0]
    assert isinstance(again, happened.AuthorizationRequested)
    assert (again.request_id, again.resend) == (f"{ORDER}:authorize:1", 1)
    assert process.state.money is Money.UNKNOWN
    assert process.when(AUTHORIZED).state.stock is Stock.ALLOCATING


def test_a_customer_who_does_not_come_back_from_the_bank_loses_the_order() -> None:
    process = given(HELD).when(ACTION)
    assert process.happened == ["customer_awaited"]
    assert process.state.progress == "AWAITING_CUSTOMER"
    awaited = process.events[0]
    assert isinstance(awaited, happened.CustomerAwaited)
    assert awaited.until == NOW + timedelta(minutes=10)
    process.fires("CUSTOMER")
    assert process.happened == ["compensation_started", "release_requested", "void_requested"]
    process.when(RELEASED)
    process.when(VOIDED)
    assert process.state.reason == "PAYMENT_ABANDONED"
    assert process.told == ["order.rejected"]


def test_a_customer_who_comes_back_goes_on() -> None:
    process = given(HELD, ACTION).when(AUTHORIZED)
    assert process.happened == ["payment_authorized", "allocation_requested"]


def test_a_customer_has_less_time_at_the_bank_than_the_stock_is_held() -> None:
    with pytest.raises(AssertionError):
        Policy(customer_deadline=timedelta(seconds=RESERVATION_TTL_SECONDS))


def test_a_payment_given_up_at_the_bank_is_abandoned() -> None:
    given_up = answers.Declined(
        order_id=ORDER, payment_id="pay_1", decline_code="authentication_abandoned"
    )
    assert given(HELD, ACTION).when(given_up).state.reason == "PAYMENT_ABANDONED"
    assert given(HELD, ACTION).when(VOIDED).state.reason == "PAYMENT_ABANDONED"


def test_a_void_that_fails_needs_an_operator_and_is_not_dropped() -> None:
    process = given(HELD, AUTHORIZED, CANCEL, RELEASED)
    process.when(answers.VoidFailed(order_id=ORDER, payment_id="pay_1", reason="bank closed"))
    assert process.happened == ["operator_needed"]
    assert process.fires("VOID").happened == ["void_requested"]
    assert process.when(VOIDED).told == ["order.cancelled"]


@pytest.mark.parametrize(("amount", "currency"), [(TOTAL - 1, "EUR"), (TOTAL, "USD")])
def test_another_amount_than_agreed_is_given_back(amount: int, currency: str) -> None:
    wrong = answers.Authorized(
        order_id=ORDER, payment_id="pay_1", amount_minor=amount, currency=currency
    )
    process = given(HELD).when(wrong)
    assert process.state.reason == "PAYMENT_MISMATCH"
    assert process.happened[-2:] == ["release_requested", "void_requested"]


def test_money_that_turns_up_after_the_rejection_is_given_back() -> None:
    process = given(HELD, DECLINED, RELEASED)
    assert process.state.outcome == "REJECTED"
    process.when(AUTHORIZED)
    assert process.happened == ["payment_authorized", "void_requested"]
    assert process.when(VOIDED).told == []


def test_a_payment_voided_behind_our_back_rejects_before_the_pivot() -> None:
    process = given(HELD, AUTHORIZED).when(VOIDED)
    assert process.state.reason == "PAYMENT_VOIDED"
    assert process.when(RELEASED).told == ["order.rejected"]


def test_a_payment_voided_behind_our_back_needs_an_operator_after_the_pivot() -> None:
    process = given(HELD, AUTHORIZED, COMMITTED).when(VOIDED)
    assert process.happened == ["payment_voided", "operator_needed"]
    assert process.state.progress == "NEEDS_OPERATOR"


def test_a_failed_capture_needs_an_operator_and_is_not_repeated_by_itself() -> None:
    process = given(HELD, AUTHORIZED, COMMITTED, dispatched())
    token = process.state.waits["CAPTURE/shp_1"].token
    process.when(answers.CaptureFailed(order_id=ORDER, shipment_id="shp_1", reason="expired"))
    assert process.happened == ["capture_failed", "operator_needed"]
    assert process.when(answers.TimerFired("CAPTURE/shp_1", token)).events == ()
    process.when(answers.ResumeAsked("the bank is back", "usr_operator"))
    assert process.happened == ["resumed", "capture_requested"]
    assert process.when(captured()).told == ["order.completed"]


def test_more_than_was_authorised_is_never_captured() -> None:
    process = given(HELD, AUTHORIZED, COMMITTED)
    line = TERMS.lines[0].line_id
    wrong = happened.ShipmentDispatched(ORDER, "shp_1", (SentLine(line, 1),), TOTAL + 1)
    process.state = process.state.evolve(wrong)
    process.when(answers.Planned(order_id=ORDER, shipment_id="shp_2"))
    assert process.happened == ["shipment_planned", "operator_needed"]
    assert process.state.operator_reason == "CAPTURE_EXCEEDS_AUTHORIZATION"


def test_what_is_sent_twice_over_is_charged_once() -> None:
    process = given(HELD, AUTHORIZED, COMMITTED, dispatched())
    process.when(dispatched(shipment_id="shp_2"))
    assert process.happened == ["shipment_dispatched"]
    assert process.state.capturing_minor == TOTAL


# ---- repeats, timers, deadlines


@pytest.mark.parametrize(
    "said", [[HELD], [HELD, AUTHORIZED], [HELD, AUTHORIZED, COMMITTED], [HELD, UNKNOWN]]
)
def test_an_answer_that_comes_twice_changes_nothing(said: list[answers.Answer]) -> None:
    assert given(*said).when(said[-1]).events == ()


def test_no_answer_sends_the_same_request_again() -> None:
    process = given()
    first = process.events[1]
    process.fires("RESERVE")
    [again] = process.events
    assert isinstance(first, happened.StockRequested)
    assert isinstance(again, happened.StockRequested)
    assert (again.request_id, again.resend) == (first.request_id, 1)


def test_a_timer_is_ignored_when_the_step_moved_on() -> None:
    process = given()
    token = process.state.waits["RESERVE"].token
    assert process.when(HELD).when(answers.TimerFired("RESERVE", token)).events == ()


def test_a_timer_that_fires_twice_sends_once() -> None:
    process = given()
    token = process.state.waits["RESERVE"].token
    process.when(answers.TimerFired("RESERVE", token))
    assert process.when(answers.TimerFired("RESERVE", token)).events == ()


def test_no_answer_for_five_minutes_calls_an_operator_and_goes_on_sending() -> None:
    process = given(HELD, AUTHORIZED)
    for _ in range(RESENDS_BEFORE_ALERT):
        process.fires("ALLOCATE")
    assert process.happened == ["allocation_requested", "operator_needed"]
    assert process.state.progress == "NEEDS_OPERATOR"
    process.fires("ALLOCATE")
    assert process.happened == ["allocation_requested"]
    process.when(COMMITTED)
    assert process.state.progress == "FULFILLING"


def test_sending_again_has_an_end_and_an_operator_begins_anew() -> None:
    process = given(HELD, AUTHORIZED)
    for _ in range(RESENDS_MAX):
        process.fires("ALLOCATE")
    process.fires("ALLOCATE")
    assert process.happened == ["operator_needed"]
    assert process.state.waits["ALLOCATE"].token == ""
    process.when(answers.ResumeAsked("inventory is back", "usr_operator"))
    assert process.happened == ["resumed", "allocation_requested"]
    assert process.state.waits["ALLOCATE"].token


def test_resends_become_rarer() -> None:
    delays = [resend_after("RESERVE", n).total_seconds() for n in range(8)]
    assert delays == [10, 20, 40, 80, 160, 300, 300, 300]
    assert resend_after("CAPTURE/shp_1", 0).total_seconds() == 30


def test_a_placement_past_its_deadline_is_rejected_before_the_pivot() -> None:
    process = given(HELD, ACTION).fires("DEADLINE")
    assert process.state.reason == "DEADLINE_EXCEEDED"
    assert process.when(RELEASED).when(VOIDED).told == ["order.rejected"]


def test_at_the_deadline_what_nobody_answered_is_waited_for_and_an_operator_told() -> None:
    process = given(HELD).fires("DEADLINE")
    assert process.happened == ["compensation_started", "operator_needed", "release_requested"]
    assert process.when(RELEASED).state.outcome is None
    process.when(AUTHORIZED)
    assert process.happened == ["payment_authorized", "void_requested"]
    assert process.when(VOIDED).told == ["order.rejected"]


def test_at_the_deadline_an_allocation_under_way_is_not_undone() -> None:
    process = given(HELD, AUTHORIZED).fires("DEADLINE")
    assert process.happened == ["operator_needed"]
    assert process.when(COMMITTED).told == ["order.confirmed"]


def test_a_shipment_that_does_not_leave_needs_an_operator() -> None:
    process = given(HELD, AUTHORIZED, COMMITTED, PLANNED).fires("DISPATCH")
    assert process.happened == ["operator_needed"]
    assert process.when(dispatched()).happened == ["shipment_dispatched", "capture_requested"]


def test_nothing_to_resume_is_refused() -> None:
    with pytest.raises(NothingToResume):
        given(HELD, DECLINED, RELEASED).when(answers.ResumeAsked("why not", "usr_operator"))


# ---- cancellation


def test_a_cancellation_before_the_pivot_gives_back_at_once() -> None:
    process = given(HELD, AUTHORIZED).when(CANCEL)
    assert process.happened == ["cancellation_started", "release_requested", "void_requested"]
    assert process.told == ["order.cancellation_requested"]
    process.when(RELEASED)
    assert process.when(VOIDED).told == ["order.cancelled"]


def test_a_cancellation_waits_for_what_was_asked_already() -> None:
    process = given().when(CANCEL)
    assert process.happened == ["cancellation_started"]
    process.when(HELD)
    assert process.happened == ["stock_held", "release_requested"]
    assert process.when(RELEASED).told == ["order.cancelled"]


def test_a_cancellation_waits_until_the_bank_is_sure() -> None:
    process = given(HELD, UNKNOWN, CANCEL).when(RELEASED)
    assert process.state.outcome is None
    assert "AUTHORIZE" in process.state.waits
    assert process.when(AUTHORIZED).happened == ["payment_authorized", "void_requested"]


def test_an_allocation_that_crosses_the_cancellation_does_not_confirm() -> None:
    process = given(HELD, AUTHORIZED, CANCEL).when(COMMITTED)
    assert process.events == ()
    assert process.when(RELEASED).when(VOIDED).told == ["order.cancelled"]


def test_after_the_pivot_the_shipment_is_stopped_first() -> None:
    process = given(HELD, AUTHORIZED, COMMITTED, PLANNED).when(CANCEL)
    assert process.happened == ["cancellation_started", "shipment_cancellation_requested"]
    process.when(CANCELLED)
    assert process.happened == ["shipment_cancelled", "release_requested", "void_requested"]
    process.when(RELEASED)
    assert process.when(VOIDED).told == ["order.cancelled"]


def test_goods_that_left_first_withdraw_the_cancellation() -> None:
    process = given(HELD, AUTHORIZED, COMMITTED, PLANNED, CANCEL).when(dispatched())
    assert process.happened == [
        "shipment_dispatched",
        "cancellation_withdrawn",
        "capture_requested",
    ]
    assert process.told == ["order.lines_shipped", "order.cancellation_withdrawn"]
    assert process.when(captured()).told == ["order.completed"]


def test_goods_that_left_after_the_shipment_was_said_to_be_stopped_need_an_operator() -> None:
    process = given(HELD, AUTHORIZED, COMMITTED, PLANNED, CANCEL, CANCELLED).when(dispatched())
    assert process.happened == ["shipment_dispatched", "operator_needed"]


def test_after_dispatch_a_cancellation_is_refused() -> None:
    with pytest.raises(NotCancellable, match="left"):
        given(HELD, AUTHORIZED, COMMITTED, dispatched()).when(CANCEL)


def test_what_is_over_cannot_be_cancelled() -> None:
    with pytest.raises(NotCancellable, match="rejected"):
        given(SHORT).when(CANCEL)
    with pytest.raises(NotCancellable, match="being rejected"):
        given(HELD, DECLINED).when(CANCEL)


def test_cancelling_twice_is_nothing_to_do() -> None:
    process = given(HELD, CANCEL).when(CANCEL)
    assert process.events == ()
    assert process.state.goal is Goal.CANCEL


def test_a_shipment_stopped_behind_our_back_needs_an_operator() -> None:
    process = given(HELD, AUTHORIZED, COMMITTED, PLANNED).when(CANCELLED)
    assert process.happened == ["shipment_cancelled", "operator_needed"]


def test_an_answer_for_a_process_that_never_began_is_nothing() -> None:
    from subgraphs.orders.placement import Placement
    from subgraphs.orders.placement_rules import decide

    assert decide(Placement.initial("plc_x"), HELD, now=NOW, policy=POLICY).events == ()


def test_the_terms_name_the_customer() -> None:
    assert TERMS.customer_id == CUSTOMER
    assert SILK.price_minor * 2 + SALT.price_minor - 99 == TOTAL


# ---- customers who are erased although their order is under way


def forgotten(process: Process) -> Process:
    """The process as it is folded once its customer was erased."""
    erased = structs.replace(TERMS, payment_method_token=ERASED, destination=None)
    process.state = replace(process.state, terms=erased)
    return process


def test_an_order_of_somebody_erased_is_rejected_before_it_is_paid() -> None:
    process = forgotten(given()).when(HELD)
    assert process.happened == ["stock_held", "compensation_started", "release_requested"]
    rejected = process.when(RELEASED).order_events[-1]
    assert isinstance(rejected, OrderRejected)
    assert rejected.reason == "CUSTOMER_ERASED"


def test_the_payment_of_somebody_erased_is_not_asked_for_again() -> None:
    process = forgotten(given(HELD)).fires("AUTHORIZE")
    [needed] = process.events
    assert isinstance(needed, happened.OperatorNeeded)
    assert (needed.reason, needed.gave_up) == ("CUSTOMER_ERASED", True)


def test_what_somebody_erased_has_paid_for_goes_on_without_their_address() -> None:
    process = forgotten(given(HELD, AUTHORIZED)).when(COMMITTED)
    request = process.events[-1]
    assert isinstance(request, happened.ShipmentRequested)
    assert request.destination is None


def test_the_cancellation_of_somebody_erased_ends_without_their_words() -> None:
    process = forgotten(given(HELD, AUTHORIZED, CANCEL)).when(RELEASED).when(VOIDED)
    cancelled = process.order_events[-1]
    assert isinstance(cancelled, OrderCancelled)
    assert cancelled.reason is None

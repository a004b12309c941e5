"""Payments: the events, the refusal, the nothing-to-do of each command, and the ceilings."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from subgraphs.payments import domain
from subgraphs.payments.answers import Answer, Approved, Challenge, NoAnswer, Refused
from subgraphs.payments.domain import OperationKind, Payment, PaymentState, payment_of
from subgraphs.payments.errors import (
    AmountExceedsLimit,
    AmountNotPositive,
    NoActionPending,
    NothingToVoid,
)
from subgraphs.payments.events import (
    PaymentActionAnswered,
    PaymentAuthorized,
    PaymentCaptured,
    PaymentCaptureFailed,
    PaymentCaptureRequested,
    PaymentDeclined,
    PaymentEvent,
    PaymentOutcomeUnknown,
    PaymentRefunded,
    PaymentVoided,
    PaymentVoidRequested,
)
from subgraphs.payments.provider.account import Account
from subgraphs.shared.money import CurrencyDiffers, Money

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ID = payment_of("ord_1", 1)
ABOUT = ("ord_1", ID)


def eur(minor: int) -> Money:
    return Money(minor, "EUR")


class Given:
    """A payment that commands and answers are folded into."""

    def __init__(self, amount: int = 1000) -> None:
        self.payment = Payment.initial(ID)
        self.then(
            domain.request(
                self.payment,
                order_id="ord_1",
                request_id="r1",
                customer_id="usr_1",
                amount=eur(amount),
                method_token="tok_x",
                attempt=1,
                provider="fake",
            )
        )

    def then(self, events: list[PaymentEvent]) -> list[PaymentEvent]:
        for event in events:
            self.payment = self.payment.evolve(event)
        return events

    def answered(self, answer: Answer) -> list[PaymentEvent]:
        operation = self.payment.next_operation
        assert operation is not None
        return self.then(
            domain.record(self.payment, operation.id, answer, now=NOW, action_seconds=600)
        )

    def authorized(self, amount: int = 1000) -> Given:
        self.answered(Approved("auth_1", amount))
        return self

    def captured(self, amount: int) -> Given:
        self.then(domain.capture(self.payment, f"cap_{amount}", eur(amount)))
        self.answered(Approved("auth_1", amount))
        return self


CHALLENGE = Challenge("auth_1", "3ds", "https://provider.invalid/1", None)


def test_what_is_requested_is_what_is_to_be_asked() -> None:
    given = Given()
    operation = given.payment.next_operation
    assert operation is not None
    assert (operation.kind, operation.id) == (OperationKind.AUTHORIZE, ID)
    assert given.payment.state is PaymentState.REQUESTED


def test_a_payment_is_requested_once() -> None:
    given = Given()
    again: dict[str, Any] = {"customer_id": "usr_1", "method_token": "tok_x", "provider": "fake"}
    assert (
        domain.request(
            given.payment, order_id="ord_1", request_id="r2", amount=eur(5), attempt=1, **again
        )
        == []
    )


def test_an_approval_holds_the_amount_and_answers_the_request() -> None:
    given = Given()
    assert given.answered(Approved("auth_1", 1000)) == [
        PaymentAuthorized(*ABOUT, "r1", 1000, "EUR", "auth_1")
    ]
    assert given.payment.state is PaymentState.AUTHORIZED
    assert given.payment.next_operation is None


def test_a_refusal_declines() -> None:
    given = Given()
    assert given.answered(Refused("lost_card")) == [PaymentDeclined(*ABOUT, "r1", "lost_card")]
    assert given.payment.state is PaymentState.DECLINED


def test_an_answer_that_comes_twice_is_recorded_once() -> None:
    given = Given().authorized()
    assert domain.record(given.payment, ID, Approved("a", 1), now=NOW, action_seconds=1) == []


def test_no_answer_is_not_a_decline() -> None:
    given = Given()
    assert given.answered(NoAnswer("lost")) == [
        PaymentOutcomeUnknown(*ABOUT, "r1", "AUTHORIZE", ID, 1)
    ]
    assert given.payment.state is PaymentState.UNKNOWN
    given.answered(NoAnswer("lost"))
    operation = given.payment.next_operation
    assert operation is not None
    assert operation.asked == 2
    given.authorized()
    assert given.payment.state is PaymentState.AUTHORIZED


def test_a_challenge_waits_for_the_customer() -> None:
    given = Given()
    given.answered(CHALLENGE)
    assert given.payment.state is PaymentState.ACTION_REQUIRED
    assert given.payment.action is not None
    assert given.payment.action.deadline == NOW + timedelta(minutes=10)
    given.then(domain.answer_action(given.payment, "act_1", "approve"))
    given.authorized()
    assert given.payment.state is PaymentState.AUTHORIZED


def test_an_answer_that_nobody_asked_for_is_refused() -> None:
    with pytest.raises(NoActionPending):
        domain.answer_action(Given().authorized().payment, "act_1", "approve")


def test_a_challenge_that_is_abandoned_is_declined_and_voided() -> None:
    given = Given()
    given.answered(CHALLENGE)
    late = NOW + timedelta(minutes=10)
    assert domain.abandon_action(given.payment, NOW) == []
    given.then(domain.abandon_action(given.payment, late))
    declined, voided = given.answered(Approved("auth_1", 0))
    assert isinstance(voided, PaymentVoided)
    assert declined == PaymentDeclined(*ABOUT, "r1", domain.ABANDONED)
    assert given.payment.state is PaymentState.DECLINED


def test_an_answered_challenge_is_not_abandoned() -> None:
    given = Given()
    given.answered(CHALLENGE)
    given.then(domain.answer_action(given.payment, "act_1", "approve"))
    assert isinstance(given.payment.pending[0].answer, str)
    assert domain.abandon_action(given.payment, NOW + timedelta(hours=1)) == []


def test_a_capture_is_recorded_before_it_is_asked_for() -> None:
    given = Given().authorized()
    requested = given.then(
        domain.capture(given.payment, "cap_1", eur(400), request_id="r2", shipment_id="shp_1")
    )
    assert requested == [PaymentCaptureRequested(*ABOUT, "r2", "cap_1", "shp_1", 400, "EUR")]
    assert given.answered(Approved("auth_1", 400)) == [
        PaymentCaptured(*ABOUT, "r2", "cap_1", "shp_1", 400, "EUR")
    ]
    assert given.payment.state is PaymentState.PARTIALLY_CAPTURED


def test_a_capture_without_amount_takes_all_that_is_left() -> None:
    given = Given().authorized().captured(400)
    [requested] = domain.capture(given.payment, "cap_2", None)
    assert isinstance(requested, PaymentCaptureRequested)
    assert requested.amount_minor == 600


def test_the_same_capture_again_is_nothing_to_do() -> None:
    given = Given().authorized().captured(400)
    assert domain.capture(given.payment, "cap_400", eur(400)) == []


def test_captures_in_flight_count_against_the_ceiling() -> None:
    given = Given().authorized()
    given.then(domain.capture(given.payment, "cap_1", eur(700)))
    with pytest.raises(AmountExceedsLimit) as refused:
        domain.capture(given.payment, "cap_2", eur(301))
    assert refused.value.limit == eur(300)


@pytest.mark.parametrize("amount", [0, -1])
def test_an_amount_that_is_not_positive_is_refused(amount: int) -> None:
    given = Given().authorized().captured(400)
    with pytest.raises(AmountNotPositive):
        domain.capture(given.payment, "cap_9", eur(amount))
    with pytest.raises(AmountNotPositive):
        domain.refund(given.payment, "ref_9", eur(amount), "why")


def test_another_currency_is_refused() -> None:
    with pytest.raises(CurrencyDiffers):
        domain.capture(Given().authorized().payment, "cap_1", Money(1, "USD"))


def test_a_capture_over_the_ceiling_is_answered_where_an_answer_is_due() -> None:
    given = Given().authorized()
    events = domain.capture_or_fail(
        given.payment, "cap_1", eur(1001), request_id="r2", shipment_id="shp_1"
    )
    [failed] = given.then(events)
    assert isinstance(failed, PaymentCaptureFailed)
    assert failed.reason == "AMOUNT_EXCEEDS_LIMIT"
    assert (
        domain.capture_or_fail(
            given.payment, "cap_1", eur(1001), request_id="r2", shipment_id="shp_1"
        )
        == []
    )


def test_a_void_gives_up_what_is_left_and_stops_captures() -> None:
    given = Given().authorized().captured(400)
    given.then(domain.void(given.payment, "void_1", "cancelled"))
    with pytest.raises(AmountExceedsLimit):
        domain.capture(given.payment, "cap_2", eur(1))
    given.answered(Approved("auth_1", 600))
    assert given.payment.state is PaymentState.CAPTURED
    with pytest.raises(NothingToVoid):
        domain.void(given.payment, "void_2", "again")


def test_a_void_while_the_outcome_is_unknown_waits_for_it() -> None:
    given = Given()
    given.answered(NoAnswer("lost"))
    given.then(domain.void_or_confirm(given.payment, "void_1", "cancelled", request_id="r3"))
    operation = given.payment.next_operation
    assert operation is not None
    assert operation.kind is OperationKind.AUTHORIZE
    given.authorized()
    assert given.answered(Approved("auth_1", 1000)) == [
        PaymentVoided(*ABOUT, "r3", "void_1", 1000, "EUR")
    ]
    assert given.payment.state is PaymentState.VOIDED


def test_voiding_what_holds_nothing_is_confirmed_where_an_answer_is_due() -> None:
    given = Given()
    given.answered(Refused("card_declined"))
    assert domain.void_or_confirm(given.payment, "void_1", "x", request_id="r3") == [
        PaymentVoided(*ABOUT, "r3", "void_1", 0, "EUR")
    ]


def test_a_refund_gives_back_what_was_taken_and_no_more() -> None:
    given = Given().authorized().captured(400)
    given.then(domain.refund(given.payment, "ref_1", eur(300), "broken"))
    with pytest.raises(AmountExceedsLimit) as refused:
        domain.refund(given.payment, "ref_2", eur(101), "again")
    assert refused.value.limit == eur(100)
    assert given.answered(Approved("auth_1", 300)) == [
        PaymentRefunded(*ABOUT, "", "ref_1", 300, "EUR")
    ]
    assert given.payment.state is PaymentState.PARTIALLY_REFUNDED


def test_a_failed_refund_can_be_tried_anew() -> None:
    given = Given().authorized().captured(400)
    given.then(domain.refund(given.payment, "ref_1", eur(400), "broken"))
    given.answered(Refused("account_closed"))
    assert given.payment.refundable_minor == 400


class AnySequence(RuleBasedStateMachine):
    """Whatever is asked, whatever is lost: never more taken than held, nor given back than taken,
    and when nothing is pending our books are the provider's."""

    def __init__(self) -> None:
        super().__init__()
        self.given = Given()
        self.account = Account("auth_1", 1000)
        self.answers: dict[str, Answer] = {}
        self.count = 0

    def operation_id(self) -> str:
        self.count += 1
        return f"op_{self.count}"

    @rule(fate=st.sampled_from([None, None, None, Refused("no"), CHALLENGE]), lost=st.booleans())
    def drive(self, fate: Refused | Challenge | None, lost: bool) -> None:
        operation = self.given.payment.next_operation
        if operation is None:
            return
        if operation.id not in self.answers:
            match operation.kind:
                case OperationKind.AUTHORIZE:
                    self.account, answer = self.account.authorize(fate)
                case OperationKind.CONFIRM:
                    self.account, answer = self.account.confirm(operation.answer)
                case OperationKind.CAPTURE:
                    self.account, answer = self.account.capture(operation.amount_minor)
                case OperationKind.VOID:
                    self.account, answer = self.account.void()
                case OperationKind.REFUND:
                    self.account, answer = self.account.refund(operation.amount_minor)
            self.answers[operation.id] = answer
        self.given.answered(NoAnswer("lost") if lost else self.answers[operation.id])

    @rule(amount=st.integers(-5, 1100))
    def capture(self, amount: int) -> None:
        given = self.given
        events = domain.capture_or_fail(
            given.payment, self.operation_id(), eur(amount), request_id="r", shipment_id="s"
        )
        given.then(events)

    @rule()
    def void(self) -> None:
        given = self.given
        events = domain.void_or_confirm(given.payment, self.operation_id(), "x", request_id="v")
        given.then(events)

    @rule(amount=st.integers(-5, 1100))
    def refund(self, amount: int) -> None:
        try:
            self.given.then(
                domain.refund(self.given.payment, self.operation_id(), eur(amount), "x")
            )
        except (AmountExceedsLimit, AmountNotPositive):
            return

    @rule(answer=st.sampled_from(["approve", "no"]))
    def act(self, answer: str) -> None:
        try:
            events = domain.answer_action(self.given.payment, self.operation_id(), answer)
        except NoActionPending:
            return
        self.given.then(events)
        assert isinstance(events[0], PaymentActionAnswered)

    @rule(late=st.booleans())
    def abandon(self, late: bool) -> None:
        at = NOW + timedelta(hours=1) if late else NOW
        events = domain.abandon_action(self.given.payment, at)
        self.given.then(events)
        assert all(isinstance(event, PaymentVoidRequested) for event in events)

    @invariant()
    def the_ceilings_hold(self) -> None:
        payment = self.given.payment
        assert 0 <= payment.captured_minor <= payment.authorized_minor
        assert 0 <= payment.refunded_minor <= payment.captured_minor
        assert payment.held_minor >= 0
        assert payment.refundable_minor >= 0

    @invariant()
    def our_books_are_the_providers(self) -> None:
        payment = self.given.payment
        if payment.pending:
            return
        assert (
            payment.authorized_minor,
            payment.captured_minor,
            payment.refunded_minor,
            payment.voided_minor,
        ) == (
            self.account.authorized_minor,
            self.account.captured_minor,
            self.account.refunded_minor,
            self.account.voided_minor,
        )


TestAnySequence = pytest.mark.slow(AnySequence.TestCase)
TestAnySequence.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)

"""What the placement process decides: which fact an answer is, and what has to happen next.

`decide` turns one message into events: first the fact, then whatever follows from the new state,
until nothing follows. Any message may come twice, late, or after others that were sent later; what
does not fit the state any more is nothing to do. Steps before the allocation (the pivot) can be
compensated; after it they are only repeated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from subgraphs.orders import answers
from subgraphs.orders import placement_events as happened
from subgraphs.orders.placement import Placement
from subgraphs.orders.placement_events import PlacementEvent
from subgraphs.orders.placement_facts import fact_of
from subgraphs.orders.placement_requests import (
    RESENDS_BEFORE_ALERT,
    RESENDS_MAX,
    RESERVE_ATTEMPTS_MAX,
    Policy,
    outstanding,
    request_for,
)
from subgraphs.orders.placement_states import (
    MONEY_SETTLED,
    STOCK_SETTLED,
    Goal,
    Goods,
    Money,
    Parcel,
    Rejection,
    Step,
    Stock,
)
from subgraphs.orders.placement_waits import capture_key
from subgraphs.orders.refusals import NotCancellable, NothingToResume

ABANDONED_CODE = "authentication_abandoned"
"""What payments says when the customer did not come back from the bank in time."""
_ROUNDS_MAX = 16


@dataclass(frozen=True, slots=True)
class Decided:
    """The events, and the state after them."""

    events: tuple[PlacementEvent, ...]
    state: Placement


def start(state: Placement, terms: happened.PlacementStarted) -> Decided:
    """Begin the process: the first events of its stream."""
    assert state.terms is None, f"placement {state.stream} has started already"
    return _follow(state, [terms])


def decide(state: Placement, message: answers.Message, *, now: datetime, policy: Policy) -> Decided:
    """The events that this message leads to; none when it changes nothing.

    Raises NotCancellable and NothingToResume, for what people ask; never for an answer.
    """
    if state.terms is None:
        return Decided((), state)
    match message:
        case answers.TimerFired():
            facts = _on_timer(state, message)
        case answers.CancellationAsked():
            facts = _on_cancellation(state, message)
        case answers.ResumeAsked():
            facts = _on_resume(state, message)
        case _:
            facts = fact_of(state, message, now=now, policy=policy)
    return _follow(state, facts)


def _follow(state: Placement, facts: Sequence[PlacementEvent]) -> Decided:
    events: list[PlacementEvent] = []
    following = facts
    for _ in range(_ROUNDS_MAX):
        if not following:
            return Decided(tuple(events), state)
        for event in following:
            state = state.evolve(event)
            events.append(event)
        following = _next(state)
    raise AssertionError(f"placement {state.stream} does not come to rest: {events}")


# ---- what follows from a state


def _next(state: Placement) -> list[PlacementEvent]:
    if state.outcome is not None and state.goal is Goal.PLACE:
        return []
    return _place(state) if state.goal is Goal.PLACE else _give_back(state)


def _place(state: Placement) -> list[PlacementEvent]:
    rejection = _reason_to_reject(state)
    if rejection is not None:
        return [happened.CompensationStarted(state.order_id, rejection)]
    money_ready = state.money in (Money.AUTHORIZED, Money.NOT_NEEDED)
    match state.stock:
        case Stock.NONE | Stock.LOST:
            again = replace(state, reserve_attempt=state.reserve_attempt + 1)
            return [request_for(again, Step.RESERVE)]
        case Stock.HELD if state.money is Money.NONE:
            return [request_for(state, Step.AUTHORIZE)]
        case Stock.HELD if money_ready:
            return [request_for(state, Step.ALLOCATE)]
        case Stock.ALLOCATED if state.goods is Goods.NONE:
            return [request_for(state, Step.SHIP)]
        case Stock.ALLOCATED:
            return _after_the_pivot(state)
        case _:
            return []


def _reason_to_reject(state: Placement) -> Rejection | None:
    if state.allocated:
        return None
    if state.customer_erased and state.money is Money.NONE:
        return Rejection.CUSTOMER_ERASED
    if state.stock is Stock.REFUSED:
        again = state.reserve_attempt > 1
        return Rejection.STOCK_LOST if again else Rejection.OUT_OF_STOCK
    if state.stock is Stock.LOST and state.reserve_attempt >= RESERVE_ATTEMPTS_MAX:
        return Rejection.STOCK_LOST
    if state.money is Money.REFUSED:
        abandoned = state.decline_code == ABANDONED_CODE
        return Rejection.PAYMENT_ABANDONED if abandoned else Rejection.PAYMENT_DECLINED
    if state.money is Money.VOIDED:
        return Rejection.PAYMENT_VOIDED if state.authorized_minor else Rejection.PAYMENT_ABANDONED
    if state.money is Money.AUTHORIZED and (
        (state.authorized_minor, state.authorized_currency) != (state.total_minor, state.currency)
    ):
        return Rejection.PAYMENT_MISMATCH
    return None


def _after_the_pivot(state: Placement) -> list[PlacementEvent]:
    for shipment_id, shipment in state.shipments.items():
        if shipment.state is not Parcel.DISPATCHED or not shipment.amount_minor:
            continue
        if state.operator_reason == "CAPTURE_EXCEEDS_AUTHORIZATION":
            return []
        if state.capturing_minor + shipment.amount_minor > state.authorized_minor:
            return [_operator(state, capture_key(shipment_id), "CAPTURE_EXCEEDS_AUTHORIZATION")]
        return [request_for(state, capture_key(shipment_id))]
    if state.all_sent and state.is_paid:
        return [happened.PlacementEnded(state.order_id, "COMPLETED")]
    return []


def _give_back(state: Placement) -> list[PlacementEvent]:
    """Everything that is held goes back; the end comes when nothing can be held any more."""
    if state.goods is not Goods.NONE:
        if state.any_dispatched:
            return _too_late(state)
        if state.goods is Goods.REQUESTED:
            return [request_for(state, Step.CANCEL_SHIPMENT)]
        if Step.CANCEL_SHIPMENT in state.waits:
            return []
    if state.stock in (Stock.HELD, Stock.ALLOCATING, Stock.ALLOCATED):
        return [request_for(state, Step.RELEASE)]
    if state.money in (Money.AUTHORIZED, Money.ACTION_REQUIRED):
        return [request_for(state, Step.VOID)]
    settled = state.stock in STOCK_SETTLED and state.money in MONEY_SETTLED
    if settled and state.outcome is None:
        outcome = "REJECTED" if state.goal is Goal.REJECT else "CANCELLED"
        return [happened.PlacementEnded(state.order_id, outcome)]
    return []


def _too_late(state: Placement) -> list[PlacementEvent]:
    """Goods left although a cancellation was under way: withdraw it if nothing was given back."""
    if state.stock is Stock.ALLOCATED and state.money in (Money.AUTHORIZED, Money.NOT_NEEDED):
        return [happened.CancellationWithdrawn(state.order_id, "ALREADY_DISPATCHED")]
    if state.operator_reason == "DISPATCHED_AFTER_CANCELLATION":
        return []
    return [_operator(state, Step.CANCEL_SHIPMENT, "DISPATCHED_AFTER_CANCELLATION")]


# ---- timers and people


def _on_timer(state: Placement, fired: answers.TimerFired) -> list[PlacementEvent]:
    wait = state.waits.get(fired.step)
    if wait is None or not wait.token or wait.token != fired.token:
        return []
    match Step(fired.step.partition("/")[0]):
        case Step.DEADLINE:
            return _on_deadline(state)
        case Step.CUSTOMER:
            if state.goal is not Goal.PLACE:
                return []
            return [happened.CompensationStarted(state.order_id, Rejection.PAYMENT_ABANDONED)]
        case Step.DISPATCH:
            return [_operator(state, Step.DISPATCH, "DISPATCH_OVERDUE", gave_up=True)]
        case _:
            return _send_again(state, fired.step)


def _on_deadline(state: Placement) -> list[PlacementEvent]:
    if state.goal is Goal.PLACE and state.stock is not Stock.ALLOCATING:
        overdue = happened.CompensationStarted(state.order_id, Rejection.DEADLINE_EXCEEDED)
        return [overdue, *_alert_if_stuck(state)]
    return [_operator(state, Step.DEADLINE, "DEADLINE_EXCEEDED", gave_up=True)]


def _alert_if_stuck(state: Placement) -> list[PlacementEvent]:
    """What was asked and is not answered cannot be given back yet: somebody should know."""
    if state.stock is Stock.REQUESTED or state.money in (Money.REQUESTED, Money.UNKNOWN):
        return [_operator(state, Step.DEADLINE, "DEADLINE_EXCEEDED", gave_up=True)]
    return []


def _send_again(state: Placement, key: str) -> list[PlacementEvent]:
    resend = state.waits[key].resend + 1
    if resend > RESENDS_MAX:
        return [_operator(state, key, "NO_ANSWER", gave_up=True)]
    if state.customer_erased and key == Step.AUTHORIZE:
        return [_operator(state, key, "CUSTOMER_ERASED", gave_up=True)]
    request = request_for(state, key, resend)
    if resend == RESENDS_BEFORE_ALERT:
        return [request, _operator(state, key, "NO_ANSWER")]
    return [request]


def _on_cancellation(state: Placement, asked: answers.CancellationAsked) -> list[PlacementEvent]:
    order = state.order_id
    if state.outcome is not None:
        raise NotCancellable(order, f"it is {state.outcome.lower()}")
    if state.goal is Goal.REJECT:
        raise NotCancellable(order, "it is being rejected")
    if state.goal is Goal.CANCEL:
        return []
    if state.any_dispatched:
        raise NotCancellable(order, "goods of it have left: return them instead")
    return [
        happened.CancellationStarted(order, asked.reason, asked.requested_by, state.customer_id)
    ]


def _on_resume(state: Placement, asked: answers.ResumeAsked) -> list[PlacementEvent]:
    keys = outstanding(state)
    if not keys:
        raise NothingToResume(state.order_id)
    events: list[PlacementEvent] = [
        happened.PlacementResumed(state.order_id, asked.resumed_by, asked.reason, state.customer_id)
    ]
    for key in keys:
        wait = state.waits.get(key)
        events.append(request_for(state, key, wait.resend + 1 if wait else 1))
    return events


def _operator(
    state: Placement, step: str, reason: str, *, gave_up: bool = False
) -> happened.OperatorNeeded:
    return happened.OperatorNeeded(state.order_id, str(step), reason, gave_up)

"""Which fact an answer of another service is, given where the placement stands.

An answer that repeats what is known, or that comes too late to matter, is no fact. One that shows
money or stock held is always a fact, whatever was decided meanwhile: it has to be given back.
"""

from __future__ import annotations

from datetime import datetime

from subgraphs.orders import answers
from subgraphs.orders import placement_events as happened
from subgraphs.orders.parts import SentLine
from subgraphs.orders.placement import Placement
from subgraphs.orders.placement_events import PlacementEvent
from subgraphs.orders.placement_requests import Policy
from subgraphs.orders.placement_states import Goal, Money, Parcel, Step, Stock
from subgraphs.orders.pricing import shipment_share

_HELD_OR_ASKED = (Stock.REQUESTED, Stock.HELD, Stock.ALLOCATING, Stock.RELEASING)
_UNDECIDED = (Money.REQUESTED, Money.ACTION_REQUIRED, Money.UNKNOWN)


def fact_of(
    state: Placement, answer: answers.Answer, *, now: datetime, policy: Policy
) -> list[PlacementEvent]:
    """What the process records of this answer; nothing if it changes nothing."""
    match answer:
        case (
            answers.ReservationHeld()
            | answers.ReservationRejected()
            | answers.ReservationCommitted()
            | answers.ReservationReleased()
            | answers.ReservationExpired()
        ):
            return _stock(state, answer)
        case (
            answers.Authorized()
            | answers.Declined()
            | answers.OutcomeUnknown()
            | answers.ActionRequired()
            | answers.Voided()
            | answers.VoidFailed()
        ):
            return _money(state, answer, now=now, policy=policy)
        case answers.Captured() | answers.CaptureFailed():
            return _capture(state, answer)
        case answers.Planned() | answers.Dispatched() | answers.Cancelled():
            return _goods(state, answer, now=now, policy=policy)
        case _:
            raise AssertionError(f"{type(answer).__name__} is no answer to a placement")


def _stock(state: Placement, answer: answers.Answer) -> list[PlacementEvent]:
    order, stock, reservation = state.order_id, state.stock, state.reservation_id
    match answer:
        case answers.ReservationHeld(reservation_id=held, attempt=attempt, expires_at=expires_at):
            if stock is Stock.REQUESTED and attempt == state.reserve_attempt:
                return [happened.StockHeld(order, held, expires_at)]
        case answers.ReservationRejected(attempt=attempt, shortages=shortages):
            if stock is Stock.REQUESTED and attempt == state.reserve_attempt:
                return [happened.StockRefused(order, shortages)]
        case answers.ReservationCommitted(reservation_id=committed):
            if stock is Stock.ALLOCATING and committed == reservation:
                return [happened.StockAllocated(order, committed)]
        case answers.ReservationReleased(reservation_id=released):
            if released != reservation:
                return []
            if stock is Stock.RELEASING:
                return [happened.StockReleased(order, released)]
            if stock in (Stock.HELD, Stock.ALLOCATING):
                return [happened.StockLost(order, released)]
        case answers.ReservationExpired(reservation_id=expired, attempt=attempt):
            if stock in _HELD_OR_ASKED and attempt == state.reserve_attempt:
                return [happened.StockLost(order, expired)]
        case _:
            pass
    return []


def _money(
    state: Placement, answer: answers.Answer, *, now: datetime, policy: Policy
) -> list[PlacementEvent]:
    order, money = state.order_id, state.money
    match answer:
        case answers.Authorized(payment_id=payment, amount_minor=amount, currency=currency):
            if money in _UNDECIDED or money is Money.REFUSED:
                return [happened.PaymentAuthorized(order, payment, amount, currency)]
        case answers.Declined(payment_id=payment, decline_code=code):
            if money in _UNDECIDED or (money is Money.VOIDING and not state.authorized_minor):
                return [happened.PaymentRefused(order, payment, code)]
        case answers.OutcomeUnknown(payment_id=payment):
            if money is Money.REQUESTED:
                return [happened.PaymentUncertain(order, payment)]
        case answers.ActionRequired(payment_id=payment):
            if money in (Money.REQUESTED, Money.UNKNOWN):
                until = now + policy.customer_deadline
                return [happened.CustomerAwaited(order, payment, until)]
        case answers.Voided(payment_id=payment):
            held = money in (Money.AUTHORIZED, Money.VOIDING) or money in _UNDECIDED
            if held and state.payment_id in (None, payment):
                return _voided(state, payment)
        case answers.VoidFailed():
            if money is Money.VOIDING:
                return [_operator(state, Step.VOID, "VOID_FAILED")]
        case _:
            pass
    return []


def _voided(state: Placement, payment_id: str) -> list[PlacementEvent]:
    """Money given back without our asking is a reason to reject, or after the pivot to shout."""
    voided = happened.PaymentVoided(state.order_id, payment_id)
    if state.allocated and state.goal is Goal.PLACE:
        return [voided, _operator(state, Step.VOID, "PAYMENT_VOIDED")]
    return [voided]


def _capture(state: Placement, answer: answers.Answer) -> list[PlacementEvent]:
    order = state.order_id
    match answer:
        case answers.Captured(shipment_id=shipment_id, amount_minor=amount, payment_id=payment):
            shipment = state.shipments.get(shipment_id)
            waiting = (Parcel.CAPTURING, Parcel.CAPTURE_FAILED)
            if shipment is None or shipment.state not in waiting:
                return []
            captured = happened.PaymentCaptured(order, payment, shipment_id, amount)
            if amount != shipment.amount_minor:
                return [captured, _operator(state, Step.CAPTURE, "CAPTURE_MISMATCH")]
            return [captured]
        case answers.CaptureFailed(shipment_id=failed_id, reason=reason):
            failed = [
                key
                for key, shipment in state.shipments.items()
                if shipment.state is Parcel.CAPTURING and failed_id in (None, key)
            ]
            return [
                event
                for key in failed
                for event in (
                    happened.CaptureFailed(order, key, reason),
                    _operator(state, f"{Step.CAPTURE}/{key}", "CAPTURE_FAILED"),
                )
            ]
        case _:
            return []


def _goods(
    state: Placement, answer: answers.Answer, *, now: datetime, policy: Policy
) -> list[PlacementEvent]:
    order = state.order_id
    match answer:
        case answers.Planned(shipment_id=shipment_id):
            if state.allocated and shipment_id not in state.shipments:
                overdue_at = now + policy.dispatch_deadline
                return [happened.ShipmentPlanned(order, shipment_id, overdue_at)]
        case answers.Dispatched(shipment_id=shipment_id, lines=lines):
            shipment = state.shipments.get(shipment_id)
            gone = (Parcel.PLANNED, Parcel.CANCELLED)
            if state.allocated and (shipment is None or shipment.state in gone):
                return [_dispatched(state, answer, lines)]
        case answers.Cancelled(shipment_id=shipment_id):
            shipment = state.shipments.get(shipment_id)
            if not state.allocated or (shipment and shipment.state is not Parcel.PLANNED):
                return []
            cancelled = happened.ShipmentCancelled(order, shipment_id)
            if state.goal is Goal.PLACE:
                return [cancelled, _operator(state, Step.DISPATCH, "SHIPMENT_CANCELLED")]
            return [cancelled]
        case _:
            pass
    return []


def _dispatched(
    state: Placement, answer: answers.Dispatched, lines: tuple[SentLine, ...]
) -> happened.ShipmentDispatched:
    before = state.sent
    after = dict(before)
    for line in lines:
        after[line.line_id] = after.get(line.line_id, 0) + line.quantity
    return happened.ShipmentDispatched(
        order_id=state.order_id,
        shipment_id=answer.shipment_id,
        lines=lines,
        amount_minor=shipment_share(state.lines, state.total_minor, before, after),
        carrier=answer.carrier,
        tracking_number=answer.tracking_number,
    )


def _operator(state: Placement, step: str, reason: str) -> happened.OperatorNeeded:
    return happened.OperatorNeeded(state.order_id, str(step), reason)

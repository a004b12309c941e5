"""What may be asked of a payment: decided from its state, as events to append.

An operation that is known already is nothing to do: its id follows from business identity.
"""

from __future__ import annotations

from datetime import datetime

from subgraphs.payments.domain.identity import operation_of
from subgraphs.payments.domain.payment import Payment
from subgraphs.payments.domain.recording import ABANDONED
from subgraphs.payments.errors import (
    AmountExceedsLimit,
    AmountNotPositive,
    NoActionPending,
    NothingToVoid,
)
from subgraphs.payments.events import (
    PaymentActionAnswered,
    PaymentCaptureFailed,
    PaymentCaptureRequested,
    PaymentEvent,
    PaymentOperationRefused,
    PaymentRefundRequested,
    PaymentRequested,
    PaymentVoided,
    PaymentVoidRequested,
)
from subgraphs.shared.errors import Refusal
from subgraphs.shared.money import CurrencyDiffers, Money


def request(
    payment: Payment,
    *,
    order_id: str,
    request_id: str,
    customer_id: str,
    amount: Money,
    method_token: str,
    attempt: int,
    provider: str,
) -> list[PaymentEvent]:
    """An amount is to be held. Nothing to do for a payment that exists."""
    if payment.exists:
        return []
    return [
        PaymentRequested(
            order_id,
            payment.id,
            request_id,
            customer_id,
            amount.minor,
            amount.currency,
            method_token,
            attempt,
            provider,
        )
    ]


def capture(
    payment: Payment,
    operation_id: str,
    amount: Money | None,
    *,
    request_id: str = "",
    shipment_id: str = "",
) -> list[PaymentEvent]:
    """Take an amount, or all that may be taken if None.

    Raises AmountNotPositive, AmountExceedsLimit, CurrencyDiffers.
    """
    if operation_id in payment.known:
        return []
    limit = Money(payment.capturable_minor, payment.currency)
    wanted = _within("capture", limit if amount is None else amount, limit)
    return [
        PaymentCaptureRequested(
            *payment.about(request_id), operation_id, shipment_id, wanted, payment.currency
        )
    ]


def capture_or_fail(
    payment: Payment, operation_id: str, amount: Money, *, request_id: str, shipment_id: str
) -> list[PaymentEvent]:
    """The same for a request that must be answered: a refusal is an event."""
    try:
        return capture(
            payment, operation_id, amount, request_id=request_id, shipment_id=shipment_id
        )
    except Refusal as refusal:
        return [
            PaymentCaptureFailed(
                *payment.about(request_id),
                operation_id,
                shipment_id,
                amount.minor,
                amount.currency,
                refusal.code,
            )
        ]


def void(
    payment: Payment,
    operation_id: str,
    reason: str,
    *,
    request_id: str = "",
    note: str | None = None,
) -> list[PaymentEvent]:
    """Give up what is held, or what may come to be held. `reason` is a code.

    Raises NothingToVoid.
    """
    if operation_id in payment.known:
        return []
    if not payment.may_hold:
        raise NothingToVoid(payment.id, payment.state.value)
    return [
        PaymentVoidRequested(
            *payment.about(request_id),
            operation_id,
            reason,
            customer_id=payment.customer_id,
            note=note,
        )
    ]


def void_or_confirm(
    payment: Payment, operation_id: str, reason: str, *, request_id: str
) -> list[PaymentEvent]:
    """The same for a request that must be answered: nothing held is as good as voided."""
    if operation_id in payment.known or payment.may_hold:
        return void(payment, operation_id, reason, request_id=request_id)
    return [PaymentVoided(*payment.about(request_id), operation_id, 0, payment.currency)]


def refund(
    payment: Payment, operation_id: str, amount: Money, reason: str | None
) -> list[PaymentEvent]:
    """Give back some of what was taken.

    Raises AmountNotPositive, AmountExceedsLimit, CurrencyDiffers.
    """
    if operation_id in payment.known:
        return []
    wanted = _within("refund", amount, Money(payment.refundable_minor, payment.currency))
    return [
        PaymentRefundRequested(
            *payment.about(),
            operation_id,
            wanted,
            payment.currency,
            reason,
            payment.customer_id,
        )
    ]


def answer_action(payment: Payment, operation_id: str, answer: str) -> list[PaymentEvent]:
    """The customer did what was required. Raises NoActionPending."""
    if operation_id in payment.known:
        return []
    if payment.action is None or payment.pending:
        raise NoActionPending(payment.id, payment.state.value)
    return [
        PaymentActionAnswered(
            *payment.about(payment.request_id), operation_id, answer, payment.customer_id
        )
    ]


def abandon_action(payment: Payment, now: datetime) -> list[PaymentEvent]:
    """When the deadline's timer fires: void, so that nothing can come to be held later."""
    if payment.action is None or payment.pending or payment.action.deadline > now:
        return []
    operation_id = operation_of("void", payment.id, ABANDONED)
    return [
        PaymentVoidRequested(
            *payment.about(payment.request_id),
            operation_id,
            ABANDONED,
            abandoned=True,
            customer_id=payment.customer_id,
        )
    ]


def refuse(
    payment: Payment, operation: str, amount: Money | None, refusal: Refusal, reason: str | None
) -> list[PaymentEvent]:
    """Keep that somebody tried what the rules forbid."""
    minor = None if amount is None else amount.minor
    return [
        PaymentOperationRefused(
            *payment.about(),
            operation,
            minor,
            refusal.code,
            refusal.message,
            reason,
            payment.customer_id,
        )
    ]


def _within(operation: str, amount: Money, limit: Money) -> int:
    if amount.currency != limit.currency:
        raise CurrencyDiffers(amount.currency, limit.currency, path=["amount", "currency"])
    if amount.minor > limit.minor or limit.minor <= 0:
        raise AmountExceedsLimit(operation, amount, limit, path=["amount"])
    if amount.minor <= 0:
        raise AmountNotPositive(amount, path=["amount"])
    return amount.minor

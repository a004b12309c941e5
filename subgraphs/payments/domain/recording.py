"""What an answer of the provider means for the payment it is about."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import assert_never

from subgraphs.payments.answers import Answer, Approved, Challenge, NoAnswer, Refused, Result
from subgraphs.payments.domain.payment import Operation, OperationKind, Payment
from subgraphs.payments.events import (
    PaymentActionRequired,
    PaymentAuthorized,
    PaymentCaptured,
    PaymentCaptureFailed,
    PaymentDeclined,
    PaymentEvent,
    PaymentOutcomeUnknown,
    PaymentRefunded,
    PaymentRefundFailed,
    PaymentVoided,
    PaymentVoidFailed,
)

ABANDONED = "authentication_abandoned"
"""The decline code of a payment whose customer did not act in time."""

UNEXPECTED = "unexpected_challenge"
"""The code of an operation that a provider answers with a challenge where none can be."""


def record(
    payment: Payment, operation_id: str, answer: Answer, *, now: datetime, action_seconds: float
) -> list[PaymentEvent]:
    """The events of an answer. Nothing to do if the operation is not pending (any more).

    `action_seconds` is how long a customer may take to act.
    """
    operation = payment.operation(operation_id)
    if operation is None:
        return []
    about = payment.about(operation.request_id)
    if isinstance(answer, NoAnswer):
        kind = operation.kind.value
        return [PaymentOutcomeUnknown(*about, kind, operation.id, operation.asked + 1)]
    match operation.kind:
        case OperationKind.AUTHORIZE | OperationKind.CONFIRM:
            deadline = now + timedelta(seconds=action_seconds)
            return _authorization(payment, about, answer, deadline)
        case OperationKind.CAPTURE:
            return _capture(payment, about, operation, answer)
        case OperationKind.VOID:
            return _void(payment, about, operation, answer)
        case OperationKind.REFUND:
            return _refund(payment, about, operation, answer)
        case _:
            assert_never(operation.kind)


_About = tuple[str, str, str]


def _authorization(
    payment: Payment, about: _About, answer: Result, deadline: datetime
) -> list[PaymentEvent]:
    match answer:
        case Approved(reference=reference, amount_minor=amount):
            return [PaymentAuthorized(*about, amount, payment.currency, reference)]
        case Refused(code=code):
            return [PaymentDeclined(*about, code)]
        case Challenge():
            return [
                PaymentActionRequired(
                    *about,
                    answer.kind,
                    answer.redirect_url,
                    answer.client_token,
                    answer.reference,
                    deadline,
                    payment.customer_id,
                )
            ]
        case _:
            assert_never(answer)


def _capture(
    payment: Payment, about: _About, operation: Operation, answer: Result
) -> list[PaymentEvent]:
    shipment_id, amount = operation.shipment_id, operation.amount_minor
    if isinstance(answer, Approved):
        return [PaymentCaptured(*about, operation.id, shipment_id, amount, payment.currency)]
    return [
        PaymentCaptureFailed(
            *about, operation.id, shipment_id, amount, payment.currency, _code(answer)
        )
    ]


def _void(
    payment: Payment, about: _About, operation: Operation, answer: Result
) -> list[PaymentEvent]:
    if not isinstance(answer, Approved):
        return [PaymentVoidFailed(*about, operation.id, _code(answer))]
    voided = PaymentVoided(*about, operation.id, answer.amount_minor, payment.currency)
    return [PaymentDeclined(*about, ABANDONED), voided] if operation.abandoned else [voided]


def _refund(
    payment: Payment, about: _About, operation: Operation, answer: Result
) -> list[PaymentEvent]:
    what = (operation.id, operation.amount_minor, payment.currency)
    if isinstance(answer, Approved):
        return [PaymentRefunded(*about, *what)]
    return [PaymentRefundFailed(*about, *what, _code(answer))]


def _code(answer: Refused | Challenge) -> str:
    return answer.code if isinstance(answer, Refused) else UNEXPECTED

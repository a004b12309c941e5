"""What happens to a payment, as stored and published. Amounts are minor units of `currency`.

What is to be asked of the provider is recorded before it is asked (`…_requested`), and what the
provider answered after it: a process that dies in between finds the question in the log and asks
again under the same key.
"""

from __future__ import annotations

from datetime import datetime

from eventstore.event import Event, Personal, event_type


class OfPayment(Event, frozen=True):
    """Which payment of which order, and the request that is answered ("" for none)."""

    order_id: str
    payment_id: str
    request_id: str


@event_type("payment.requested", subject="customer_id")
class PaymentRequested(OfPayment, frozen=True):
    """An authorisation is to be asked for. `attempt` counts the payments of an order, from 1."""

    customer_id: str
    amount_minor: int
    currency: str
    payment_method_token: Personal[str]
    attempt: int
    provider: str


@event_type("payment.authorized")
class PaymentAuthorized(OfPayment, frozen=True):
    """The provider holds the amount for us."""

    amount_minor: int
    currency: str
    provider_reference: str


@event_type("payment.declined")
class PaymentDeclined(OfPayment, frozen=True):
    """No money is held and none will be."""

    decline_code: str


@event_type("payment.action_required", subject="customer_id")
class PaymentActionRequired(OfPayment, frozen=True):
    """The customer has to prove who they are, until `deadline`."""

    kind: str
    redirect_url: Personal[str | None]
    client_token: Personal[str | None]
    provider_reference: str
    deadline: datetime
    customer_id: str = ""


@event_type("payment.action_answered", subject="customer_id")
class PaymentActionAnswered(OfPayment, frozen=True):
    """The customer did what was required: the provider is to be told."""

    operation_id: str
    answer: Personal[str]
    customer_id: str = ""


@event_type("payment.outcome_unknown")
class PaymentOutcomeUnknown(OfPayment, frozen=True):
    """The provider did not answer, so the work may have been done: it will be asked.

    `asked` counts how often the outcome of this operation was not to be had, from 1.
    """

    operation: str
    operation_id: str
    asked: int


@event_type("payment.capture_requested")
class PaymentCaptureRequested(OfPayment, frozen=True):
    """Some of what is held is to be taken: for a shipment, or for none ("") by hand."""

    operation_id: str
    shipment_id: str
    amount_minor: int
    currency: str


@event_type("payment.captured")
class PaymentCaptured(OfPayment, frozen=True):
    """The provider took the amount."""

    operation_id: str
    shipment_id: str
    amount_minor: int
    currency: str


@event_type("payment.capture_failed")
class PaymentCaptureFailed(OfPayment, frozen=True):
    """Nothing was taken."""

    operation_id: str
    shipment_id: str
    amount_minor: int
    currency: str
    reason: str


BY_HAND = "BY_HAND"


@event_type("payment.void_requested", subject="customer_id")
class PaymentVoidRequested(OfPayment, frozen=True):
    """What is held and not taken is to be given up. `reason` is a code, BY_HAND where staff wrote a
    `note`.
    """

    operation_id: str
    reason: str
    abandoned: bool = False
    customer_id: str = ""
    note: Personal[str | None] = None


@event_type("payment.voided")
class PaymentVoided(OfPayment, frozen=True):
    """Nothing more is held. `amount_minor` is what was given up, 0 if nothing was held."""

    operation_id: str
    amount_minor: int
    currency: str


@event_type("payment.void_failed")
class PaymentVoidFailed(OfPayment, frozen=True):
    """The provider would not give up the hold: somebody has to look."""

    operation_id: str
    reason: str


@event_type("payment.refund_requested", subject="customer_id")
class PaymentRefundRequested(OfPayment, frozen=True):
    """Some of what was taken is to be given back. Somebody who was erased has it back, too; then
    `reason` is left out.
    """

    operation_id: str
    amount_minor: int
    currency: str
    reason: Personal[str | None]
    customer_id: str = ""


@event_type("payment.refunded")
class PaymentRefunded(OfPayment, frozen=True):
    """The provider gave the amount back."""

    operation_id: str
    amount_minor: int
    currency: str


@event_type("payment.refund_failed")
class PaymentRefundFailed(OfPayment, frozen=True):
    """Nothing was given back."""

    operation_id: str
    amount_minor: int
    currency: str
    reason: str


@event_type("payment.operation_refused", public=False, subject="customer_id")
class PaymentOperationRefused(OfPayment, frozen=True):
    """Somebody tried what the rules forbid, and said why: kept for who asks later."""

    operation: str
    amount_minor: int | None
    code: str
    message: str
    reason: Personal[str | None] = None
    customer_id: str = ""


PaymentEvent = (
    PaymentRequested
    | PaymentAuthorized
    | PaymentDeclined
    | PaymentActionRequired
    | PaymentActionAnswered
    | PaymentOutcomeUnknown
    | PaymentCaptureRequested
    | PaymentCaptured
    | PaymentCaptureFailed
    | PaymentVoidRequested
    | PaymentVoided
    | PaymentVoidFailed
    | PaymentRefundRequested
    | PaymentRefunded
    | PaymentRefundFailed
    | PaymentOperationRefused
)

EVENTS: tuple[type[PaymentEvent], ...] = (
    PaymentRequested,
    PaymentAuthorized,
    PaymentDeclined,
    PaymentActionRequired,
    PaymentActionAnswered,
    PaymentOutcomeUnknown,
    PaymentCaptureRequested,
    PaymentCaptured,
    PaymentCaptureFailed,
    PaymentVoidRequested,
    PaymentVoided,
    PaymentVoidFailed,
    PaymentRefundRequested,
    PaymentRefunded,
    PaymentRefundFailed,
    PaymentOperationRefused,
)
"""Every event type of this service, for its registry."""

"""Read models of payments: one row per payment, and the ledger of what happened to its money."""

from __future__ import annotations

from typing import Any

from eventstore import SubjectErased
from eventstore.event import ERASED, Recorded
from projections import Cursor, Projection
from subgraphs.payments.domain import OperationKind
from subgraphs.payments.events import (
    PaymentActionAnswered,
    PaymentActionRequired,
    PaymentAuthorized,
    PaymentCaptured,
    PaymentCaptureFailed,
    PaymentCaptureRequested,
    PaymentDeclined,
    PaymentOperationRefused,
    PaymentOutcomeUnknown,
    PaymentRefunded,
    PaymentRefundFailed,
    PaymentRefundRequested,
    PaymentRequested,
    PaymentVoided,
    PaymentVoidFailed,
    PaymentVoidRequested,
)

_HOLDING = (OperationKind.AUTHORIZE.value, OperationKind.CONFIRM.value)


class Payments(Projection):
    """One row per payment. `state` follows from the other columns, as in domain.Payment."""

    name, version = "payments", 2
    handles = (
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
        SubjectErased,
    )
    tables = """
        CREATE TABLE payments (
            id text PRIMARY KEY,
            version bigint NOT NULL,
            order_id text NOT NULL,
            customer_id text NOT NULL,
            provider text NOT NULL,
            reference text,
            currency text NOT NULL,
            requested bigint NOT NULL,
            authorized bigint NOT NULL DEFAULT 0,
            captured bigint NOT NULL DEFAULT 0,
            refunded bigint NOT NULL DEFAULT 0,
            voided bigint NOT NULL DEFAULT 0,
            is_voided boolean NOT NULL DEFAULT FALSE,
            is_unknown boolean NOT NULL DEFAULT FALSE,
            decline_code text,
            action_kind text,
            action_url text,
            action_token text,
            action_deadline timestamptz,
            requested_at timestamptz NOT NULL,
            state text NOT NULL GENERATED ALWAYS AS (
                CASE
                    WHEN refunded > 0 AND refunded = captured THEN 'REFUNDED'
                    WHEN refunded > 0 THEN 'PARTIALLY_REFUNDED'
                    WHEN captured > 0 AND captured = authorized - voided THEN 'CAPTURED'
                    WHEN captured > 0 THEN 'PARTIALLY_CAPTURED'
                    WHEN decline_code IS NOT NULL THEN 'DECLINED'
                    WHEN is_voided THEN 'VOIDED'
                    WHEN is_unknown THEN 'UNKNOWN'
                    WHEN authorized > 0 THEN 'AUTHORIZED'
                    WHEN action_kind IS NOT NULL THEN 'ACTION_REQUIRED'
                    ELSE 'REQUESTED'
                END
            ) STORED
        );
        CREATE INDEX payments_of_order ON payments (order_id, id);
        CREATE INDEX payments_by_newest ON payments (requested_at DESC, id DESC);
        CREATE INDEX payments_by_state ON payments (state, requested_at DESC, id DESC);
    """

    def apply(self, recorded: Recorded[Any], cursor: Cursor) -> None:
        """Write the row of one event."""
        event = recorded.event
        if isinstance(event, SubjectErased):
            cursor.execute(
                "UPDATE payments SET action_url = NULL, action_token = NULL WHERE customer_id = %s",
                (event.subject,),
            )
            return
        if isinstance(event, PaymentRequested):
            cursor.execute(
                "INSERT INTO payments (id, version, order_id, customer_id, provider, currency,"
                " requested, requested_at) VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
                (
                    recorded.stream,
                    recorded.version,
                    event.order_id,
                    event.customer_id,
                    event.provider,
                    event.currency,
                    event.amount_minor,
                    recorded.metadata.occurred_at,
                ),
            )
            return
        change, params = _change(event)
        cursor.execute(
            f"UPDATE payments SET version = %s{change} WHERE id = %s".encode(),
            (recorded.version, *params, recorded.stream),
        )


_NO_ACTION = (
    ", is_unknown = FALSE, action_kind = NULL, action_url = NULL, action_token = NULL,"
    " action_deadline = NULL"
)


def _change(event: Any) -> tuple[str, tuple[Any, ...]]:
    """What an event sets, as SQL after `version`, with its parameters."""
    match event:
        case PaymentAuthorized(amount_minor=amount, provider_reference=reference):
            return f", authorized = %s, reference = %s{_NO_ACTION}", (amount, reference)
        case PaymentDeclined(decline_code=code):
            return f", decline_code = %s{_NO_ACTION}", (code,)
        case PaymentActionRequired():
            return (
                ", is_unknown = FALSE, reference = %s, action_kind = %s, action_url = %s,"
                " action_token = %s, action_deadline = %s",
                (
                    event.provider_reference,
                    event.kind,
                    event.redirect_url,
                    event.client_token,
                    event.deadline,
                ),
            )
        case PaymentOutcomeUnknown(operation=operation) if operation in _HOLDING:
            return ", is_unknown = TRUE", ()
        case PaymentCaptured(amount_minor=amount):
            return ", captured = captured + %s", (amount,)
        case PaymentVoided(amount_minor=amount):
            return (
                ", voided = voided + %s, is_voided = TRUE, action_kind = NULL, action_url = NULL,"
                " action_token = NULL, action_deadline = NULL",
                (amount,),
            )
        case PaymentRefunded(amount_minor=amount):
            return ", refunded = refunded + %s", (amount,)
        case _:
            return "", ()


class PaymentLedger(Projection):
    """One row per thing that happened to the money of a payment, or that somebody tried.

    `reason` is what staff wrote, and `customer_id` of whom: only where somebody can have.
    """

    name, version = "payment_ledger", 2
    handles = (
        PaymentRequested,
        PaymentAuthorized,
        PaymentDeclined,
        PaymentOutcomeUnknown,
        PaymentCaptured,
        PaymentCaptureFailed,
        PaymentVoided,
        PaymentVoidFailed,
        PaymentRefundRequested,
        PaymentRefunded,
        PaymentRefundFailed,
        PaymentOperationRefused,
        SubjectErased,
    )
    tables = """
        CREATE TABLE payment_ledger (
            position bigint PRIMARY KEY,
            payment_id text NOT NULL,
            kind text NOT NULL,
            amount bigint,
            detail text,
            reason text,
            customer_id text,
            actor_kind text NOT NULL,
            actor_id text NOT NULL,
            event_id text NOT NULL,
            at timestamptz NOT NULL
        );
        CREATE INDEX payment_ledger_of_payment ON payment_ledger (payment_id, position);
    """

    def apply(self, recorded: Recorded[Any], cursor: Cursor) -> None:
        """Write the row of one event."""
        event, metadata = recorded.event, recorded.metadata
        if isinstance(event, SubjectErased):
            cursor.execute(
                "UPDATE payment_ledger SET reason = %s WHERE customer_id = %s",
                (ERASED, event.subject),
            )
            return
        reason = customer_id = None
        if isinstance(event, PaymentRefundRequested | PaymentOperationRefused):
            reason, customer_id = event.reason, event.customer_id
        cursor.execute(
            "INSERT INTO payment_ledger VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            (
                recorded.position,
                recorded.stream,
                recorded.type.removeprefix("payment."),
                getattr(event, "amount_minor", None),
                _detail(event),
                reason,
                customer_id,
                metadata.actor.kind,
                metadata.actor.id,
                str(recorded.id),
                metadata.occurred_at,
            ),
        )


def _detail(event: Any) -> str | None:
    """The code of what happened, or what was tried."""
    match event:
        case PaymentDeclined(decline_code=code) | PaymentOperationRefused(code=code):
            return code
        case PaymentCaptureFailed(reason=code) | PaymentVoidFailed(reason=code):
            return code
        case PaymentRefundFailed(reason=code) | PaymentOutcomeUnknown(operation=code):
            return code
        case _:
            return None


PROJECTIONS: tuple[Projection, ...] = (Payments(), PaymentLedger())

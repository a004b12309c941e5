"""Read models of payments: one row per payment, and the ledger of what happened to its money."""

from __future__ import annotations

from typing import Any

from eventstore.event import Recorded
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

    name, version = "payments", 1
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
    """One row per thing that happened to the money of a payment, or that somebody tried."""

    name, version = "payment_ledger", 1
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
    )
    tables = """
        CREATE TABLE payment_ledger (
            position bigint PRIMARY KEY,
            payment_id text NOT NULL,
            kind text NOT NULL,
            amount bigint,
            detail text,
            reason text,
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
        detail = next(
            (
                getattr(event, name)
                for name in ("decline_code", "code", "operation")
                if hasattr(event, name)
            ),
            None,
        )
        reason = getattr(event, "reason", None)
        if isinstance(event, PaymentCaptureFailed | PaymentVoidFailed | PaymentRefundFailed):
            detail, reason = reason, None  # a code, where the others have what somebody wrote
        cursor.execute(
            "INSERT INTO payment_ledger VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            (
                recorded.position,
                recorded.stream,
                recorded.type.removeprefix("payment."),
                getattr(event, "amount_minor", None),
                detail,
                reason,
                metadata.actor.kind,
                metadata.actor.id,
                str(recorded.id),
                metadata.occurred_at,
            ),
        )


PROJECTIONS: tuple[Projection, ...] = (Payments(), PaymentLedger())

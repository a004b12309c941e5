"""A payment as its events made it: amounts, and what is still to be asked of the provider."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum
from typing import assert_never

from subgraphs.payments.events import (
    OfPayment,
    PaymentActionAnswered,
    PaymentActionRequired,
    PaymentAuthorized,
    PaymentCaptured,
    PaymentCaptureFailed,
    PaymentCaptureRequested,
    PaymentDeclined,
    PaymentEvent,
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


class PaymentState(Enum):
    """Where the money is. It follows from the amounts; nothing else sets it."""

    REQUESTED = "REQUESTED"
    ACTION_REQUIRED = "ACTION_REQUIRED"
    AUTHORIZED = "AUTHORIZED"
    PARTIALLY_CAPTURED = "PARTIALLY_CAPTURED"
    CAPTURED = "CAPTURED"
    PARTIALLY_REFUNDED = "PARTIALLY_REFUNDED"
    REFUNDED = "REFUNDED"
    VOIDED = "VOIDED"
    DECLINED = "DECLINED"
    UNKNOWN = "UNKNOWN"


class OperationKind(Enum):
    """What a provider can be asked."""

    AUTHORIZE = "AUTHORIZE"
    CONFIRM = "CONFIRM"
    CAPTURE = "CAPTURE"
    VOID = "VOID"
    REFUND = "REFUND"


@dataclass(frozen=True, slots=True)
class Operation:
    """Something to be asked of the provider. `asked` counts unknown outcomes so far."""

    id: str
    kind: OperationKind
    request_id: str
    amount_minor: int = 0
    shipment_id: str = ""
    answer: str = ""
    abandoned: bool = False
    asked: int = 0


@dataclass(frozen=True, slots=True)
class Action:
    """What the customer has to do."""

    kind: str
    redirect_url: str | None
    client_token: str | None
    deadline: datetime


@dataclass(frozen=True, slots=True)
class Payment:
    """State folded from one payment stream. `pending` are asked of the provider in this order."""

    id: str
    order_id: str = ""
    customer_id: str = ""
    request_id: str = ""
    currency: str = ""
    requested_minor: int = 0
    method_token: str = ""
    provider: str = ""
    reference: str | None = None
    authorized_minor: int = 0
    captured_minor: int = 0
    refunded_minor: int = 0
    voided_minor: int = 0
    voided: bool = False
    decline_code: str | None = None
    action: Action | None = None
    pending: tuple[Operation, ...] = ()
    known: frozenset[str] = frozenset()

    @classmethod
    def initial(cls, stream: str) -> Payment:
        return cls(stream)

    @property
    def exists(self) -> bool:
        return self.order_id != ""

    @property
    def state(self) -> PaymentState:
        """Where the money is."""
        if self.refunded_minor > 0:
            whole = self.refunded_minor == self.captured_minor
            return PaymentState.REFUNDED if whole else PaymentState.PARTIALLY_REFUNDED
        if self.captured_minor > 0:
            whole = self.captured_minor == self.authorized_minor - self.voided_minor
            return PaymentState.CAPTURED if whole else PaymentState.PARTIALLY_CAPTURED
        if self.decline_code is not None:
            return PaymentState.DECLINED
        if self.voided:
            return PaymentState.VOIDED
        if any(operation.asked and operation.kind in _HOLDING for operation in self.pending):
            return PaymentState.UNKNOWN
        if self.authorized_minor > 0:
            return PaymentState.AUTHORIZED
        return PaymentState.ACTION_REQUIRED if self.action else PaymentState.REQUESTED

    @property
    def held_minor(self) -> int:
        """What the provider holds for us and did not take."""
        return self.authorized_minor - self.captured_minor - self.voided_minor

    @property
    def capturable_minor(self) -> int:
        """What may still be asked to be captured: 0 as soon as a void is asked for."""
        if any(operation.kind is OperationKind.VOID for operation in self.pending):
            return 0
        return self.held_minor - self._in_flight(OperationKind.CAPTURE)

    @property
    def refundable_minor(self) -> int:
        """What may still be asked to be given back."""
        return self.captured_minor - self.refunded_minor - self._in_flight(OperationKind.REFUND)

    @property
    def next_operation(self) -> Operation | None:
        """What to ask of the provider now: one at a time, in the order it was asked of us."""
        return self.pending[0] if self.pending else None

    def operation(self, operation_id: str) -> Operation | None:
        """A pending operation by its id."""
        return next((op for op in self.pending if op.id == operation_id), None)

    @property
    def may_hold(self) -> bool:
        """Whether the provider holds something, or may come to."""
        coming = self.action is not None or any(op.kind in _HOLDING for op in self.pending)
        return self.held_minor > 0 or coming

    def evolve(self, event: PaymentEvent) -> Payment:
        """Fold. Never refuses: the event already happened."""
        match event:
            case PaymentRequested():
                return replace(
                    self,
                    order_id=event.order_id,
                    customer_id=event.customer_id,
                    request_id=event.request_id,
                    currency=event.currency,
                    requested_minor=event.amount_minor,
                    method_token=event.payment_method_token,
                    provider=event.provider,
                )._asking(self.id, OperationKind.AUTHORIZE, event, amount=event.amount_minor)
            case PaymentAuthorized(amount_minor=amount, provider_reference=reference):
                done = self._done(kinds=_HOLDING)
                return replace(done, authorized_minor=amount, reference=reference, action=None)
            case PaymentDeclined(decline_code=code):
                return replace(self._done(kinds=_HOLDING), decline_code=code, action=None)
            case PaymentActionRequired():
                action = Action(event.kind, event.redirect_url, event.client_token, event.deadline)
                done = self._done(kinds=_HOLDING)
                return replace(done, action=action, reference=event.provider_reference)
            case PaymentActionAnswered(operation_id=operation_id, answer=answer):
                return self._asking(operation_id, OperationKind.CONFIRM, event, answer=answer)
            case PaymentOutcomeUnknown(operation_id=operation_id, asked=asked):
                pending = tuple(
                    replace(op, asked=asked) if op.id == operation_id else op for op in self.pending
                )
                return replace(self, pending=pending)
            case PaymentCaptureRequested(operation_id=operation_id, amount_minor=amount):
                return self._asking(
                    operation_id,
                    OperationKind.CAPTURE,
                    event,
                    amount=amount,
                    shipment_id=event.shipment_id,
                )
            case PaymentCaptured(operation_id=operation_id, amount_minor=amount):
                done = self._done(operation_id)
                return replace(done, captured_minor=self.captured_minor + amount)
            case PaymentVoidRequested(operation_id=operation_id, abandoned=abandoned):
                return self._asking(operation_id, OperationKind.VOID, event, abandoned=abandoned)
            case PaymentVoided(operation_id=operation_id, amount_minor=amount):
                return replace(
                    self._done(operation_id),
                    voided_minor=self.voided_minor + amount,
                    voided=True,
                    action=None,
                )
            case PaymentRefundRequested(operation_id=operation_id, amount_minor=amount):
                return self._asking(operation_id, OperationKind.REFUND, event, amount=amount)
            case PaymentRefunded(operation_id=operation_id, amount_minor=amount):
                done = self._done(operation_id)
                return replace(done, refunded_minor=self.refunded_minor + amount)
            case PaymentCaptureFailed() | PaymentVoidFailed() | PaymentRefundFailed():
                return self._done(event.operation_id)
            case PaymentOperationRefused():
                return self
            case _:
                assert_never(event)

    def about(self, request_id: str = "") -> tuple[str, str, str]:
        """The first fields of every event of this payment."""
        return self.order_id, self.id, request_id

    def _in_flight(self, kind: OperationKind) -> int:
        return sum(op.amount_minor for op in self.pending if op.kind is kind)

    def _asking(
        self,
        operation_id: str,
        kind: OperationKind,
        event: OfPayment,
        *,
        amount: int = 0,
        shipment_id: str = "",
        answer: str = "",
        abandoned: bool = False,
    ) -> Payment:
        operation = Operation(
            operation_id, kind, event.request_id, amount, shipment_id, answer, abandoned
        )
        return replace(self, pending=(*self.pending, operation), known=self.known | {operation_id})

    def _done(
        self, operation_id: str | None = None, *, kinds: Sequence[OperationKind] = ()
    ) -> Payment:
        pending = tuple(op for op in self.pending if op.id != operation_id and op.kind not in kinds)
        known = self.known if operation_id is None else self.known | {operation_id}
        return replace(self, pending=pending, known=known)


_HOLDING = (OperationKind.AUTHORIZE, OperationKind.CONFIRM)

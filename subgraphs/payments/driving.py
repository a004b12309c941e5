"""Asking the provider: what is pending is asked, and what was answered is recorded.

The question is in the log before it is asked, under a key of business identity; the answer is
recorded after it came. No transaction is open meanwhile. Whoever drives a payment, and however
often, the provider does the work once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import assert_never

import structlog

from eventstore import (
    Append,
    Effect,
    EventStore,
    Metadata,
    Streams,
    WrongExpectedVersion,
)
from eventstore.event import Event
from projections import Timers
from subgraphs.payments.answers import Answer, NoAnswer, Result
from subgraphs.payments.domain import Operation, OperationKind, Payment, record
from subgraphs.payments.errors import OutcomeUnknown
from subgraphs.payments.events import (
    PaymentActionRequired,
    PaymentOutcomeUnknown,
)
from subgraphs.payments.provider import Authorization, PaymentProvider

ASK = "ask"
"""The step of the timer that asks again for an unknown outcome."""
ABANDON = "abandon"
"""The step of the timer that ends the wait for the customer."""

OPERATIONS_MAX = 100
"""The most operations one drive asks for: more wait for the next message or timer."""

CONFLICTS_MAX = 20
"""Times an answer is recorded anew because the payment changed meanwhile."""

log = structlog.get_logger("subgraphs.payments")


@dataclass(frozen=True, slots=True)
class DrivePolicy:
    """`action_seconds` is how long a customer may take; it ends before their reservation does.

    An unknown outcome is asked for after `ask_seconds`, then after twice as long each time, up to
    `ask_seconds_max`, for ever.
    """

    action_seconds: float = 600.0
    ask_seconds: float = 1.0
    ask_seconds_max: float = 300.0

    def pause(self, asked: int) -> timedelta:
        """How long to wait before asking again, after so many answers that did not come."""
        seconds = self.ask_seconds * 2.0 ** min(asked - 1, 30)
        return timedelta(seconds=min(self.ask_seconds_max, seconds))


class Driver:
    """Drives payments: one operation after the other until nothing is pending, or unknown."""

    def __init__(
        self,
        store: EventStore,
        streams: Streams,
        provider: PaymentProvider,
        timers: Timers,
        *,
        clock: Callable[[], datetime],
        policy: DrivePolicy,
    ) -> None:
        self._store, self._streams = store, streams
        self._provider, self._timers = provider, timers
        self._clock, self._policy = clock, policy

    async def drive(self, payment_id: str, metadata: Metadata) -> None:
        """Ask what is pending. A payment whose outcome is unknown is looked at by its timer."""
        payment, version = await self._streams.load(Payment, payment_id)
        for _ in range(OPERATIONS_MAX):
            operation = payment.next_operation
            if operation is None:
                return
            answer = await self._ask(payment, operation)
            payment, version = await self._record(payment, version, operation.id, answer, metadata)
            if isinstance(answer, NoAnswer):
                return

    async def _record(
        self,
        payment: Payment,
        version: int,
        operation_id: str,
        answer: Answer,
        metadata: Metadata,
    ) -> tuple[Payment, int]:
        """Append what an answer means, to the state it leads to; what others appended is kept.

        Raises WrongExpectedVersion when the payment changed at each of CONFLICTS_MAX tries: the
        answer is not lost, for whoever drives next asks for it again.
        """
        for attempt in range(1, CONFLICTS_MAX + 1):
            events = record(
                payment,
                operation_id,
                answer,
                now=self._clock(),
                action_seconds=self._policy.action_seconds,
            )
            if not events:
                break
            try:
                await self._store.append(
                    Append(payment.id, events, version),
                    metadata=metadata,
                    effects=self._timed(payment.id, events, metadata),
                )
            except WrongExpectedVersion:
                if attempt == CONFLICTS_MAX:
                    raise
                payment, version = await self._streams.load(Payment, payment.id)
                continue
            for event in events:
                payment = payment.evolve(event)
            return payment, version + len(events)
        return payment, version

    async def _ask(self, payment: Payment, operation: Operation) -> Answer:
        """Ask for an operation; one whose outcome is unknown is looked up by its key first."""
        try:
            if operation.asked > 0:
                known = await self._provider.look_up(operation.id)
                if known is not None:
                    return known
            return await self._call(payment, operation)
        except OutcomeUnknown as error:
            log.warning("payments.no_answer", operation=operation.id, reason=error.reason)
            return NoAnswer(error.reason)

    async def _call(self, payment: Payment, operation: Operation) -> Result:
        match operation.kind:
            case OperationKind.AUTHORIZE:
                return await self._provider.authorize(
                    Authorization(
                        operation.id,
                        payment.order_id,
                        payment.requested_minor,
                        payment.currency,
                        payment.method_token,
                    )
                )
            case OperationKind.CONFIRM:
                return await self._provider.confirm(operation.id, payment.id, operation.answer)
            case OperationKind.CAPTURE:
                return await self._provider.capture(
                    operation.id, payment.id, operation.amount_minor
                )
            case OperationKind.VOID:
                return await self._provider.void(operation.id, payment.id)
            case OperationKind.REFUND:
                return await self._provider.refund(operation.id, payment.id, operation.amount_minor)
            case _:
                assert_never(operation.kind)

    def _timed(self, payment_id: str, events: Sequence[Event], metadata: Metadata) -> list[Effect]:
        """The timers that follow from what is appended."""
        correlation = metadata.correlation_id.encode()
        effects: list[Effect] = []
        for event in events:
            match event:
                case PaymentOutcomeUnknown(operation_id=operation_id, asked=asked):
                    due_at = self._clock() + self._policy.pause(asked)
                    token = f"{operation_id} {asked}"
                    effects.append(
                        self._timers.set_effect(payment_id, ASK, due_at, token, correlation)
                    )
                case PaymentActionRequired(deadline=deadline):
                    effects.append(
                        self._timers.set_effect(
                            payment_id, ABANDON, deadline, "action", correlation
                        )
                    )
                case _:
                    pass
        return effects

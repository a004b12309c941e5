"""What this service does about what orders asks, what it asked itself, and what time brings.

Requests of orders become questions in the log; only what reads the own log talks to the provider.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

import msgspec

from eventstore import Actor, Effect, Metadata, Streams
from eventstore.event import Event
from projections import Message, Reactor, Timer
from subgraphs.payments import domain
from subgraphs.payments.copies import PaymentsOfOrders, keep_payment
from subgraphs.payments.domain import Payment, payment_of
from subgraphs.payments.domain.identity import capture_of, operation_of
from subgraphs.payments.driving import ABANDON, Driver
from subgraphs.shared.money import Money

SERVICE = Actor("service", "payments")

Clock = Callable[[], datetime]


class AuthorizationRequested(msgspec.Struct, frozen=True):
    """Orders wants an amount held."""

    order_id: str
    request_id: str
    customer_id: str
    amount_minor: int
    currency: str
    payment_method_token: str
    attempt: int = 1


class CaptureRequested(msgspec.Struct, frozen=True):
    """Orders wants the amount of a shipment taken."""

    order_id: str
    request_id: str
    payment_id: str
    shipment_id: str
    amount_minor: int
    currency: str


class VoidRequested(msgspec.Struct, frozen=True):
    """Orders wants nothing held any more; of all payments of the order, if it names none."""

    order_id: str
    request_id: str
    reason: str
    payment_id: str | None = None


class Asked(msgspec.Struct, frozen=True):
    """What of an own event matters for driving a payment."""

    payment_id: str


class PaymentRequests(Reactor):
    """Writes down what is to be asked of the provider for the placement of an order.

    A message that comes twice finds its payment requested, or its operation known: nothing to do.
    """

    name, source = "payments.requests", "orders"
    reads = {  # noqa: RUF012 - declared as ClassVar by Reactor
        "placement.authorization_requested": AuthorizationRequested,
        "placement.capture_requested": CaptureRequested,
        "placement.void_requested": VoidRequested,
    }

    def __init__(
        self, streams: Streams, payments: PaymentsOfOrders, clock: Clock, provider: str
    ) -> None:
        self._streams, self._payments = streams, payments
        self._clock, self._provider = clock, provider

    async def react(self, message: Message) -> None:
        """One payment for each attempt, one operation for each thing asked."""
        match message.data:
            case AuthorizationRequested() as asked:
                await self._authorize(message, asked)
            case CaptureRequested() as asked:
                await self._capture(message, asked)
            case VoidRequested() as asked:
                await self._void(message, asked)

    async def _authorize(self, message: Message, asked: AuthorizationRequested) -> None:
        payment_id = payment_of(asked.order_id, asked.attempt)

        def decide(payment: Payment) -> Sequence[Event]:
            return domain.request(
                payment,
                order_id=asked.order_id,
                request_id=asked.request_id,
                customer_id=asked.customer_id,
                amount=Money(asked.amount_minor, asked.currency),
                method_token=asked.payment_method_token,
                attempt=asked.attempt,
                provider=self._provider,
            )

        row = keep_payment(asked.order_id, payment_id)
        await self._execute(message, payment_id, decide, rows=[row])

    async def _capture(self, message: Message, asked: CaptureRequested) -> None:
        await self._execute(
            message,
            asked.payment_id,
            lambda payment: domain.capture_or_fail(
                payment,
                capture_of(asked.payment_id, asked.shipment_id),
                Money(asked.amount_minor, asked.currency),
                request_id=asked.request_id,
                shipment_id=asked.shipment_id,
            ),
        )

    async def _void(self, message: Message, asked: VoidRequested) -> None:
        named = [asked.payment_id] if asked.payment_id else await self._payments.of(asked.order_id)
        for payment_id in named:
            await self._execute(
                message,
                payment_id,
                lambda payment: domain.void_or_confirm(
                    payment,
                    operation_of("void", payment.id, asked.request_id),
                    asked.reason,
                    request_id=asked.request_id,
                ),
            )

    async def _execute(
        self,
        message: Message,
        payment_id: str,
        decide: Callable[[Payment], Sequence[Event]],
        *,
        rows: Sequence[Effect] = (),
    ) -> None:
        await self._streams.execute(
            Payment,
            payment_id,
            decide,
            metadata=message.caused(SERVICE, at=self._clock()),
            effects=lambda _, events: rows if events else [],
        )


class ProviderCalls(Reactor):
    """Asks the provider for what was written down."""

    name, source = "payments.provider_calls", ""
    reads = {  # noqa: RUF012 - declared as ClassVar by Reactor
        "payment.requested": Asked,
        "payment.action_answered": Asked,
        "payment.capture_requested": Asked,
        "payment.void_requested": Asked,
        "payment.refund_requested": Asked,
    }

    def __init__(self, driver: Driver, clock: Clock) -> None:
        self._driver, self._clock = driver, clock

    async def react(self, message: Message) -> None:
        """Ask for all that is pending of the payment."""
        asked: Asked = message.data
        await self._driver.drive(asked.payment_id, message.caused(SERVICE, at=self._clock()))


class PaymentTimers:
    """Asks again for what is unknown, and ends the wait for customers who do not act."""

    def __init__(self, streams: Streams, driver: Driver, clock: Clock) -> None:
        self._streams, self._driver, self._clock = streams, driver, clock

    async def fire(self, timer: Timer) -> None:
        """A timer whose step moved on changes nothing."""
        metadata = Metadata(
            actor=Actor("system_timer", "payments"),
            command_id=timer.idempotency.key,
            correlation_id=timer.data.decode(),
            occurred_at=self._clock(),
        )
        if timer.step == ABANDON:
            await self._streams.execute(
                Payment,
                timer.stream,
                lambda payment: domain.abandon_action(payment, self._clock()),
                metadata=metadata,
            )
        else:
            await self._driver.drive(timer.stream, metadata)

"""What staff and customers do with payments. The provider is asked afterwards, by a reactor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from eventstore import ErasedSubject, Streams
from eventstore.event import Event
from subgraphs.payments import domain
from subgraphs.payments.domain import Payment
from subgraphs.payments.domain.identity import operation_of
from subgraphs.payments.events import BY_HAND
from subgraphs.shared.auth import Role
from subgraphs.shared.commands import Commands, Done
from subgraphs.shared.errors import InvalidValue, NotFound, Refusal
from subgraphs.shared.graphql import RequestContext
from subgraphs.shared.ids import check_id
from subgraphs.shared.money import Money

Context = RequestContext[Any]

MOVES_MONEY = (Role.STAFF, Role.ADMIN)
"""Roles that may take, give up and give back money."""

REASON_CHARACTERS_MAX = 500
ANSWER_CHARACTERS_MAX = 200


class PaymentHandlers:
    """The commands. Each checks its caller, records what is refused, and gives a receipt."""

    def __init__(self, commands: Commands, streams: Streams) -> None:
        self._commands, self._streams = commands, streams

    async def capture(
        self, context: Context, payment_id: str, amount: Money | None, *, key: str
    ) -> Done[Payment]:
        """Have an amount taken, or all that is held. Raises NotFound and what `capture` raises."""
        context.caller.require_role("capture payments", *MOVES_MONEY)
        return await self._run(
            context,
            "capture",
            payment_id,
            amount,
            lambda payment, operation_id, _: domain.capture(payment, operation_id, amount),
            key=key,
            body=[payment_id, _plain(amount)],
        )

    async def void(
        self, context: Context, payment_id: str, reason: str, *, key: str
    ) -> Done[Payment]:
        """Have what is held given up. Raises NotFound, NothingToVoid."""
        context.caller.require_role("void payments", *MOVES_MONEY)
        why = _reason(reason)
        return await self._run(
            context,
            "void",
            payment_id,
            None,
            lambda payment, operation_id, note: domain.void(
                payment, operation_id, BY_HAND, note=note
            ),
            key=key,
            body=[payment_id, why],
            reason=why,
        )

    async def refund(
        self, context: Context, payment_id: str, amount: Money, reason: str, *, key: str
    ) -> Done[Payment]:
        """Have some of what was taken given back. Raises NotFound and what `refund` raises."""
        context.caller.require_role("refund payments", *MOVES_MONEY)
        why = _reason(reason)
        return await self._run(
            context,
            "refund",
            payment_id,
            amount,
            lambda payment, operation_id, note: domain.refund(payment, operation_id, amount, note),
            key=key,
            body=[payment_id, _plain(amount), why],
            reason=why,
        )

    async def answer_action(
        self, context: Context, payment_id: str, answer: str, *, key: str
    ) -> Done[Payment]:
        """Pass on what the customer answered to the provider's challenge.

        Raises NotFound for somebody else's payment, NoActionPending.
        """
        user_id = context.caller.require_user()
        check_id(payment_id, "pay", path=["paymentId"])
        if not 0 < len(answer) <= ANSWER_CHARACTERS_MAX:
            raise InvalidValue(
                f"an answer has 1 to {ANSWER_CHARACTERS_MAX} characters", path=["answer"]
            )

        def decide(payment: Payment) -> Sequence[Event]:
            if not payment.exists or payment.customer_id != user_id:
                raise NotFound("payment", payment_id, path=["paymentId"])
            return domain.answer_action(
                payment, operation_of("act", payment_id, user_id, key), answer
            )

        return await self._commands.run(
            context,
            Payment,
            payment_id,
            decide,
            operation="answerPaymentAction",
            idempotency_key=key,
            body=[payment_id, answer],
        )

    async def _run(
        self,
        context: Context,
        kind: str,
        payment_id: str,
        amount: Money | None,
        decide: Callable[[Payment, str, str | None], Sequence[Event]],
        *,
        key: str,
        body: Any,
        reason: str | None = None,
    ) -> Done[Payment]:
        """Carry out a command of staff; what the rules forbid is recorded, then refused.

        `decide` gets the operation's id and the reason: not that of a customer who was erased.
        """
        check_id(payment_id, "pay", path=["paymentId"])
        try:
            return await self._carry_out(
                context, kind, payment_id, amount, decide, key=key, body=body, reason=reason
            )
        except ErasedSubject:
            return await self._carry_out(
                context, kind, payment_id, amount, decide, key=key, body=body, reason=None
            )

    async def _carry_out(
        self,
        context: Context,
        kind: str,
        payment_id: str,
        amount: Money | None,
        decide: Callable[[Payment, str, str | None], Sequence[Event]],
        *,
        key: str,
        body: Any,
        reason: str | None,
    ) -> Done[Payment]:
        caller = context.caller.require_user()
        operation_id = operation_of(kind, payment_id, caller, key)

        def decided(payment: Payment) -> Sequence[Event]:
            if not payment.exists:
                raise NotFound("payment", payment_id, path=["paymentId"])
            return decide(payment, operation_id, reason)

        try:
            return await self._commands.run(
                context,
                Payment,
                payment_id,
                decided,
                operation=f"{kind}Payment",
                idempotency_key=key,
                body=body,
            )
        except Refusal as refusal:
            refused = refusal
            await self._streams.execute(
                Payment,
                payment_id,
                lambda payment: (
                    domain.refuse(payment, kind, amount, refused, reason) if payment.exists else []
                ),
                metadata=context.metadata(),
            )
            refused.recorded = not isinstance(refused, NotFound)
            raise


def _reason(reason: str) -> str:
    why = reason.strip()
    if not 0 < len(why) <= REASON_CHARACTERS_MAX:
        raise InvalidValue(f"say why, in 1 to {REASON_CHARACTERS_MAX} characters", path=["reason"])
    return why


def _plain(amount: Money | None) -> list[Any] | None:
    return None if amount is None else [amount.minor, amount.currency]

"""The mutations of the payments subgraph: arguments in, payloads out."""

from __future__ import annotations

from collections.abc import Awaitable

import strawberry

from subgraphs.payments import domain
from subgraphs.payments.errors import AmountExceedsLimit
from subgraphs.payments.live import Subscription
from subgraphs.payments.queries import Query
from subgraphs.payments.schema import Info, Payment
from subgraphs.shared.commands import Done, attempt
from subgraphs.shared.graphql import (
    MoneyInput,
    MoneyType,
    Receipt,
    UserError,
    build_schema,
    mutation,
    user_error,
)
from subgraphs.shared.money import Money


@strawberry.type(description="More than is held, or more than was taken.")
class AmountTooLarge(UserError):
    requested: MoneyType
    limit: MoneyType


@user_error.register
def _(refusal: AmountExceedsLimit) -> UserError:
    return AmountTooLarge(
        message=refusal.message,
        code=refusal.code,
        path=refusal.path,
        requested=MoneyType.of(refusal.requested),
        limit=MoneyType.of(refusal.limit),
    )


@strawberry.type(
    description="The payment as it is now: the provider is asked next, so watch its state."
)
class PaymentPayload:
    payment: Payment | None
    receipt: Receipt | None
    user_errors: list[UserError]


@strawberry.type
class Mutation:
    @mutation("For staff. Without amount, all that is held.")
    async def capture_payment(
        self,
        info: Info,
        payment_id: strawberry.ID,
        idempotency_key: strawberry.ID,
        amount: MoneyInput | None = None,
    ) -> PaymentPayload:
        async def work() -> Done[domain.Payment]:
            return await info.context.resources.payments.capture(
                info.context,
                str(payment_id),
                None if amount is None else _amount(amount),
                key=str(idempotency_key),
            )

        return await _payload(work())

    @mutation("For staff. Gives up what is held and not taken.")
    async def void_payment(
        self,
        info: Info,
        payment_id: strawberry.ID,
        reason: str,
        idempotency_key: strawberry.ID,
    ) -> PaymentPayload:
        return await _payload(
            info.context.resources.payments.void(
                info.context, str(payment_id), reason, key=str(idempotency_key)
            )
        )

    @mutation("For staff. Gives back what was taken, or part of it.")
    async def refund_payment(
        self,
        info: Info,
        payment_id: strawberry.ID,
        amount: MoneyInput,
        reason: str,
        idempotency_key: strawberry.ID,
    ) -> PaymentPayload:
        async def work() -> Done[domain.Payment]:
            return await info.context.resources.payments.refund(
                info.context,
                str(payment_id),
                _amount(amount),
                reason,
                key=str(idempotency_key),
            )

        return await _payload(work())

    @mutation("For the customer, who did what `nextAction` asks for.")
    async def answer_payment_action(
        self,
        info: Info,
        payment_id: strawberry.ID,
        answer: str,
        idempotency_key: strawberry.ID,
    ) -> PaymentPayload:
        return await _payload(
            info.context.resources.payments.answer_action(
                info.context, str(payment_id), answer, key=str(idempotency_key)
            )
        )


async def _payload(work: Awaitable[Done[domain.Payment]]) -> PaymentPayload:
    result = await attempt(work)
    if (done := result.value) is None:
        return PaymentPayload(payment=None, receipt=None, user_errors=result.user_errors)
    return PaymentPayload(
        payment=Payment.written(done.state, done.receipt.version),
        receipt=done.receipt,
        user_errors=[],
    )


def _amount(given: MoneyInput) -> Money:
    """The amount of an argument. Raises InvalidMoney, which is a Refusal."""
    return given.value("amount")


SCHEMA = build_schema(
    operator="payments",
    query=Query,
    mutation=Mutation,
    subscription=Subscription,
    types=[AmountTooLarge],
)

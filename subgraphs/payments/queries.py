"""The root queries of the payments subgraph: single payments, lists, sums, the provider's word."""

from __future__ import annotations

import strawberry

from subgraphs.payments.domain import PaymentState
from subgraphs.payments.errors import OutcomeUnknown
from subgraphs.payments.provider import StatementLine
from subgraphs.payments.reads import BY_NEWEST, Row
from subgraphs.payments.reconciliation import Mismatch, reconcile
from subgraphs.payments.schema import SEES_PAYMENTS, Info, Order, Payment, visible_payment
from subgraphs.shared.errors import RequestError
from subgraphs.shared.graphql import Connection, CurrencyCode, MoneyType, field
from subgraphs.shared.paging import read_page

ORDERS_MAX = 500
"""The most orders a statement is asked for at once."""


class ProviderAway(RequestError):
    """The provider does not answer: ask again later."""

    code = "PROVIDER_UNAVAILABLE"


class TooManyOrders(RequestError):
    """A statement for more orders than are taken at once."""

    code = "TOO_MANY_ORDERS"


@strawberry.type
class PaymentStateCount:
    state: PaymentState
    count: int


@strawberry.type(description="Sums over all payments in one currency.")
class PaymentTotals:
    currency: CurrencyCode
    count: int
    authorized: MoneyType
    captured: MoneyType
    refunded: MoneyType
    voided: MoneyType
    by_state: list[PaymentStateCount]


@strawberry.type(description="What the provider says of one authorisation.")
class ProviderStatementLine:
    payment: Payment | None
    payment_id: strawberry.ID
    order: Order | None
    authorized: MoneyType
    captured: MoneyType
    refunded: MoneyType
    voided: MoneyType
    taken: MoneyType


@strawberry.type
class ProviderStatement:
    provider: str
    lines: list[ProviderStatementLine]
    end_cursor: str | None = strawberry.field(description="Null when there are no more lines.")


@strawberry.type(description="Sums of the provider's statement in one currency.")
class ProviderTotals:
    currency: CurrencyCode
    authorized: MoneyType
    captured: MoneyType
    refunded: MoneyType
    voided: MoneyType


@strawberry.type(description="`ours` is null for what we do not know.")
class PaymentMismatch:
    payment_id: strawberry.ID
    order: Order | None
    theirs: list[int] = strawberry.field(
        description="Minor units: authorised, captured, refunded, voided."
    )
    ours: list[int] | None


@strawberry.type(description="Our books against the provider's.")
class PaymentReconciliation:
    lines: int
    mismatches: int
    complete: bool
    first_mismatches: list[PaymentMismatch]
    totals: list[ProviderTotals]


@strawberry.type
class Query:
    @strawberry.field
    async def payment(
        self,
        info: Info,
        id: strawberry.ID,  # noqa: A002
    ) -> Payment | None:
        info.context.caller.require_user()
        return await visible_payment(info, str(id))

    @field("Newest first. For staff.")
    async def payments(
        self,
        info: Info,
        first: int,
        after: str | None = None,
        order_id: strawberry.ID | None = None,
        state: PaymentState | None = None,
    ) -> Connection[Payment]:
        info.context.caller.require_role("list payments", *SEES_PAYMENTS)
        page = read_page(first, after, BY_NEWEST)
        rows = await info.context.resources.reads.page(
            page, order_id=order_id, state=None if state is None else state.value
        )
        return Connection.of(rows, page, BY_NEWEST, Payment.of)

    @field("By currency. For staff.")
    async def payment_totals(self, info: Info) -> list[PaymentTotals]:
        info.context.caller.require_role("see totals of payments", *SEES_PAYMENTS)
        by_currency: dict[str, list[Row]] = {}
        for row in await info.context.resources.reads.totals():
            by_currency.setdefault(row["currency"], []).append(row)
        return [_totals(currency, rows) for currency, rows in by_currency.items()]

    @field("What the provider says it holds and took, for these orders or all. For staff.")
    async def provider_statement(
        self,
        info: Info,
        first: int,
        after: str | None = None,
        order_ids: list[strawberry.ID] | None = None,
    ) -> ProviderStatement:
        info.context.caller.require_role("see the provider's statement", *SEES_PAYMENTS)
        page = read_page(first, None, BY_NEWEST)
        if order_ids is not None and len(order_ids) > ORDERS_MAX:
            raise TooManyOrders(f"{len(order_ids)} orders: name at most {ORDERS_MAX} at a time")
        orders = None if order_ids is None else [str(order_id) for order_id in order_ids]
        provider = info.context.resources.provider
        try:
            lines = await provider.statement(
                order_ids=orders, after=after or "", limit=page.first + 1
            )
        except OutcomeUnknown as error:
            raise ProviderAway("the payment provider does not answer: ask again later") from error
        shown = lines[: page.first]
        known = await info.context.resources.reads.by_id([line.key for line in shown])
        return ProviderStatement(
            provider=provider.name,
            lines=[_line(line, known.get(line.key)) for line in shown],
            end_cursor=shown[-1].key if len(lines) > len(shown) else None,
        )

    @field("Every line of the provider's statement against our books. For staff.")
    async def payment_reconciliation(self, info: Info) -> PaymentReconciliation:
        info.context.caller.require_role("reconcile payments", *SEES_PAYMENTS)
        resources = info.context.resources
        try:
            found = await reconcile(resources.provider, resources.reads)
        except OutcomeUnknown as error:
            raise ProviderAway("the payment provider does not answer: ask again later") from error
        return PaymentReconciliation(
            lines=found.lines,
            mismatches=found.mismatches,
            complete=found.complete,
            first_mismatches=[_mismatch(mismatch) for mismatch in found.shown],
            totals=[
                ProviderTotals(
                    currency=CurrencyCode(currency),
                    authorized=MoneyType.minor(sums.authorized, currency),
                    captured=MoneyType.minor(sums.captured, currency),
                    refunded=MoneyType.minor(sums.refunded, currency),
                    voided=MoneyType.minor(sums.voided, currency),
                )
                for currency, sums in sorted(found.sums.items())
            ],
        )


def _totals(currency: str, rows: list[Row]) -> PaymentTotals:
    def added(name: str) -> MoneyType:
        return MoneyType.minor(sum(row[name] for row in rows), currency)

    return PaymentTotals(
        currency=CurrencyCode(currency),
        count=sum(row["payments"] for row in rows),
        authorized=added("authorized"),
        captured=added("captured"),
        refunded=added("refunded"),
        voided=added("voided"),
        by_state=[
            PaymentStateCount(state=PaymentState(row["state"]), count=row["payments"])
            for row in rows
        ],
    )


def _line(line: StatementLine, row: Row | None) -> ProviderStatementLine:
    return ProviderStatementLine(
        payment=None if row is None else Payment.of(row),
        payment_id=strawberry.ID(line.key),
        order=Order(id=strawberry.ID(line.order_id)),
        authorized=MoneyType.minor(line.authorized_minor, line.currency),
        captured=MoneyType.minor(line.captured_minor, line.currency),
        refunded=MoneyType.minor(line.refunded_minor, line.currency),
        voided=MoneyType.minor(line.voided_minor, line.currency),
        taken=MoneyType.minor(line.captured_minor - line.refunded_minor, line.currency),
    )


def _mismatch(found: Mismatch) -> PaymentMismatch:
    return PaymentMismatch(
        payment_id=strawberry.ID(found.payment_id),
        order=Order(id=strawberry.ID(found.order_id)),
        theirs=list(found.theirs),
        ours=None if found.ours is None else list(found.ours),
    )

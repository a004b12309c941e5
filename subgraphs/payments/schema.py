"""The payments subgraph: payments, and what orders show of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any

import strawberry

from subgraphs.payments import domain
from subgraphs.payments.domain import PaymentState
from subgraphs.payments.handlers import PaymentHandlers
from subgraphs.payments.provider import PaymentProvider
from subgraphs.payments.reads import PaymentReads, Row
from subgraphs.shared.auth import Role
from subgraphs.shared.graphql import (
    CurrencyCode,
    DecimalString,
    MoneyType,
    Node,
    RequestContext,
    federated,
    field,
)
from subgraphs.shared.money import Money


@dataclass(frozen=True, slots=True)
class PaymentsResources:
    """What resolvers write through, read through, and whom they may ask for a statement."""

    payments: PaymentHandlers
    reads: PaymentReads
    provider: PaymentProvider


Info = strawberry.Info[RequestContext[PaymentsResources], None]

SEES_PAYMENTS = (Role.STAFF, Role.AUDITOR, Role.OPERATOR, Role.ADMIN)
"""Roles that see other people's payments."""

strawberry.enum(PaymentState, description="Where the money is.")


@strawberry.enum(description="What of an order's total is paid.")
class PaymentStatus(Enum):
    NONE = "NONE"
    PENDING = "PENDING"
    AUTHORIZED = "AUTHORIZED"
    PARTIALLY_PAID = "PARTIALLY_PAID"
    PAID = "PAID"
    OVERPAID = "OVERPAID"
    PARTIALLY_REFUNDED = "PARTIALLY_REFUNDED"
    REFUNDED = "REFUNDED"


@strawberry.type(description="What the customer has to do before the money is held.")
class PaymentAction:
    kind: str
    redirect_url: str | None
    client_token: str | None
    deadline: datetime


@strawberry.type(description="One line of a payment's ledger.")
class PaymentLedgerLine:
    kind: str
    amount: MoneyType | None
    detail: str | None
    reason: str | None
    actor_kind: str
    actor_id: str
    event_id: strawberry.ID
    at: datetime


@strawberry.federation.type(
    keys=["id"], description="Money of an order. Its customer and staff see it."
)
class Payment(Node):
    version: int
    order: Order | None
    provider: str
    provider_reference: str | None
    state: PaymentState
    requested: MoneyType
    authorized: MoneyType
    captured: MoneyType
    refunded: MoneyType
    voided: MoneyType
    decline_code: str | None
    next_action: PaymentAction | None
    currency: strawberry.Private[str]

    @field("What happened to the money, and who tried what. For staff.")
    async def ledger(self, info: Info) -> list[PaymentLedgerLine] | None:
        info.context.caller.require_role("see the ledger of payments", *SEES_PAYMENTS)
        loader = info.context.loader(info.context.resources.reads.ledgers)
        return [
            PaymentLedgerLine(
                kind=row["kind"],
                amount=_money(row["amount"], self.currency),
                detail=row["detail"],
                reason=row["reason"],
                actor_kind=row["actor_kind"],
                actor_id=row["actor_id"],
                event_id=strawberry.ID(row["event_id"]),
                at=row["at"],
            )
            for row in await loader.load(str(self.id)) or ()
        ]

    @classmethod
    async def resolve_reference(
        cls,
        info: Info,
        id: strawberry.ID,  # noqa: A002
    ) -> Payment | None:
        return await visible_payment(info, str(id))

    @classmethod
    def of(cls, row: Row) -> Payment:
        """From a row of the read model."""
        currency = row["currency"]
        action = None
        if row["action_kind"] is not None:
            action = PaymentAction(
                kind=row["action_kind"],
                redirect_url=row["action_url"],
                client_token=row["action_token"],
                deadline=row["action_deadline"],
            )
        return cls(
            id=strawberry.ID(row["id"]),
            version=row["version"],
            order=Order(id=strawberry.ID(row["order_id"])),
            provider=row["provider"],
            provider_reference=row["reference"],
            state=PaymentState(row["state"]),
            requested=MoneyType.minor(row["requested"], currency),
            authorized=MoneyType.minor(row["authorized"], currency),
            captured=MoneyType.minor(row["captured"], currency),
            refunded=MoneyType.minor(row["refunded"], currency),
            voided=MoneyType.minor(row["voided"], currency),
            decline_code=row["decline_code"],
            next_action=action,
            currency=currency,
        )

    @classmethod
    def written(cls, state: domain.Payment, version: int) -> Payment:
        """From what a command has just left in the log."""
        action = state.action
        return cls.of(
            {
                "id": state.id,
                "version": version,
                "order_id": state.order_id,
                "provider": state.provider,
                "reference": state.reference,
                "state": state.state.value,
                "currency": state.currency,
                "requested": state.requested_minor,
                "authorized": state.authorized_minor,
                "captured": state.captured_minor,
                "refunded": state.refunded_minor,
                "voided": state.voided_minor,
                "decline_code": state.decline_code,
                "action_kind": action and action.kind,
                "action_url": action and action.redirect_url,
                "action_token": action and action.client_token,
                "action_deadline": action and action.deadline,
            }
        )


@strawberry.federation.type(keys=["id"])
class Order:
    id: strawberry.ID
    total: MoneyType | None = strawberry.federation.field(
        external=True, default=None, graphql_type=MoneyType
    )

    @field("Oldest first; none for those who may not see the order.")
    async def payments(self, info: Info) -> list[Payment] | None:
        return [Payment.of(row) for row in await self._rows(info)]

    @federated(
        requires=["total { amount currency }"], description="How far the order's total is paid."
    )
    async def payment_status(self, info: Info) -> PaymentStatus | None:
        return status_of(self._total(), await self._rows(info))

    @federated(
        requires=["total { amount currency }"],
        description="The total less what was taken and not given back.",
    )
    async def amount_due(self, info: Info) -> MoneyType | None:
        total = self._total()
        return MoneyType.minor(total.minor - _paid(await self._rows(info)), total.currency)

    @classmethod
    def resolve_reference(cls, id: strawberry.ID, **required: Any) -> Order:  # noqa: A002
        total: Mapping[str, str] | None = required.get("total")
        if total is None:
            return cls(id=id)
        amount, currency = DecimalString(total["amount"]), CurrencyCode(total["currency"])
        return cls(id=id, total=MoneyType(amount=amount, currency=currency))

    async def _rows(self, info: Info) -> list[Row]:
        reads = info.context.resources.reads
        rows = await info.context.loader(reads.of_orders).load(str(self.id)) or ()
        caller = info.context.caller
        return [row for row in rows if caller.may_see(row["customer_id"], *SEES_PAYMENTS)]

    def _total(self) -> Money:
        assert self.total is not None, "the router sends the total it was told is required"
        return Money.parse(self.total.amount, self.total.currency)


def status_of(total: Money, payments: Iterable[Row]) -> PaymentStatus:
    """What of a total is paid by these payments (rows of the read model)."""
    payments = list(payments)
    states = {PaymentState(row["state"]) for row in payments}
    taken = sum(row["captured"] for row in payments)
    refunded = sum(row["refunded"] for row in payments)
    if refunded:
        return PaymentStatus.REFUNDED if refunded == taken else PaymentStatus.PARTIALLY_REFUNDED
    if taken:
        if taken == total.minor:
            return PaymentStatus.PAID
        return PaymentStatus.OVERPAID if taken > total.minor else PaymentStatus.PARTIALLY_PAID
    if PaymentState.AUTHORIZED in states:
        return PaymentStatus.AUTHORIZED
    waiting = {PaymentState.REQUESTED, PaymentState.ACTION_REQUIRED, PaymentState.UNKNOWN}
    return PaymentStatus.PENDING if states & waiting else PaymentStatus.NONE


def _paid(payments: Iterable[Row]) -> int:
    return sum(row["captured"] - row["refunded"] for row in payments)


def _money(minor: int | None, currency: str) -> MoneyType | None:
    return None if minor is None else MoneyType.minor(minor, currency)


async def visible_payment(info: Info, payment_id: str) -> Payment | None:
    """The payment, if the caller may see it."""
    row = await info.context.loader(info.context.resources.reads.by_id).load(payment_id)
    if row is None or not info.context.caller.may_see(row["customer_id"], *SEES_PAYMENTS):
        return None
    return Payment.of(row)

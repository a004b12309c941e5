"""A payments service with the fake provider, and the other services' part of the conversation."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

from eventstore import Recorded
from subgraphs.payments.app import PaymentsService, build
from subgraphs.payments.domain import Payment, payment_of
from subgraphs.payments.provider import FakeProvider, StatementLine
from subgraphs.shared.auth import Role
from subgraphs.shared.ids import derived_id
from tests.support.memory_feed import MemoryFeed
from tests.support.running import Clock, Running, running

STAFF = {"user": "usr_staff", "roles": [Role.STAFF]}


def order_id(name: str = "one") -> str:
    return derived_id("ord", name)


class Payments:
    """The running service."""

    def __init__(self, shop: Running) -> None:
        self.shop = shop

    @property
    def provider(self) -> FakeProvider:
        service = self.shop.service
        assert isinstance(service, PaymentsService)
        assert isinstance(service.provider, FakeProvider)
        return service.provider

    def key(self) -> str:
        return f"key-{uuid4()}"

    async def authorize(
        self,
        name: str = "one",
        amount: int = 1000,
        *,
        token: str = "tok_approve",
        customer: str = "usr_1",
        attempt: int = 1,
        wait: bool = True,
    ) -> str:
        """What orders says when an amount is to be held; the id of the payment."""
        order = order_id(name)
        await self.shop.feeds["orders"].publish(
            "placement.authorization_requested",
            {
                "order_id": order,
                "request_id": f"{order}/authorize/{attempt}",
                "customer_id": customer,
                "amount_minor": amount,
                "currency": "EUR",
                "payment_method_token": token,
                "attempt": attempt,
            },
            stream=_process(name),
        )
        if wait:
            await self.digest()
        return payment_of(order, attempt)

    async def erase(self, customer: str) -> None:
        """What users says when a person is to be forgotten; return once they are."""
        data = {"user_id": customer, "reason": "asked to"}
        await self.shop.feeds["users"].publish("user.erased", data, stream=customer)
        await self.shop.digest("users")
        await self.shop.settle()

    async def capture(
        self, payment: str, amount: int, *, name: str = "one", shipment: str = "shp_1"
    ) -> None:
        """What orders says when a shipment has left."""
        await self._tell(
            "capture_requested",
            name,
            payment_id=payment,
            shipment_id=shipment,
            request_id=f"{shipment}/capture",
            amount_minor=amount,
            currency="EUR",
        )

    async def void(self, payment: str | None, *, name: str = "one") -> None:
        """What orders says when an order comes to nothing."""
        await self._tell(
            "void_requested",
            name,
            payment_id=payment,
            request_id=f"{name}/void",
            reason="REJECTED",
        )

    async def _tell(self, type_name: str, name: str, **data: Any) -> None:
        await self.shop.feeds["orders"].publish(
            f"placement.{type_name}", {"order_id": order_id(name)} | data, stream=_process(name)
        )
        await self.digest()

    async def digest(self) -> None:
        """Wait until orders' messages are written down and the provider was asked."""
        await self.shop.digest("orders")
        await self.asked()

    async def asked(self) -> None:
        """Wait until the reactor that asks the provider has seen the whole log."""
        service = self.shop.service
        head = await service.store.head()
        assert await service.reactor_runner.wait_for("payments", head, 10.0)
        assert not await service.reactor_runner.parked()

    async def state(self, payment: str) -> Payment:
        """The payment as the log has it."""
        events = await self.shop.service.store.read_stream(payment)
        state = Payment.initial(payment)
        for recorded in events:
            state = state.evolve(recorded.event)
        return state

    async def types(self) -> list[str]:
        """The types of the log, without the service's name."""
        return [event.type.removeprefix("payment.") for event in await self.shop.events()]

    async def answers(self, *types: str) -> list[Recorded[Any]]:
        return await self.shop.events(*(f"payment.{name}" for name in types))

    async def statement(self) -> Mapping[str, StatementLine]:
        """What the provider says, by payment."""
        lines = await self.provider.statement(order_ids=None, after="", limit=10_000)
        return {line.key: line for line in lines}


def _process(name: str) -> str:
    return f"plc_{name}"


@asynccontextmanager
async def payments(
    database: str,
    *,
    given: Mapping[str, MemoryFeed] | None = None,
    clock: Clock | None = None,
    **settings: Any,
) -> AsyncIterator[Payments]:
    """A started service."""
    async with running(
        build, "payments", database, feeds=["orders"], given=given, clock=clock, settings=settings
    ) as shop:
        yield Payments(shop)

"""A shipping service, and the other services' part of the conversation."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

from subgraphs.shared.auth import Role
from subgraphs.shared.ids import derived_id
from subgraphs.shipping.app import build
from subgraphs.shipping.domain import shipment_of
from tests.support.memory_feed import MemoryFeed
from tests.support.running import Clock, Running, running

STAFF = {"user": "usr_staff", "roles": [Role.STAFF]}
LINES = (("lin_1", 3), ("lin_2", 1))


def order_id(name: str = "one") -> str:
    return derived_id("ord", name)


class Shipping:
    """The running service."""

    def __init__(self, shop: Running) -> None:
        self.shop = shop

    def key(self) -> str:
        return f"key-{uuid4()}"

    async def request(
        self,
        name: str = "one",
        *lines: tuple[str, int],
        customer: str = "usr_1",
        country: str | None = "ES",
    ) -> str:
        """What orders says when an order is confirmed; the id of the shipment."""
        order, request = order_id(name), f"{order_id(name)}/ship"
        data = {
            "order_id": order,
            "request_id": request,
            "customer_id": customer,
            "shipping_option_id": "standard",
            "destination": None if country is None else {"country": country, "name": "A"},
            "lines": [
                {
                    "line_id": line,
                    "variant_id": f"var_{line}",
                    "sku": line.upper(),
                    "quantity": quantity,
                    "weight_grams": 100,
                }
                for line, quantity in lines or LINES
            ],
        }
        await self.shop.feeds["orders"].publish_all(
            [
                ("order.placed", {"order_id": order, "customer_id": customer}, order),
                ("placement.shipment_requested", data, f"plc_{name}"),
            ]
        )
        await self.digest()
        return shipment_of(order, request)

    async def cancel(
        self, name: str = "one", *, request: str = "cancel", customer: str = "usr_1"
    ) -> None:
        """What orders says when an order is to be cancelled."""
        data = {
            "order_id": order_id(name),
            "request_id": f"{order_id(name)}/{request}",
            "customer_id": customer,
            "shipment_id": None,
            "reason": "CUSTOMER",
        }
        await self.shop.feeds["orders"].publish(
            "placement.shipment_cancellation_requested", data, stream=f"plc_{name}"
        )
        await self.digest()

    async def digest(self) -> None:
        """Wait until orders' messages are done, and the carrier was asked."""
        await self.shop.digest("orders")
        service = self.shop.service
        head = await service.store.head()
        assert await service.reactor_runner.wait_for("shipping", head, 10.0)
        assert not await service.reactor_runner.parked()

    async def types(self) -> list[str]:
        """The types of what happened to shipments."""
        events = await self.shop.events()
        return [e.type.removeprefix("shipment.") for e in events if e.type.startswith("shipment.")]


@asynccontextmanager
async def shipping(
    database: str,
    *,
    given: Mapping[str, MemoryFeed] | None = None,
    clock: Clock | None = None,
    **settings: Any,
) -> AsyncIterator[Shipping]:
    """A started service."""
    async with running(
        build, "shipping", database, feeds=["orders"], given=given, clock=clock, settings=settings
    ) as shop:
        yield Shipping(shop)

"""Orders with inventory, payments and shipping as they really are, over their feeds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from eventstore import Feed
from subgraphs.inventory.app import build as build_inventory
from subgraphs.orders.app import build as build_orders
from subgraphs.orders.order import Order
from subgraphs.payments.app import build as build_payments
from subgraphs.shared.ids import derived_id
from subgraphs.shared.service import Service, ServiceContext
from subgraphs.shipping.app import build as build_shipping
from tests.subgraphs.inventory.shop import Inventory
from tests.subgraphs.orders.shop import CANCEL, CUSTOMER, Orders, variant
from tests.support.keys import KEYRING
from tests.support.memory_feed import MemoryFeed
from tests.support.running import SECRET, Clock, Running

pytestmark = pytest.mark.slow

BUILDS: dict[str, Callable[[ServiceContext], Service[Any]]] = {
    "orders": build_orders,
    "inventory": build_inventory,
    "payments": build_payments,
    "shipping": build_shipping,
}
BUYERS, UNITS = 24, 2
FINAL = ("COMPLETED", "REJECTED", "CANCELLED")


class Shop:
    """Four services that listen to one another; the catalogue is the test's."""

    def __init__(self, running: dict[str, Running]) -> None:
        self.running = running
        self.orders = Orders(running["orders"])

    async def stock(self, sku: str, price_minor: int, units: int) -> None:
        await self.orders.sell(sku, price_minor)
        await self.running["inventory"].digest("products")
        inventory = Inventory(self.running["inventory"])
        await inventory.warehouse()
        await inventory.receive(sku.lower(), units)

    async def ended(self, orders: Sequence[str]) -> list[Order]:
        async def all_ended() -> bool:
            states = await asyncio.gather(*(self.orders.state(order) for order in orders))
            return all(state.status in FINAL for state in states)

        await self.running["orders"].until(all_ended)
        return [await self.orders.state(order) for order in orders]

    async def until_status(self, order: str, status: str) -> None:
        async def there() -> bool:
            return (await self.orders.state(order)).status == status

        await self.running["orders"].until(there)

    async def level(self, sku: str) -> tuple[int, int, int]:
        """On hand, reserved, allocated."""
        [row] = await self.running["inventory"].service.reads.fetch(
            "SELECT on_hand, reserved, allocated FROM public.inventory_stock WHERE variant_id = %s",
            (variant(sku),),
        )
        return row["on_hand"], row["reserved"], row["allocated"]

    async def until_level(self, sku: str, *level: int) -> None:
        async def there() -> bool:
            return await self.level(sku) == level

        await self.running["inventory"].until(there)

    async def said(self, service: str, *types: str) -> list[Any]:
        return [recorded.event for recorded in await self.running[service].events(*types)]


@asynccontextmanager
async def open_shop(new_database: Callable[[], str], **settings: Any) -> AsyncIterator[Shop]:
    clock, products = Clock(), MemoryFeed("products")
    feeds: dict[str, Feed] = {"products": products, "users": MemoryFeed("users")}
    services = {
        name: build(
            ServiceContext(
                name=name,
                conninfo=new_database(),
                feeds=feeds,
                internal_secret=SECRET,
                keyring=KEYRING,
                clock=clock,
                settings={"timer_poll_seconds": 0.05, "decline_rate": 0.0, **settings},
            )
        )
        for name, build in BUILDS.items()
    }
    feeds |= {name: service.feed for name, service in services.items()}
    async with AsyncExitStack() as stack:
        for service in services.values():
            await stack.enter_async_context(service)
        yield Shop(
            {
                name: Running(service, {"products": products}, clock)
                for name, service in services.items()
            }
        )


async def test_the_last_units_go_to_as_many_and_nobody_else_pays(
    new_database: Callable[[], str],
) -> None:
    async with open_shop(new_database) as shop:
        await shop.stock("SILK", 1250, UNITS)
        buyers = [{"user": derived_id("usr", str(number)), "roles": []} for number in range(BUYERS)]
        placed = await asyncio.gather(*(shop.orders.placed(by, SILK=1) for by in buyers))
        assert len(set(placed)) == BUYERS
        states = await shop.ended(placed)
        assert [state.status for state in states].count("COMPLETED") == UNITS
        rejected = [state for state in states if state.status == "REJECTED"]
        assert len(rejected) == BUYERS - UNITS
        assert {state.reason for state in rejected} == {"OUT_OF_STOCK"}
        assert all(state.shortages[0].sku == "SILK" for state in rejected)
        asked = await shop.said("orders", "placement.authorization_requested")
        assert len(asked) == UNITS, "no money was asked of those who got nothing"
        captured = await shop.said("payments", "payment.captured")
        assert sum(event.amount_minor for event in captured) == UNITS * 1250
        await shop.until_level("SILK", 0, 0, 0)


async def test_a_declined_payment_gives_the_stock_back(new_database: Callable[[], str]) -> None:
    async with open_shop(new_database) as shop:
        await shop.stock("SILK", 1250, 5)
        cart = await shop.orders.cart(SILK=2)
        payload = await shop.orders.place(cart, paymentMethodToken="tok_decline")
        [state] = await shop.ended([payload["order"]["id"]])
        assert (state.status, state.reason) == ("REJECTED", "PAYMENT_DECLINED")
        await shop.until_level("SILK", 5, 0, 0)


async def test_a_confirmed_order_is_cancelled_while_its_parcel_stands(
    new_database: Callable[[], str],
) -> None:
    async with open_shop(new_database, carrier="none") as shop:
        await shop.stock("SILK", 1250, 5)
        order = await shop.orders.placed(SILK=2)
        await shop.until_status(order, "CONFIRMED")
        assert await shop.level("SILK") == (5, 0, 2)
        payload = await shop.orders.send(CANCEL, CUSTOMER, order=order, reason="no", key="c")
        assert not payload["userErrors"]
        [state] = await shop.ended([order])
        assert state.status == "CANCELLED"
        assert len(await shop.said("payments", "payment.voided")) == 1
        assert len(await shop.said("shipping", "shipment.cancelled")) == 1
        assert await shop.said("payments", "payment.captured") == []
        await shop.until_level("SILK", 5, 0, 0)


async def test_an_order_for_nothing_takes_no_payment(new_database: Callable[[], str]) -> None:
    async with open_shop(new_database) as shop:
        await shop.stock("SILK", 0, 5)
        order = await shop.orders.placed(SILK=2)
        [state] = await shop.ended([order])
        assert state.status == "COMPLETED"
        assert await shop.said("payments") == []
        await shop.until_level("SILK", 3, 0, 0)

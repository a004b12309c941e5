"""Many buyers of the last units, with inventory, payments and shipping as they really are."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from eventstore import Feed
from subgraphs.inventory.app import build as build_inventory
from subgraphs.orders.app import build as build_orders
from subgraphs.payments.app import build as build_payments
from subgraphs.shared.ids import derived_id
from subgraphs.shared.service import Service, ServiceContext
from subgraphs.shipping.app import build as build_shipping
from tests.subgraphs.inventory.shop import Inventory
from tests.subgraphs.orders.shop import Orders, variant
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
SETTINGS = {"timer_poll_seconds": 0.05, "decline_rate": 0.0}
FINAL = ("COMPLETED", "REJECTED", "CANCELLED")


async def test_the_last_units_go_to_as_many_and_nobody_else_pays(
    new_database: Callable[[], str],
) -> None:
    clock = Clock()
    products = MemoryFeed("products")
    feeds: dict[str, Feed] = {"products": products}
    services = {
        name: build(
            ServiceContext(
                name=name,
                conninfo=new_database(),
                feeds=feeds,
                internal_secret=SECRET,
                clock=clock,
                settings=SETTINGS,
            )
        )
        for name, build in BUILDS.items()
    }
    feeds |= {name: service.feed for name, service in services.items()}
    async with AsyncExitStack() as stack:
        for service in services.values():
            await stack.enter_async_context(service)
        running = {
            name: Running(service, {"products": products}, clock)
            for name, service in services.items()
        }
        shop, inventory = Orders(running["orders"]), Inventory(running["inventory"])
        await shop.sell("SILK", 1250)
        await running["inventory"].digest("products")
        await inventory.warehouse()
        await inventory.receive("silk", UNITS)

        buyers = [{"user": derived_id("usr", str(number)), "roles": []} for number in range(BUYERS)]
        placed = await asyncio.gather(*(shop.placed(by, SILK=1) for by in buyers))
        assert len(set(placed)) == BUYERS

        async def all_ended() -> bool:
            states = await asyncio.gather(*(shop.state(order) for order in placed))
            return all(state.status in FINAL for state in states)

        await running["orders"].until(all_ended)
        states = [await shop.state(order) for order in placed]
        assert [s.status for s in states].count("COMPLETED") == UNITS
        rejected = [state for state in states if state.status == "REJECTED"]
        assert len(rejected) == BUYERS - UNITS
        assert {state.reason for state in rejected} == {"OUT_OF_STOCK"}
        assert all(state.shortages[0].sku == "SILK" for state in rejected)
        asked = await shop.it.events("placement.authorization_requested")
        assert len(asked) == UNITS, "no money was asked of those who got nothing"
        captured = await running["payments"].events("payment.captured")
        assert sum(event.event.amount_minor for event in captured) == UNITS * 1250
        stock = await services["inventory"].reads.fetch(
            "SELECT on_hand, reserved, allocated FROM public.inventory_stock WHERE variant_id = %s",
            (variant("SILK"),),
        )

        async def stock_left() -> bool:
            shipped = await running["inventory"].events("stock.shipped")
            return sum(event.event.quantity for event in shipped) == UNITS

        await running["inventory"].until(stock_left)
        [row] = stock
        assert (row["reserved"], row["on_hand"] - row["allocated"]) == (0, 0)

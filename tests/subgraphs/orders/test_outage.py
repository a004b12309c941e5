"""The database goes away and comes back: clear errors meanwhile, nothing lost, and on it goes."""

from __future__ import annotations

import asyncio

import pytest

from tests.subgraphs.orders.shop import CUSTOMER, PLACE, orders
from tests.support.postgres import TestServer

pytestmark = pytest.mark.slow


async def test_an_order_outlives_its_database(own_server: TestServer) -> None:
    async with orders(own_server.create_database("orders")) as shop:
        await shop.sell("SILK", 1250)
        order = await shop.placed(SILK=1)
        wish = shop.wish(await shop.cart(SILK=2))
        await asyncio.to_thread(own_server.crash)
        await shop.it.feeds["inventory"].publish(
            "reservation.held",
            {"order_id": order, "reservation_id": f"rsv_{order}", "attempt": 1},
            stream="rsv_1",
        )
        waiting = asyncio.create_task(shop.it.ask(PLACE, {"input": wish}, fresh=False, **CUSTOMER))
        await asyncio.to_thread(own_server.start)
        answer = await waiting
        again = await shop.send(PLACE, CUSTOMER, input=wish)
        assert not again["userErrors"], (answer, again)
        assert len(await shop.it.events("order.placed")) == 2

        async def authorising() -> bool:
            return bool(await shop.it.events("placement.authorization_requested"))

        await shop.it.until(authorising)
        page = await shop.page(order)
        assert page["placement"] == "AUTHORIZING_PAYMENT"

"""A database that goes away in the middle and comes back: nothing is lost, nothing done twice."""

from __future__ import annotations

import asyncio

import pytest

from tests.subgraphs.inventory.shop import inventory
from tests.support.postgres import TestServer

pytestmark = pytest.mark.slow


async def test_reservations_go_on_where_they_stopped(own_server: TestServer) -> None:
    async with inventory(own_server.create_database("inventory")) as shop:
        await shop.stocked(silk=20)
        await shop.shop.feeds["orders"].publish_all(
            [shop.stock_request(f"ord_{n}", ("silk", 1)) for n in range(15)]
        )
        await asyncio.to_thread(own_server.crash)
        await shop.shop.feeds["orders"].publish_all(
            [shop.stock_request(f"ord_{n}", ("silk", 1)) for n in range(15, 30)]
        )
        await asyncio.to_thread(own_server.start)

        async def answered() -> bool:
            return len(await shop.answers()) == 30

        await shop.shop.until(answered)
        answers = await shop.answers()
        assert answers.count("reservation.held") == 20
        assert await shop.level("silk") == (20, 20, 0)

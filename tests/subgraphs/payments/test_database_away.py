"""A database that goes away in the middle and comes back: nothing is lost, nothing done twice."""

from __future__ import annotations

import asyncio

import pytest

from subgraphs.payments.domain import PaymentState
from tests.subgraphs.payments.shop import payments
from tests.support.postgres import TestServer

pytestmark = pytest.mark.slow


async def test_payments_go_on_where_they_stopped(own_server: TestServer) -> None:
    async with payments(own_server.create_database("payments")) as shop:
        made = [await shop.authorize(f"o{n}") for n in range(3)]
        await asyncio.to_thread(own_server.crash)
        for n, payment in enumerate(made):
            await shop.shop.feeds["orders"].publish(
                "placement.capture_requested",
                {
                    "order_id": "any",
                    "request_id": f"r{n}",
                    "payment_id": payment,
                    "shipment_id": f"shp_{n}",
                    "amount_minor": 1000,
                    "currency": "EUR",
                },
                stream=f"plc_{n}",
            )
        await asyncio.to_thread(own_server.start)

        async def captured() -> bool:
            shop.shop.clock.pass_by(seconds=10)
            states = [(await shop.state(payment)).state for payment in made]
            return states == [PaymentState.CAPTURED] * 3

        await shop.shop.until(captured)
        taken = [line.captured_minor for line in (await shop.statement()).values()]
        assert taken == [1000, 1000, 1000]

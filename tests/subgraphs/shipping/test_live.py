"""Shipments of an order as subscribers see them go."""

from __future__ import annotations

import pytest

from tests.subgraphs.shipping.shop import order_id, shipping

pytestmark = pytest.mark.slow

TRACKED = """subscription ($id: ID!) { shipmentTracked(orderId: $id) {
  id state tracking { status } } }"""


async def test_a_shipment_is_told_to_its_customer_alone(database: str) -> None:
    async with shipping(database) as shop:
        order = {"id": order_id()}
        async with (
            shop.shop.following(TRACKED, order, user="usr_1") as mine,
            shop.shop.following(TRACKED, order, user="usr_2") as somebody,
        ):
            await mine.begun()
            await somebody.begun()
            shipment = await shop.request(customer="usr_1")
            update = await mine.next()
            while update["state"] != "SHIPPED":
                update = await mine.next()
            assert update["id"] == shipment
            assert [event["status"] for event in update["tracking"]][-1] == "SHIPPED"
            assert somebody.waits
        async with shop.shop.following(TRACKED, order, user="usr_2") as somebody:
            assert await somebody.code() == "NOT_FOUND"
        async with shop.shop.following(TRACKED, order) as stranger:
            assert await stranger.code() == "UNAUTHENTICATED"

"""Payments of an order as subscribers see them go on."""

from __future__ import annotations

import pytest

from tests.subgraphs.payments.shop import STAFF, order_id, payments

pytestmark = pytest.mark.slow

UPDATES = """subscription ($id: ID!) { paymentUpdated(orderId: $id) {
  id state version captured { amount } } }"""


async def test_payments_are_told_to_their_customer_alone(database: str) -> None:
    async with payments(database) as shop:
        order = {"id": order_id()}
        async with (  # before there is any payment
            shop.shop.following(UPDATES, order, user="usr_1") as mine,
            shop.shop.following(UPDATES, order, user="usr_2") as somebody,
        ):
            await mine.begun()
            await somebody.begun()
            payment = await shop.authorize()
            await shop.authorize("two", customer="usr_2")
            update = await mine.next()
            while update["state"] != "AUTHORIZED":
                update = await mine.next()
            await shop.capture(payment, 1000)
            while update["state"] != "CAPTURED":
                update = await mine.next()
            assert (update["id"], update["captured"]) == (payment, {"amount": "10.00"})
            assert somebody.waits
        async with shop.shop.following(UPDATES, order, user="usr_2") as somebody:
            assert await somebody.code() == "NOT_FOUND"
        async with shop.shop.following(UPDATES, order) as stranger:
            assert await stranger.code() == "UNAUTHENTICATED"
        async with shop.shop.following(UPDATES, order, **STAFF) as clerk:
            await clerk.begun()

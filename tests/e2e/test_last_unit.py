"""Two hundred buyers of one unit: one gets it, nobody else pays."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from tests.support.goods import PLACE, cart_with, finished, placement, shown, stocked
from tests.support.whole import Customer, WholeShop

pytestmark = pytest.mark.slow
BUYERS = 200

STATEMENT = """query($ids: [ID!]!) {
  providerStatement(first: 100, orderIds: $ids) {
    lines { order { id } authorized { amount } captured { amount } taken { amount } } } }"""
STOCK = """query($sku: String!) {
  stockItems(first: 1, where: {sku: $sku}) { edges { node { onHand reserved allocated } } } }"""


async def test_two_hundred_buyers_of_the_last_unit(shop: WholeShop) -> None:
    position = await stocked(shop, {"LAST": ("19.99", 1)})
    names = [f"buyer-{number}" for number in range(BUYERS)]
    buyers = await asyncio.gather(*map(shop.customer, names))
    carts = await asyncio.gather(*(cart_with(shop, who, position, {"LAST": 1}) for who in buyers))

    async def buy(who: Customer, cart: dict[str, object]) -> str:
        placed = await shop.ask(PLACE, who.token, input=placement(cart))
        assert not placed["userErrors"], placed
        return str(placed["order"]["id"])

    ids = await asyncio.gather(*map(buy, buyers, carts))
    orders = [await finished(shop, order_id) for order_id in ids]

    assert Counter(order["status"] for order in orders) == {"COMPLETED": 1, "REJECTED": BUYERS - 1}
    rejected = [order for order in orders if order["status"] == "REJECTED"]
    assert {order["rejection"]["reason"] for order in rejected} == {"OUT_OF_STOCK"}
    assert not any(order["payments"] for order in rejected)
    taken = []
    for start in range(0, BUYERS, 100):
        page = await shop.ask(STATEMENT, shop.staff, ids=ids[start : start + 100])
        taken += [line["order"]["id"] for line in page["lines"]]
    winner = next(order["id"] for order in orders if order["status"] == "COMPLETED")
    assert taken == [winner], "the provider's own books name another order"
    nothing = {"onHand": 0, "reserved": 0, "allocated": 0}
    stock = await shown(
        lambda: shop.ask(STOCK, shop.staff, sku="LAST"),
        lambda page: page["edges"][0]["node"] == nothing,
    )
    assert stock["edges"][0]["node"] == nothing

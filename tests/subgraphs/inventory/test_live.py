"""Stock as staff see it move."""

from __future__ import annotations

import pytest

from subgraphs.shared.ids import derived_id
from tests.subgraphs.inventory.shop import STAFF, inventory, variant

pytestmark = pytest.mark.slow

CHANGED = """subscription ($ids: [ID!]!) { stockChanged(variantIds: $ids) {
  sku onHand reserved available } }"""


async def test_staff_see_stock_move(database: str) -> None:
    async with inventory(database) as shop:
        await shop.stocked(silk=10, jute=5)
        wanted = {"ids": [variant("silk")]}
        async with shop.shop.following(CHANGED, wanted, **STAFF) as following:
            await following.begun()
            await shop.receive("jute", 1)
            await shop.receive("silk", 2)
            assert await following.next() == {
                "sku": "SILK",
                "onHand": 12,
                "reserved": 0,
                "available": 12,
            }
            await shop.place(derived_id("ord", "one"), ("silk", 3))  # its event names no variant
            assert (await following.next())["available"] == 9
        for who, code in (({"user": "usr_1"}, "FORBIDDEN"), ({}, "UNAUTHENTICATED")):
            async with shop.shop.following(CHANGED, wanted, **who) as following:
                assert await following.code() == code

"""Orders as subscribers see them go on."""

from __future__ import annotations

from typing import Any

import pytest

from subgraphs.shared.ids import new_id
from tests.subgraphs.orders.shop import CUSTOMER, OPERATOR, OTHER, STAFF, orders

pytestmark = pytest.mark.slow

UPDATES = """subscription ($id: ID!) { orderUpdated(id: $id) {
  eventType version position order { id version status placement } } }"""


async def test_a_customer_and_staff_see_an_order_go_on(database: str) -> None:
    async with orders(database) as shop:
        await shop.sell("SILK", 1250)
        order, another = await shop.placed(SILK=1), await shop.placed(SILK=2)
        before = await shop.page(order)
        async with (
            shop.it.following(UPDATES, {"id": order}, **CUSTOMER) as mine,
            shop.it.following(UPDATES, {"id": order}, **STAFF) as theirs,
        ):
            await mine.begun()
            await theirs.begun()
            await shop.confirm(another)
            await shop.confirm(order)
            seen: list[dict[str, Any]] = []
            while not seen or seen[-1]["order"]["status"] != "CONFIRMED":
                seen.append(await mine.next())
                assert await theirs.next() == seen[-1]
            assert {update["order"]["id"] for update in seen} == {order}
            assert all(update["version"] == update["order"]["version"] for update in seen)
            types = [update["eventType"] for update in seen]
            assert types[-1].startswith(("order.", "placement."))
            positions = [int(update["position"].removeprefix("orders:")) for update in seen]
            assert positions == sorted(set(positions))
        assert before["status"] != "CONFIRMED"


@pytest.mark.parametrize("who", [OTHER, {"user": None}, CUSTOMER])
async def test_nobody_hears_of_an_order_that_they_may_not_see(
    database: str, who: dict[str, Any]
) -> None:
    async with orders(database) as shop:
        await shop.sell("SILK", 1250)
        order = new_id("ord") if who is CUSTOMER else await shop.placed(SILK=1)
        async with shop.it.following(UPDATES, {"id": order}, **who) as following:
            assert await following.code() == (
                "UNAUTHENTICATED" if who == {"user": None} else "NOT_FOUND"
            )
        async with shop.it.following(UPDATES, {"id": order}, **OPERATOR) as following:
            if who is CUSTOMER:
                assert await following.code() == "NOT_FOUND"
            else:
                await following.begun()

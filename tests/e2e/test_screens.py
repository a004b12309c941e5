"""What a screen costs: as many SQL statements, over all services, for twelve rows as for one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.support.goods import cart_with, finished, ordered, stocked
from tests.support.whole import Customer, WholeShop

pytestmark = pytest.mark.slow
MANY = 12
GOODS = {f"CUP-{number:02}": (f"{number + 1}.50", 500) for number in range(MANY)}

MONEY = "{ amount currency }"
ORDER_PAGE = f"""query($id: ID!) {{ order(id: $id) {{
  number status total {MONEY}
  customer {{ displayName email }}
  lines {{ titleAtPurchase quantity unitPrice {MONEY}
    variant {{ sku product {{ title }} availability {{ state available }} }} }}
  payments {{ state captured {MONEY} }} paymentStatus amountDue {MONEY}
  shipments {{ state carrier trackingNumber }} fulfillmentStatus
  notifications {{ template state }} }} }}"""
ORDERS = f"""query($first: Int!) {{ orders(first: $first) {{ edges {{ node {{
  number status total {MONEY} paymentStatus fulfillmentStatus customer {{ email }}
  payments {{ state }} shipments {{ state }} }} }} }} }}"""
PRODUCTS = f"""query($first: Int!) {{ products(first: $first, orderBy: TITLE) {{ edges {{ node {{
  title variants {{ sku price {MONEY} availability {{ state available }} }} }} }} }} }}"""
CART = f"""query($id: ID!) {{ cart(id: $id) {{ total {MONEY} problems {{ message }}
  lines {{ quantity variant {{ sku product {{ title }} availability {{ state }} }} }}
  shippingOptions {{ id name price {MONEY} }} }} }}"""
MINE = f"""query($first: Int!) {{ me {{ email orders(first: $first) {{ edges {{ node {{
  number status total {MONEY} paymentStatus fulfillmentStatus
  shipments {{ state }} payments {{ state }} }} }} }} }} }}"""
ADDRESS = """mutation($cart: ID!) { setCartDestination(cartId: $cart,
  address: {name: "undecided", lines: ["Calle Mayor 1"], city: "Murcia", country: "ES",
    postalCode: "30001"}) { receipt { position } userErrors { code message } } }"""


class Counter:
    """SQL statements of read models and logs, over all services."""

    def __init__(self, shop: WholeShop) -> None:
        self._shop = shop

    def now(self) -> dict[str, int]:
        return {name: service.reads.statements for name, service in self._shop.services.items()}

    async def of(self, ask: Callable[[], Awaitable[Any]]) -> tuple[dict[str, int], Any]:
        """What one request adds, service by service, and its answer."""
        before = self.now()
        found = await ask()
        after = self.now()
        return {name: after[name] - before[name] for name in after if after[name] > before[name]}, (
            found
        )


@pytest.fixture(scope="module")
async def position(shop: WholeShop) -> str:
    return await stocked(shop, GOODS)


@pytest.fixture(scope="module")
async def buyer(shop: WholeShop, position: str) -> tuple[Customer, list[str]]:
    """Somebody with twelve orders: the first has one line, the last one twelve."""
    who = await shop.customer("regular")
    everything = {sku: 1 + number for number, sku in enumerate(GOODS)}
    wanted = [{"CUP-00": 1}] * (MANY - 1) + [everything]
    ids = [await ordered(shop, who, position, lines) for lines in wanted]
    for name in ("second", "third"):  # a list of orders has several customers
        ids.insert(0, await ordered(shop, await shop.customer(name), position, {"CUP-01": 1}))
    await asyncio.gather(*(finished(shop, order_id) for order_id in ids))
    async with asyncio.timeout(30):
        for order_id in ids:
            await _told(shop, order_id)
    return who, ids[2:]


async def _told(shop: WholeShop, order_id: str) -> None:
    """Return once the customer was told of the order, by all the mail there is to be sent."""
    document = "query($id: ID!) { order(id: $id) { notifications { state } } }"
    while True:
        order = await shop.ask(document, shop.staff, id=order_id)
        if {note["state"] for note in order["notifications"]} == {"SENT"}:
            return
        await asyncio.sleep(0.02)


async def test_the_order_page(shop: WholeShop, buyer: tuple[Customer, list[str]]) -> None:
    who, ids = buyer
    counter = Counter(shop)
    one, small = await counter.of(lambda: shop.ask(ORDER_PAGE, who.token, id=ids[0]))
    many, large = await counter.of(lambda: shop.ask(ORDER_PAGE, who.token, id=ids[-1]))
    assert (len(small["lines"]), len(large["lines"])) == (1, MANY)
    assert all(line["variant"]["product"]["title"] for line in large["lines"])
    assert all(line["variant"]["availability"]["available"] for line in large["lines"])
    assert large["customer"]["email"] == "regular@lonja.example"
    assert [payment["state"] for payment in large["payments"]] == ["CAPTURED"]
    assert len(large["shipments"]) == 1
    assert len(one) == 7, "each service but the journal has a part of this page"
    assert many == one


async def test_the_list_of_orders(shop: WholeShop, buyer: tuple[Customer, list[str]]) -> None:
    found = await _same_for_one_and_many(shop, ORDERS, shop.staff, lambda found: found["edges"])
    assert len({edge["node"]["customer"]["email"] for edge in found["edges"]}) > 1


async def test_the_list_of_products_with_availability(shop: WholeShop, position: str) -> None:
    await _same_for_one_and_many(shop, PRODUCTS, None, lambda found: found["edges"])


async def test_my_orders(shop: WholeShop, buyer: tuple[Customer, list[str]]) -> None:
    await _same_for_one_and_many(shop, MINE, buyer[0].token, lambda me: me["orders"]["edges"])


async def test_a_cart_with_its_shipping_options(shop: WholeShop, position: str) -> None:
    who = await shop.customer("undecided")
    small = await cart_with(shop, who, position, {"CUP-00": 1})
    large = await cart_with(shop, who, position, dict.fromkeys(GOODS, 2))
    for cart in (small, large):
        told = await shop.ask(ADDRESS, who.token, cart=cart["id"])
        assert not told["userErrors"], told
    seen = str(told["receipt"]["position"])
    counter = Counter(shop)
    one, found = await counter.of(lambda: shop.ask(CART, who.token, seen, id=small["id"]))
    assert found["shippingOptions"]
    many, found = await counter.of(lambda: shop.ask(CART, who.token, seen, id=large["id"]))
    assert len(found["lines"]) == MANY
    assert all(line["variant"]["availability"]["state"] for line in found["lines"])
    assert many == one


async def _same_for_one_and_many(
    shop: WholeShop, document: str, token: str | None, rows: Callable[[Any], list[Any]]
) -> Any:
    counter = Counter(shop)
    one, found = await counter.of(lambda: shop.ask(document, token, first=1))
    assert len(rows(found)) == 1
    many, found = await counter.of(lambda: shop.ask(document, token, first=MANY))
    assert len(rows(found)) == MANY
    assert len(one) > 1, "one service answered all of it"
    assert many == one
    return found

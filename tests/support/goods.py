"""Things for sale, and orders for them: what tests of the whole shop begin with."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from uuid import uuid4

from lonja.demo.operations import CREATE_CART, CREATE_PRODUCTS, CREATE_WAREHOUSE, RECEIVE_STOCK
from tests.support.whole import Customer, WholeShop

CURRENCY = "EUR"
WAIT_SECONDS_MAX = 30.0
FINAL = frozenset({"COMPLETED", "REJECTED", "CANCELLED"})

FILL = """mutation($cart: ID!, $lines: [CartLineInput!]!) {
  setCartLines(cartId: $cart, lines: $lines) {
    cart { version total { amount currency } lines { id } }
    userErrors { code message path } } }"""

PLACE = """mutation($input: PlaceOrderInput!) {
  placeOrder(input: $input) {
    order { id number status total { amount } }
    receipt { position replayed }
    userErrors { code message path __typename } } }"""

ORDER_STATUS = """query($id: ID!) {
  order(id: $id) { id status rejection { reason } payments { state } reservation { state } } }"""


def money(amount: str, currency: str = CURRENCY) -> dict[str, str]:
    """A MoneyInput."""
    return {"amount": amount, "currency": currency}


async def stocked(shop: WholeShop, goods: Mapping[str, tuple[str, int]]) -> str:
    """Publish products by sku with (price, units on hand); gives the products' position."""
    made = await shop.ask(
        CREATE_PRODUCTS,
        shop.staff,
        input={
            "idempotencyKey": uuid4().hex,
            "products": [
                {
                    "slug": sku.lower(),
                    "title": f"Title of {sku}",
                    "publish": True,
                    "variants": [{"sku": sku, "price": money(price), "weightGrams": 250}],
                }
                for sku, (price, _) in goods.items()
            ],
        },
    )
    assert not made["userErrors"], made
    position = str(made["receipt"]["position"])
    code = uuid4().hex[:8].upper()
    warehouse = await shop.ask(
        CREATE_WAREHOUSE,
        shop.staff,
        input={"code": code, "name": code, "country": "ES", "idempotencyKey": code},
    )
    lines = [{"sku": sku, "quantity": units} for sku, (_, units) in goods.items() if units]
    received = await shop.ask(
        RECEIVE_STOCK,
        shop.staff,
        position,
        input={
            "warehouseId": warehouse["warehouse"]["id"],
            "lines": lines,
            "idempotencyKey": uuid4().hex,
        },
    )
    assert not received["userErrors"], received
    return position


async def cart_with(
    shop: WholeShop, who: Customer, position: str, lines: Mapping[str, int]
) -> dict[str, Any]:
    """A cart of the customer's with quantities by sku: {id, version, total}."""
    made = await shop.ask(CREATE_CART, who.token, currency=CURRENCY, key=uuid4().hex)
    cart_id = made["cart"]["id"]
    wanted = [{"sku": sku, "quantity": quantity} for sku, quantity in lines.items()]
    filled = await shop.ask(FILL, who.token, position, cart=cart_id, lines=wanted)
    assert not filled["userErrors"], filled
    return {"id": cart_id, **filled["cart"]}


def placement(cart: Mapping[str, Any], **changes: Any) -> dict[str, Any]:
    """The input of placeOrder for a cart, with what the test wants different."""
    return {
        "cartId": cart["id"],
        "cartVersion": cart["version"],
        "expectedTotal": cart["total"],
        "paymentMethodToken": "tok_approve",
        "shippingOptionId": "pickup",
        "idempotencyKey": uuid4().hex,
        **changes,
    }


async def ordered(
    shop: WholeShop, who: Customer, position: str, lines: Mapping[str, int], **changes: Any
) -> str:
    """Place an order; gives its id."""
    cart = await cart_with(shop, who, position, lines)
    placed = await shop.ask(PLACE, who.token, input=placement(cart, **changes))
    assert not placed["userErrors"], placed
    return str(placed["order"]["id"])


async def finished(shop: WholeShop, order_id: str) -> dict[str, Any]:
    """Wait until the order is in a final state; gives it."""
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        while True:
            order: dict[str, Any] = await shop.ask(ORDER_STATUS, shop.staff, id=order_id)
            if order is not None and order["status"] in FINAL:
                return order
            await asyncio.sleep(0.02)  # between two looks at a condition, not a guess at time


async def shown(
    ask: Callable[[], Awaitable[Any]], wanted: Callable[[Any], bool], seconds: float = 10.0
) -> Any:
    """Ask until the answer is as wanted: read models of other services follow a little later.

    Gives the last answer when time is up, for the test to compare.
    """
    deadline = time.monotonic() + seconds
    while True:
        answer = await ask()
        if wanted(answer) or time.monotonic() > deadline:
            return answer
        await asyncio.sleep(0.02)

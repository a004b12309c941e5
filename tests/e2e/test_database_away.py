"""PostgreSQL goes away while customers order, and comes back: clear errors, then on by itself."""

from __future__ import annotations

import asyncio
import json
import time
import urllib.error
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from lonja.demo.operations import CREATE_CART
from tests.support.goods import FILL, FINAL, PLACE, placement, stocked
from tests.support.postgres import TestServer
from tests.support.whole import Customer, WholeShop, shop_settings, whole_shop

pytestmark = pytest.mark.slow
BUYERS = 6
BEFORE = 6
"""So many orders are acknowledged before the database is stopped."""
ANSWER_SECONDS_MAX = 20.0
SETTLE_SECONDS_MAX = 60.0

ORDERS = """query($after: String) { orders(first: 100, after: $after) {
  pageInfo { hasNextPage endCursor }
  edges { node { id status total { amount } payments { captured { amount } }
    notifications { template state } } } } }"""
CATALOGUE = "{ products(first: 1) { edges { node { title } } } }"
BOOKS = """{ paymentReconciliation { mismatches }
  stockSummary { received sold onHand reserved allocated unbalanced guardMismatches } }"""


class Buyers:
    """Customers who order all the while, whatever they are answered."""

    def __init__(self, shop: WholeShop, position: str) -> None:
        self.shop, self.position = shop, position
        self.acknowledged: dict[str, str] = {}
        self.codes: Counter[str] = Counter()
        self.slowest = 0.0
        self.stopping = False

    async def buy(self, who: Customer) -> None:
        """Order again and again; an order that was not answered is sent again with its key."""
        while not self.stopping:
            cart = await self._answered(self._cart, who)
            if cart is None:
                return
            sent = placement(cart)
            placed = await self._answered(self._place, who, sent)
            if placed is not None:
                self.acknowledged[placed["id"]] = placed["total"]["amount"]

    async def _answered(self, ask: Any, *given: Any) -> Any:
        """The answer without errors, at last; None when everybody went home."""
        while True:
            started = time.perf_counter()
            found, errors = await ask(*given)
            self.slowest = max(self.slowest, time.perf_counter() - started)
            if not errors:
                return found
            for error in errors:
                assert "Traceback" not in error["message"]
                assert "psycopg" not in error["message"]
                self.codes[error["extensions"]["code"]] += 1
            if self.stopping:
                return None
            await asyncio.sleep(0.05)  # a customer's pause before the next try

    async def _cart(self, who: Customer) -> tuple[Any, Any]:
        made = await self.shop.client.answer(
            CREATE_CART, {"currency": "EUR", "key": uuid4().hex}, token=who.token
        )
        if made.errors:
            return None, made.errors
        cart = made.data["createCart"]["cart"]
        lines = [{"sku": "SALT", "quantity": 1}]
        filled = await self.shop.client.answer(
            FILL,
            {"cart": cart["id"], "lines": lines},
            token=who.token,
            read_position=self.position,
        )
        if filled.errors:
            return None, filled.errors
        assert not filled.data["setCartLines"]["userErrors"], filled.data
        return {"id": cart["id"], **filled.data["setCartLines"]["cart"]}, []

    async def _place(self, who: Customer, sent: dict[str, Any]) -> tuple[Any, Any]:
        answer = await self.shop.client.answer(PLACE, {"input": sent}, token=who.token)
        if answer.errors:
            return None, answer.errors
        payload = answer.data["placeOrder"]
        assert not payload["userErrors"], payload
        return payload["order"], []


async def test_the_database_goes_away_and_comes_back(
    own_server: TestServer, tmp_path: Path
) -> None:
    def new_database() -> str:
        return own_server.create_database(f"t_{uuid4().hex}")

    async with whole_shop(shop_settings(tmp_path, new_database)) as shop:
        position = await stocked(shop, {"SALT": ("1.10", 10_000)})
        customers = [await shop.customer(f"buyer-{number}") for number in range(BUYERS)]
        assert await _ready(shop) == (200, {"ready"})
        buyers = Buyers(shop, position)
        buying = [asyncio.create_task(buyers.buy(who)) for who in customers]
        await _until(lambda: len(buyers.acknowledged) >= BEFORE, buying)

        await asyncio.to_thread(own_server.stop)
        reading = asyncio.create_task(shop.client.answer(CATALOGUE))
        status, states = await _ready(shop)
        assert (status, "no database" in states) == (503, True)
        await _until(lambda: buyers.codes, buying)
        answer = await reading
        assert answer.errors, "who answered?"
        assert answer.errors[0]["extensions"]["code"]
        kept = dict(buyers.acknowledged)

        await asyncio.to_thread(own_server.start)
        await _until(lambda: len(buyers.acknowledged) >= len(kept) + BUYERS, buying)
        buyers.stopping = True
        await asyncio.gather(*buying)
        orders = await _settled(shop)
        assert await _ready(shop) == (200, {"ready"})

        totals = {id_: order["total"]["amount"] for id_, order in orders.items()}
        assert totals.items() >= buyers.acknowledged.items(), "an acknowledged order is gone"
        assert {order["status"] for order in orders.values()} == {"COMPLETED"}
        for order in orders.values():
            assert [p["captured"]["amount"] for p in order["payments"]] == ["1.10"]
            sent = [n for n in order["notifications"] if n["template"] == "order_confirmation"]
            assert [note["state"] for note in sent] == ["SENT"]
        books = await shop.ask(BOOKS, shop.staff)
        assert books["paymentReconciliation"] == {"mismatches": 0}
        assert books["stockSummary"] == {
            "received": 10_000,
            "sold": len(orders),
            "onHand": 10_000 - len(orders),
            **dict.fromkeys(("reserved", "allocated", "unbalanced", "guardMismatches"), 0),
        }
        assert buyers.slowest < ANSWER_SECONDS_MAX
        assert set(buyers.codes) <= {"SERVICE_UNAVAILABLE", "SUBREQUEST_TIMEOUT"}, buyers.codes
        assert buyers.codes["SERVICE_UNAVAILABLE"], buyers.codes


async def _ready(shop: WholeShop) -> tuple[int, set[str]]:
    """Status and what the services say of themselves."""

    def asked() -> tuple[int, set[str]]:
        url = shop.url.removesuffix("/graphql") + "/ready"
        try:
            with urllib.request.urlopen(url, timeout=ANSWER_SECONDS_MAX) as answer:
                return answer.status, set(json.load(answer)["services"].values())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, set(json.load(error)["services"].values())

    return await asyncio.to_thread(asked)


async def _until(true: Any, running: list[asyncio.Task[None]]) -> None:
    async with asyncio.timeout(SETTLE_SECONDS_MAX):
        while not true():
            for task in running:
                if task.done():
                    task.result()
            await asyncio.sleep(0.02)


async def _settled(shop: WholeShop) -> dict[str, Any]:
    """All orders by id, once each is final and its customer was told."""
    async with asyncio.timeout(SETTLE_SECONDS_MAX):
        while True:
            orders = await _all_orders(shop)
            if all(
                order["status"] in FINAL
                and order["notifications"]
                and all(note["state"] == "SENT" for note in order["notifications"])
                for order in orders.values()
            ):
                return orders
            await asyncio.sleep(0.05)


async def _all_orders(shop: WholeShop) -> dict[str, Any]:
    """By id, however many there are."""
    orders: dict[str, Any] = {}
    after = None
    while True:
        page = await shop.ask(ORDERS, shop.staff, after=after)
        orders |= {edge["node"]["id"]: edge["node"] for edge in page["edges"]}
        if not page["pageInfo"]["hasNextPage"]:
            return orders
        after = page["pageInfo"]["endCursor"]

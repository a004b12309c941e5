"""What is told to subscribers, and when: products stands for all services."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import pytest

from subgraphs.products.app import build
from subgraphs.shared import changes, service
from subgraphs.shared.auth import Role
from subgraphs.shared.ids import new_id
from subgraphs.shared.service import Service
from tests.support.postgres import TestServer
from tests.support.shop import WAIT_SECONDS_MAX, anonymous, running, settled, staff

pytestmark = pytest.mark.slow

CREATE = """mutation($slug: String!, $publish: Boolean!, $key: ID!) { createProduct(input: {
  slug: $slug, title: "Silk", publish: $publish, idempotencyKey: $key, variants: [
  {sku: $slug, price: {amount: "10", currency: "EUR"}}]}) { product { variants { id } } } }"""
CHANGE = """mutation($id: ID!, $amount: Decimal!, $key: ID!) { changePrice(
  input: {variantId: $id, price: {amount: $amount, currency: "EUR"}}, idempotencyKey: $key) {
  userErrors { code } } }"""
PUBLISH = "mutation($id: ID!) { publishProduct(id: $id) { userErrors { code } } }"
PRICES = "subscription($ids: [ID!]) { priceChanged(variantIds: $ids) { id price { amount } } }"


@pytest.fixture
async def products(database: str) -> AsyncIterator[Service[Any]]:
    async with running(build, database, name="products") as service:
        yield service


async def variant(service: Service[Any], slug: str, *, publish: bool = True) -> str:
    made = await staff(service).ask(CREATE, slug=slug, publish=publish, key=slug)
    await settled(service)
    id_: str = made["product"]["variants"][0]["id"]
    return id_


async def price(service: Service[Any], id_: str, amount: str) -> None:
    found = await staff(service).ask(CHANGE, id=id_, amount=amount, key=new_id("key"))
    assert found["userErrors"] == []


async def test_a_change_is_told_when_it_can_be_read(products: Service[Any]) -> None:
    silk = await variant(products, "silk")
    async with anonymous(products).following(PRICES, ids=[silk]) as following:
        await following.begun()
        for amount in ("11.00", "12.00", "13.00"):  # each of them is seen: nothing stale is shown
            await price(products, silk, amount)
            assert await following.next() == {"id": silk, "price": {"amount": amount}}


async def test_nobody_is_told_before_the_read_models_show_it(
    products: Service[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    silk = await variant(products, "silk")
    shown, wait_for = asyncio.Event(), products.runner.wait_for

    async def late(*args: Any) -> bool:
        await shown.wait()
        return await wait_for(*args)

    monkeypatch.setattr(products.runner, "wait_for", late)
    async with anonymous(products).following(PRICES) as following:
        await following.begun()
        await price(products, silk, "11.00")
        assert await wait_for(await products.store.head(), WAIT_SECONDS_MAX)
        assert following.waits
        shown.set()
        assert (await following.next())["price"] == {"amount": "11.00"}


async def test_each_is_told_what_it_named(products: Service[Any]) -> None:
    silk, jute = await variant(products, "silk"), await variant(products, "jute")
    async with AsyncExitStack() as stack:
        of_silk, of_all = [
            await (
                await stack.enter_async_context(anonymous(products).following(PRICES, ids=ids))
            ).begun()
            for ids in ([silk], None)
        ]
        await price(products, jute, "2.00")
        await price(products, silk, "3.00")
        assert (await of_silk.next())["id"] == silk
        assert [(await of_all.next())["id"] for _ in range(2)] == [jute, silk]


async def test_drafts_are_for_those_who_see_them(products: Service[Any]) -> None:
    draft, silk = await variant(products, "draft", publish=False), await variant(products, "silk")
    async with AsyncExitStack() as stack:
        public, clerk = [
            await (await stack.enter_async_context(client.following(PRICES))).begun()
            for client in (anonymous(products), staff(products, Role.STAFF))
        ]
        await price(products, draft, "2.00")
        await price(products, silk, "3.00")
        assert (await public.next())["id"] == silk
        assert (await clerk.next())["id"] == draft
        clerks = staff(products)
        product = await clerks.ask(
            "query($id: ID!) { variant(id: $id) { product { id } } }", id=draft
        )
        waiting = asyncio.create_task(public.next())
        await price(products, draft, "4.00")
        assert [(await clerk.next())["id"] for _ in range(2)] == [silk, draft]
        await clerks.ask(PUBLISH, id=product["product"]["id"])
        await price(products, draft, "5.00")
        assert await waiting == {"id": draft, "price": {"amount": "5.00"}}


async def test_one_reader_for_all_and_none_for_none(products: Service[Any]) -> None:
    assert products.changes._reader is None
    async with AsyncExitStack() as stack:
        for _ in range(5):
            following = await stack.enter_async_context(anonymous(products).following(PRICES))
            await following.begun()
        readers = [task for task in asyncio.all_tasks() if task.get_name() == "products.changes"]
        assert readers == [products.changes._reader]
    assert products.changes.subscribers == 0
    assert products.changes._reader is None


async def test_who_does_not_keep_up_is_told_so(
    products: Service[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "PENDING_MAX", 2)
    silk = await variant(products, "silk")
    async with AsyncExitStack() as stack:
        quick, slow = [
            await (await stack.enter_async_context(anonymous(products).following(PRICES))).begun()
            for _ in range(2)
        ]
        for n in range(1, 6):
            await price(products, silk, f"{n}.00")
            assert (await quick.next())["price"] == {"amount": f"{n}.00"}
        for _ in range(3):  # one that it held, two that waited
            await slow.next()
        assert await slow.code() == "SUBSCRIBER_TOO_SLOW"


async def test_that_read_models_are_behind_is_told_with_the_first_event(
    products: Service[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "READ_WAIT_SECONDS_MAX", 0.01)
    silk = await variant(products, "silk")
    behind = f"products:{await products.store.head() + 1}"
    client = replace(anonymous(products), headers={"x-read-position": behind})
    async with client.following(PRICES, ids=[silk]) as following:
        await following.begun()
        told = []
        for amount in ("11.00", "12.00"):
            await price(products, silk, amount)
            told.append("stale" in (await following.answer()).get("extensions", {}))
    assert told == [True, False]


async def test_ids_are_bounded(products: Service[Any]) -> None:
    ids = [f"var_{n}" for n in range(changes.TOPICS_MAX + 1)]
    async with anonymous(products).following(PRICES, ids=ids) as following:
        assert await following.code() == "INVALID"


async def test_changes_go_on_after_the_database_was_away(own_server: TestServer) -> None:
    async with running(build, own_server.create_database("products"), name="products") as products:
        silk = await variant(products, "silk")
        async with anonymous(products).following(PRICES) as following:
            await following.begun()
            await price(products, silk, "2.00")
            assert (await following.next())["price"] == {"amount": "2.00"}
            waiting = asyncio.create_task(following.next())
            await asyncio.to_thread(own_server.crash)
            await asyncio.to_thread(own_server.start)
            await price(products, silk, "3.00")
            assert (await waiting)["price"] == {"amount": "3.00"}

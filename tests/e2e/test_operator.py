"""An operator rebuilds the list of orders through the router while customers order."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from lonja.demo.client import RequestFailed
from projections.faults import arm, disarm
from tests.support.goods import WAIT_SECONDS_MAX, finished, ordered, stocked
from tests.support.whole import Customer, WholeShop

pytestmark = pytest.mark.slow

NAME = "order_summaries"
BUYERS, ORDERS_MAX = 3, 30
SEE = """{ ordersProjections { name builds { number state position head lag parkedKeys }
  rebuild { build running percent rate etaSeconds error } } }"""
PAYLOAD = """{ projection { builds { number state } }
  receipt { position replayed } userErrors { code message path } }"""
GIVEN = "$name: String!, $reason: String!, $key: ID!"
TAKEN = "name: $name, reason: $reason, idempotencyKey: $key"
VERIFY = """mutation($name: String!) { verifyOrdersProjection(name: $name) {
  verification { equal differences examples position tables { table liveRows } }
  userErrors { code message } } }"""
ORDERS = "{ orders(first: 100) { edges { node { id } } } }"
EVERYTHING = " ".join(
    f"{service}Projections {{ name builds {{ state lag }} }}"
    f" {service}ParkedEvents(first: 10) {{ edges {{ node {{ key }} }} }}"
    for service in (
        *("users", "products", "inventory", "orders", "payments", "shipping"),
        *("notifications", "journal"),
    )
)


async def act(shop: WholeShop, mutation: str, name: str = NAME, key: str = "") -> Any:
    document = f"mutation({GIVEN}) {{ {mutation}({TAKEN}) {PAYLOAD} }}"
    return await shop.ask(document, shop.staff, name=name, reason="a test", key=key or mutation)


async def done(shop: WholeShop, mutation: str) -> dict[int, str]:
    """The states of the builds after an act that must not be refused."""
    payload = await act(shop, mutation)
    assert payload["userErrors"] == []
    return {each["number"]: each["state"] for each in payload["projection"]["builds"]}


@pytest.fixture
def held() -> Iterator[threading.Event]:
    """Rebuilds wait for it before they are ready."""
    gate = threading.Event()

    def wait() -> None:
        gate.wait(WAIT_SECONDS_MAX)

    arm("rebuild.before_ready", wait)
    yield gate
    gate.set()
    disarm()


class Buying:
    """Customers who order, one order after the other, until they are told that it is enough."""

    def __init__(self, shop: WholeShop, position: str) -> None:
        self.shop, self.position = shop, position
        self.placed: list[str] = []
        self.enough = False
        self._news = asyncio.Event()

    async def by(self, who: Customer) -> None:
        for _ in range(ORDERS_MAX):
            if self.enough:
                return
            order = await ordered(self.shop, who, self.position, {"TEA": 1})
            self.placed.append(order)
            self._news.set()
            await finished(self.shop, order)

    async def until_more(self, orders: int) -> None:
        """Return once so many more have been placed."""
        before = len(self.placed)
        while len(self.placed) < before + orders:
            self._news.clear()
            await self._news.wait()


async def test_rebuilt_while_orders_are_placed(shop: WholeShop, held: threading.Event) -> None:
    buying = Buying(shop, await stocked(shop, {"TEA": ("3.50", 10_000)}))
    buyers = [await shop.customer(f"buyer-{number}") for number in range(BUYERS)]
    async with asyncio.timeout(WAIT_SECONDS_MAX * 2), asyncio.TaskGroup() as tasks:
        for who in buyers:
            tasks.create_task(buying.by(who))
        await buying.until_more(BUYERS)
        assert await done(shop, "rebuildOrdersProjection") == {1: "LIVE", 2: "BUILDING"}
        (refused,) = (await act(shop, "rebuildOrdersProjection", key="again"))["userErrors"]
        assert refused["code"] == "REBUILD_IN_PROGRESS"
        seen = await rebuild(shop, lambda now: now["percent"] > 0)
        assert seen["running"] is True
        held.set()
        now = await rebuild(shop, lambda now: not now["running"])
        assert (now["build"], now["error"]) == (2, None)

        await verified(shop)
        assert await done(shop, "switchOrdersProjection") == {1: "FOLLOWING", 2: "LIVE"}
        await buying.until_more(BUYERS)
        assert await done(shop, "rollBackOrdersProjection") == {1: "LIVE", 2: "FOLLOWING"}
        buying.enough = True

    head = await shop.services["orders"].store.head()
    page = await shop.ask(ORDERS, shop.staff, f"orders:{head}")
    assert {edge["node"]["id"] for edge in page["edges"]} == set(buying.placed)
    await verified(shop)


async def rebuild(shop: WholeShop, true: Callable[[Any], bool]) -> Any:
    """How far the rebuild is, once something is true of it."""
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        while True:
            projections = await shop.ask(SEE, shop.staff)
            now = next(each["rebuild"] for each in projections if each["name"] == NAME)
            if true(now):
                return now
            await asyncio.sleep(0.02)  # between two looks at a condition


async def verified(shop: WholeShop) -> None:
    """Both builds show the same."""
    payload = await shop.ask(VERIFY, shop.staff, name=NAME)
    assert payload["userErrors"] == []
    assert payload["verification"]["equal"], payload["verification"]["examples"]


async def test_one_request_shows_all_services(shop: WholeShop) -> None:
    seen = await shop.ask(f"{{ {EVERYTHING} }}", shop.staff)
    states = [
        build["state"]
        for name, projections in seen.items()
        if name.endswith("Projections")
        for projection in projections
        for build in projection["builds"]
    ]
    assert states.count("LIVE") > 10
    assert seen["journalProjections"] == []
    assert not any(seen[name]["edges"] for name in seen if name.endswith("ParkedEvents"))


async def test_a_reactor_is_not_rebuilt(shop: WholeShop) -> None:
    reactor = shop.services["orders"].reactors[0].name
    payload = await act(shop, "rebuildOrdersProjection", reactor, key="reactor")
    (error,) = payload["userErrors"]
    assert (error["code"], error["path"]) == ("NOT_A_PROJECTION", ["name"])
    assert "never replayed" in error["message"]


async def test_a_customer_may_not(shop: WholeShop) -> None:
    ada = await shop.customer("ada")
    for document in (SEE, VERIFY.replace("$name: String!", '$name: String! = "users"')):
        with pytest.raises(RequestFailed, match="OPERATOR"):
            await shop.ask(document, ada.token)

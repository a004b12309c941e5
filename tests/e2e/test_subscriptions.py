"""Orders and the log as they go on, through the router: what is told can be read at once."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from tests.support.goods import finished, ordered, shown, stocked
from tests.support.streams import Stream, streaming
from tests.support.whole import WholeShop

pytestmark = pytest.mark.slow

UPDATES = """subscription($id: ID!) { orderUpdated(id: $id) {
  eventType position order { id status customer { email }
    lines { variant { sku product { title } } } payments { state } } } }"""
TAIL = """subscription($where: EventWhere, $after: String) {
  eventLog(where: $where, after: $after) { type streamId cursor actor { user { email } } } }"""
PAYMENTS = "query($id: ID!) { order(id: $id) { payments { id state } } }"
ANSWER = """mutation($id: ID!, $key: ID!) { answerPaymentAction(
  paymentId: $id, answer: "approve", idempotencyKey: $key) { userErrors { code } } }"""
GRANT = """mutation($id: ID!) { grantRole(userId: $id, role: AUDITOR, reason: "audit") {
  userErrors { code } } }"""
READS = """query($where: AuditReadWhere) {
  auditReads(first: 100, where: $where) { edges { node { events } } } }"""


def subscribed(
    shop: WholeShop, query: str, token: str, **variables: Any
) -> AbstractAsyncContextManager[Stream]:
    port = urlsplit(shop.url).port
    assert port is not None
    headers = {"authorization": f"Bearer {token}"}
    return streaming(port, query, variables=variables, headers=headers)


async def told(stream: Stream) -> dict[str, Any]:
    """The root field of the next answer, which has no errors."""
    name, answer = await stream.event()
    assert name == "next"
    assert "errors" not in answer, answer
    (value,) = answer["data"].values()
    return dict(value)


async def refused(stream: Stream) -> str:
    """The code of the one error that is all there is."""
    _, answer = await stream.event()
    (error,) = answer["errors"]
    assert answer.get("data") is None
    assert (await stream.event())[0] == "complete"
    return str(error["extensions"]["code"])


async def open_streams(shop: WholeShop, service: str, subscribers: int) -> None:
    """Wait until so many are told of what happens in a service."""

    async def now() -> int:
        return shop.services[service].changes.subscribers

    assert await shown(now, lambda found: found == subscribers) == subscribers


async def test_an_order_is_seen_going_on(shop: WholeShop) -> None:
    position = await stocked(shop, {"VASE": ("12.00", 5)})
    who, other = await shop.customer("watcher"), await shop.customer("stranger")
    order_id = await ordered(shop, who, position, {"VASE": 1}, paymentMethodToken="tok_3ds")
    page = await shown(
        lambda: shop.ask(PAYMENTS, who.token, id=order_id),
        lambda order: order is not None and order["payments"] != [],
    )
    async with subscribed(shop, UPDATES, other.token, id=order_id) as stream:
        assert await refused(stream) == "NOT_FOUND"
    async with subscribed(shop, UPDATES, who.token, id=order_id) as stream:
        await open_streams(shop, "orders", 1)
        answered = await shop.ask(ANSWER, who.token, id=page["payments"][0]["id"], key=uuid4().hex)
        assert answered["userErrors"] == []
        update = await told(stream)
        while update["order"]["status"] != "CONFIRMED":
            update = await told(stream)
        order = update["order"]
        assert order["id"] == order_id
        assert order["customer"]["email"] == "watcher@lonja.example"
        assert order["lines"][0]["variant"]["product"]["title"] == "Title of VASE"
        assert order["payments"] != []
        while update["order"]["status"] != "COMPLETED":
            update = await told(stream)
    await open_streams(shop, "orders", 0)


async def test_an_auditor_tails_the_log_and_goes_on_where_they_left(shop: WholeShop) -> None:
    position = await stocked(shop, {"BOWL": ("3.00", 5)})
    who = await shop.customer("buyer")
    async with subscribed(shop, TAIL, who.token) as stream:
        assert await refused(stream) == "FORBIDDEN"
    me = await shop.ask("{ me { id } }", shop.staff)
    assert (await shop.ask(GRANT, shop.staff, id=me["id"]))["userErrors"] == []
    auditor = (await shop.sign_in("staff@lonja.example")).token
    order_id = await ordered(shop, who, position, {"BOWL": 1})
    await finished(shop, order_id)
    where = {"service": ["orders"], "streamId": order_id}
    async with subscribed(shop, TAIL, auditor, where=where, after="orders:0") as stream:
        placed = await told(stream)
    assert (placed["type"], placed["streamId"]) == ("order.placed", order_id)
    assert placed["actor"]["user"]["email"] == "buyer@lonja.example"
    seen = [placed["type"]]
    async with subscribed(shop, TAIL, auditor, where=where, after=placed["cursor"]) as stream:
        while seen[-1] != "order.completed":
            seen.append((await told(stream))["type"])
    assert len(seen) == len(set(seen))
    assert "order.confirmed" in seen
    reads = await shop.ask(READS, auditor, where={"readerId": me["id"]})
    assert sum(edge["node"]["events"] for edge in reads["edges"]) >= len(seen)

"""Webhooks over a real database, told by a real log, heard by a real server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from eventstore.event import Event, event_type
from subgraphs.notifications.app import build
from subgraphs.notifications.schema import NotificationsResources
from subgraphs.notifications.webhook import signature
from subgraphs.shared.auth import Role
from subgraphs.shared.ids import new_id
from subgraphs.shared.service import Service
from tests.support.shop import (
    WAIT_SECONDS_MAX,
    Clock,
    anonymous,
    customer,
    running,
    settled,
    staff,
)
from tests.support.telling import Teller, telling

CREATE = """mutation($url: String!, $types: [String!]!) {
  createWebhook(url: $url, eventTypes: $types) {
  webhookId secret receipt { position } userErrors { code path } } }"""
LIST = """{ webhooks(first: 10) { edges { node {
  id url eventTypes disabledReason delivered failed } } } }"""


pytestmark = pytest.mark.slow  # three databases each


@event_type("user.erased")
class UserErased(Event, frozen=True):
    user_id: str
    reason: str


@event_type("order.confirmed")
class OrderConfirmed(Event, frozen=True):
    order_id: str
    number: str
    customer_id: str
    total_minor: int
    currency: str


@dataclass
class Receiver:
    """A server that answers with the statuses it is told to, 204 when there are none."""

    statuses: list[int] = field(default_factory=list)
    heard: list[tuple[dict[str, str], str]] = field(default_factory=list)
    url: str = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        lines = [line.split(": ", 1) for line in head.split("\r\n")[1:-2]]
        headers = {name.lower(): value for name, value in lines}
        body = await reader.readexactly(int(headers["content-length"]))
        self.heard.append((headers, body.decode()))
        status = self.statuses.pop(0) if self.statuses else 204
        writer.write(f"HTTP/1.1 {status} X\r\ncontent-length: 0\r\n\r\n".encode())
        await writer.drain()
        writer.close()
        await writer.wait_closed()


@dataclass
class Shop:
    users: Teller
    orders: Teller
    notifications: Service[NotificationsResources]
    receiver: Receiver
    clock: Clock

    async def hook(self) -> Any:
        payload = await staff(self.notifications).ask(
            CREATE, url=self.receiver.url, types=["order.confirmed"]
        )
        assert payload["userErrors"] == []
        await settled(self.notifications)
        return payload

    async def confirm(self) -> str:
        order_id = new_id("ord")
        event = OrderConfirmed(order_id, "1001", "usr_1", 1050, "EUR")
        await self.orders.tell(order_id, event)
        return order_id

    async def until(self, type_: str, count: int = 1) -> None:
        after = 0
        while len(await self.notifications.store.read(0, types=[type_])) < count:
            head = await self.notifications.store.wait(after, WAIT_SECONDS_MAX)
            assert head > after, f"no {type_}"
            after = head
        await settled(self.notifications)


@pytest.fixture
async def shop(new_database: Callable[[], str], tmp_path: Path) -> AsyncIterator[Shop]:
    async with AsyncExitStack() as stack:
        users = await stack.enter_async_context(telling("users", new_database(), UserErased))
        orders = await stack.enter_async_context(telling("orders", new_database(), OrderConfirmed))
        receiver, clock = Receiver(), Clock()
        server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
        await stack.enter_async_context(server)
        receiver.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hooks?a=b"
        service = await stack.enter_async_context(
            running(
                build,
                new_database(),
                name="notifications",
                feeds={"users": users.feed, "orders": orders.feed},
                settings={
                    "mailbox_dir": tmp_path,
                    "timer_poll_seconds": 0.02,
                    "webhooks_insecure": True,
                },
                clock=clock,
            )
        )
        yield Shop(users, orders, service, receiver, clock)


async def test_a_webhook_hears_of_orders_signed(shop: Shop) -> None:
    created = await shop.hook()
    order_id = await shop.confirm()
    await shop.until("webhook.delivered")
    ((headers, body),) = shop.receiver.heard
    told = json.loads(body)
    assert told["type"] == "order.confirmed"
    assert told["data"]["order_id"] == order_id
    assert headers["webhook-signature"] == signature(
        created["secret"], headers["webhook-id"], int(headers["webhook-timestamp"]), body
    )
    (edge,) = (await staff(shop.notifications).ask(LIST))["edges"]
    assert edge["node"] == {
        "id": created["webhookId"],
        "url": shop.receiver.url,
        "eventTypes": ["order.confirmed"],
        "disabledReason": None,
        "delivered": 1,
        "failed": 0,
    }


async def test_a_receiver_in_trouble_is_told_again_the_same(shop: Shop) -> None:
    await shop.hook()
    shop.receiver.statuses = [500, 302]
    await shop.confirm()
    for attempt in (1, 2):
        await shop.until("webhook.delivery_failed", attempt)
        shop.clock.forward(seconds=30)
    await shop.until("webhook.delivered")
    assert len(shop.receiver.heard) == 3
    assert len({headers["webhook-id"] for headers, _ in shop.receiver.heard}) == 1
    assert len({body for _, body in shop.receiver.heard}) == 1


async def test_a_receiver_that_is_gone_is_not_told_any_more(shop: Shop) -> None:
    await shop.hook()
    shop.receiver.statuses = [410]
    await shop.confirm()
    await shop.until("webhook.disabled")
    (edge,) = (await staff(shop.notifications).ask(LIST))["edges"]
    assert edge["node"]["disabledReason"] == "given up: status 410"
    assert edge["node"]["failed"] == 1
    await shop.confirm()
    head = await shop.orders.store.head()
    assert await shop.notifications.reactor_runner.wait_for("orders", head, WAIT_SECONDS_MAX)
    assert len(await shop.notifications.store.read(0, types=["webhook.delivery_queued"])) == 1


async def test_webhooks_are_the_staffs_business(shop: Shop) -> None:
    create = {"url": shop.receiver.url, "types": ["order.confirmed"]}
    disable = 'mutation { disableWebhook(id: "whk_1", reason: "x") { userErrors { code } } }'
    for client, code in (
        (anonymous(shop.notifications), "UNAUTHENTICATED"),
        (customer(shop.notifications), "FORBIDDEN"),
        (staff(shop.notifications, Role.AUDITOR), "FORBIDDEN"),
    ):
        assert await client.code(CREATE, **create) == code
        assert await client.code(LIST) == code
        assert await client.code(disable) == code
    refused = await staff(shop.notifications).ask(disable)
    assert refused["userErrors"] == [{"code": "NOT_FOUND"}]
    refused = await staff(shop.notifications).ask(CREATE, url="ftp://x", types=["order.confirmed"])
    assert refused["userErrors"] == [{"code": "INVALID", "path": ["url"]}]
    assert refused["secret"] is None


async def test_the_secret_is_shown_once_and_never_logged(shop: Shop) -> None:
    created = await shop.hook()
    page = await shop.notifications.full_feed.read(0, limit=100)
    assert created["secret"].encode() not in b"".join(event.data for event in page.events)


async def test_nothing_more_is_told_of_somebody_erased(shop: Shop) -> None:
    await shop.hook()
    shop.receiver.statuses = [500]
    await shop.confirm()
    await shop.until("webhook.delivery_failed")
    before = len(shop.receiver.heard)
    await shop.users.tell("usr_1", UserErased("usr_1", "asked to"))
    head = await shop.users.store.head()
    assert await shop.notifications.reactor_runner.wait_for("users", head, WAIT_SECONDS_MAX)
    shop.clock.forward(hours=1)
    await shop.until("webhook.delivery_failed", 2)
    await shop.confirm()
    head = await shop.orders.store.head()
    assert await shop.notifications.reactor_runner.wait_for("orders", head, WAIT_SECONDS_MAX)
    [queued] = await shop.notifications.store.read(0, types=["webhook.delivery_queued"])
    assert queued.event.body == "erased"
    assert len(shop.receiver.heard) == before

"""The notifications service, told by real logs of users and orders."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from email import message_from_bytes
from pathlib import Path
from typing import Any

import pytest

from eventstore.event import Event, event_type
from subgraphs.notifications.app import build
from subgraphs.notifications.schema import NotificationsResources
from subgraphs.shared.auth import Role
from subgraphs.shared.ids import new_id
from subgraphs.shared.service import Service
from tests.support.shop import (
    WAIT_SECONDS_MAX,
    Clock,
    anonymous,
    customer,
    rebuilt_alike,
    running,
    same_versions,
    settled,
    staff,
)
from tests.support.telling import Teller, telling

pytestmark = pytest.mark.slow  # three databases each


@event_type("user.registered")
class UserRegistered(Event, frozen=True):
    user_id: str
    email: str
    display_name: str | None
    something_new: int = 1


@event_type("user.erasure_requested")
class ErasureRequested(Event, frozen=True):
    user_id: str


@event_type("user.erased")
class UserErased(Event, frozen=True):
    user_id: str
    reason: str = "asked to"


@event_type("order.confirmed")
class OrderConfirmed(Event, frozen=True):
    order_id: str
    number: str
    customer_id: str
    total_minor: int
    currency: str


@event_type("order.rejected")
class OrderRejected(Event, frozen=True):
    order_id: str
    number: str
    customer_id: str
    total_minor: int
    currency: str
    reason: str


@dataclass
class Shop:
    users: Teller
    orders: Teller
    notifications: Service[NotificationsResources]
    mailbox: Path
    clock: Clock

    async def register(self) -> str:
        user_id = new_id("usr")
        await self.users.tell(user_id, UserRegistered(user_id, f"{user_id}@example.com", "Ana"))
        await self.heard()  # else an order may be heard of first, and its mail is put off
        return user_id

    async def confirm(self, user_id: str, number: str = "1001") -> str:
        order_id = new_id("ord")
        event = OrderConfirmed(order_id, number, user_id, 1050, "EUR")
        await self.orders.tell(order_id, event)
        return order_id

    async def heard(self) -> None:
        """Wait until everything told so far has had its effect here."""
        for teller in (self.users, self.orders):
            head = await teller.store.head()
            assert await self.notifications.reactor_runner.wait_for(
                teller.store.name, head, WAIT_SECONDS_MAX
            )

    async def until(self, type_: str, count: int) -> None:
        """Wait until so many events of a type are in the log of notifications."""
        after = 0
        while True:
            found = await self.notifications.store.read(0, types=[type_])
            if len(found) >= count:
                break
            head = await self.notifications.store.wait(after, WAIT_SECONDS_MAX)
            assert head > after, f"{len(found)} of {count} {type_}"
            after = head
        await settled(self.notifications)

    async def put_off(self) -> None:
        """Wait until a mail was tried in vain, and is to be tried again later."""
        failed = "SELECT stream FROM projections.timers WHERE attempts > 0"
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            while True:
                if await self.notifications.reads.fetch(failed):
                    return
                await asyncio.sleep(0.01)  # between two looks at a condition

    def mails(self) -> list[Any]:
        folder = self.mailbox / "new"
        return [message_from_bytes(file.read_bytes()) for file in sorted(folder.glob("*"))]


@pytest.fixture
async def shop(new_database: Callable[[], str], tmp_path: Path) -> AsyncIterator[Shop]:
    async with AsyncExitStack() as stack:
        users = await stack.enter_async_context(
            telling("users", new_database(), UserRegistered, ErasureRequested, UserErased)
        )
        orders = await stack.enter_async_context(
            telling("orders", new_database(), OrderConfirmed, OrderRejected)
        )
        clock, mailbox = Clock(), tmp_path / "mailbox"
        service = await stack.enter_async_context(
            running(
                build,
                new_database(),
                name="notifications",
                feeds={"users": users.feed, "orders": orders.feed},
                settings={"mailbox_dir": mailbox, "timer_poll_seconds": 0.02},
                clock=clock,
            )
        )
        yield Shop(users, orders, service, mailbox, clock)


OF_ORDER = """... on Order { notifications { id state template channel subject attempts
  recipient { id } order { id } } }"""


async def test_one_mail_for_each_confirmed_order(shop: Shop) -> None:
    user_id = await shop.register()
    orders = [await shop.confirm(user_id, str(n)) for n in range(3)]
    for order_id in orders:  # told again, by another event: still one mail
        again = OrderConfirmed(order_id, "x", user_id, 1050, "EUR")
        await shop.orders.tell(order_id, again)
    await shop.heard()
    await shop.until("notification.sent", 3)
    assert sorted(mail["Subject"] for mail in shop.mails()) == [
        f"Your order {n} is confirmed" for n in range(3)
    ]
    assert {mail["X-Lonja-Order"] for mail in shop.mails()} == set(orders)
    totals = "{ notificationTotals { template channel state count orders } }"
    assert await staff(shop.notifications).ask(totals) == [
        {
            "template": "order_confirmation",
            "channel": "EMAIL",
            "state": "SENT",
            "count": 3,
            "orders": 3,
        }
    ]
    assert await customer(shop.notifications).code(totals) == "FORBIDDEN"
    sent = await shop.notifications.store.read(0, types=["notification.sent"])
    told = await shop.orders.store.read(0)
    assert {str(event.metadata.correlation_id) for event in sent} <= {
        event.metadata.correlation_id for event in told
    }


async def test_a_mail_waits_for_an_address_that_is_not_known_yet(shop: Shop) -> None:
    user_id = new_id("usr")
    await shop.confirm(user_id)
    await shop.heard()
    await shop.put_off()
    assert shop.mails() == []
    await shop.users.tell(user_id, UserRegistered(user_id, "late@example.com", None))
    await shop.heard()
    shop.clock.forward(minutes=5)
    await shop.until("notification.sent", 1)
    assert shop.mails()[0]["To"] == "late@example.com"


async def test_who_asked_to_be_forgotten_gets_no_mail(shop: Shop) -> None:
    user_id = await shop.register()
    await shop.users.tell(user_id, ErasureRequested(user_id))
    await shop.heard()
    await shop.confirm(user_id)
    await shop.until("notification.suppressed", 1)
    assert shop.mails() == []


async def test_mails_of_somebody_erased_are_taken_back_and_no_more_are_sent(shop: Shop) -> None:
    user_id, other = await shop.register(), await shop.register()
    for each in (user_id, other):
        await shop.confirm(each)
    await shop.until("notification.sent", 2)
    read = next((shop.mailbox / "new").iterdir())  # as a reader of the mailbox moves it
    read.rename(shop.mailbox / "cur" / f"{read.name}:2,S")
    await shop.users.tell(user_id, UserErased(user_id))
    await shop.heard()
    await shop.confirm(user_id, "1002")
    await shop.until("notification.suppressed", 1)
    head = await shop.notifications.store.head()
    assert await shop.notifications.reactor_runner.wait_for("notifications", head, WAIT_SECONDS_MAX)
    kept = [path.read_text() for path in shop.mailbox.rglob("*") if path.is_file()]
    assert [f"{other}@example.com" in text for text in kept] == [True]
    await shop.users.tell(user_id, UserRegistered(user_id, "late@example.com", "Ana"))
    await shop.heard()
    assert len(await shop.notifications.store.read(0, types=["recipient.registered"])) == 2


async def test_a_mailbox_in_trouble_is_tried_again(shop: Shop) -> None:
    shop.mailbox.write_text("a file in the way")
    await shop.confirm(await shop.register())
    await shop.until("notification.attempt_failed", 1)
    shop.mailbox.unlink()
    shop.clock.forward(seconds=16)
    await shop.until("notification.sent", 1)
    assert len(shop.mails()) == 1


async def test_bad_news_is_told_in_the_app(shop: Shop) -> None:
    user_id = await shop.register()
    order_id = new_id("ord")
    event = OrderRejected(order_id, "1001", user_id, 1050, "EUR", "OUT_OF_STOCK")
    await shop.orders.tell(order_id, event)
    await shop.heard()
    await settled(shop.notifications)
    query = """... on User { notifications(first: 10) {
      edges { node { channel state subject text } } } }"""
    reference = {"__typename": "User", "id": user_id}
    (user,) = await customer(shop.notifications, user_id).entities(query, reference)
    (edge,) = user["notifications"]["edges"]
    assert edge["node"]["channel"] == "IN_APP"
    assert edge["node"]["state"] == "SENT"
    assert "OUT_OF_STOCK" in edge["node"]["text"]
    assert shop.mails() == []


async def test_notifications_are_seen_by_whom_they_are_for(shop: Shop) -> None:
    user_id = await shop.register()
    order_id = await shop.confirm(user_id)
    await shop.until("notification.sent", 1)
    of_order = {"__typename": "Order", "id": order_id}
    of_user = {"__typename": "User", "id": user_id}
    page = "... on User { notifications(first: 5) { edges { node { id } } } }"
    (order,) = await staff(shop.notifications).entities(OF_ORDER, of_order)
    (seen,) = order["notifications"]
    assert seen["recipient"] == {"id": user_id}
    one = "query($id: ID!) { notification(id: $id) { id } }"
    node = {"__typename": "Notification", "id": seen["id"]}
    for client, sees in (
        (customer(shop.notifications, user_id), True),
        (staff(shop.notifications, Role.AUDITOR), True),
        (customer(shop.notifications), False),
        (anonymous(shop.notifications), False),
    ):
        (order,) = await client.entities(OF_ORDER, of_order)
        assert order["notifications"] == ([seen] if sees else [])
        (user,) = await client.entities(page, of_user)
        assert bool(user["notifications"]["edges"]) is sees
        assert await client.entities("... on Notification { state }", node) == [
            {"state": "SENT"} if sees else None
        ]
        if client.user_id is not None:
            assert await client.ask(one, id=seen["id"]) == ({"id": seen["id"]} if sees else None)
    assert await anonymous(shop.notifications).code(one, id=seen["id"]) == "UNAUTHENTICATED"


RESEND = """mutation($id: ID!, $key: ID!) { resendNotification(id: $id, idempotencyKey: $key) {
  notification { state } receipt { replayed } userErrors { code } } }"""


async def test_a_mail_is_sent_once_more_when_asked(shop: Shop) -> None:
    user_id = await shop.register()
    order_id = await shop.confirm(user_id)
    await shop.until("notification.sent", 1)
    reference = {"__typename": "Order", "id": order_id}
    client = customer(shop.notifications, user_id)
    (order,) = await client.entities(OF_ORDER, reference)
    id_ = order["notifications"][0]["id"]
    payload = await client.ask(RESEND, id=id_, key="k")
    assert payload["notification"] == {"state": "QUEUED"}
    assert (await client.ask(RESEND, id=id_, key="k"))["receipt"] == {"replayed": True}
    await shop.until("notification.sent", 2)
    assert len(shop.mails()) == 2
    assert len({mail["Message-ID"] for mail in shop.mails()}) == 2
    for stranger in (customer(shop.notifications), staff(shop.notifications, Role.OPERATOR)):
        refused = await stranger.ask(RESEND, id=id_, key="l")
        assert refused["userErrors"] == [{"code": "NOT_FOUND"}]
    assert await anonymous(shop.notifications).code(RESEND, id=id_, key="l") == "UNAUTHENTICATED"


async def test_statements_do_not_grow_with_rows(shop: Shop) -> None:
    users = [await shop.register() for _ in range(4)]
    orders = [await shop.confirm(user_id) for user_id in users]
    await shop.until("notification.sent", 4)
    client = staff(shop.notifications)
    page = "... on User { notifications(first: 5) { edges { node { id } } } }"
    counts = []
    for n in (1, 4):
        before = shop.notifications.reads.statements
        await client.entities(OF_ORDER, *({"__typename": "Order", "id": id_} for id_ in orders[:n]))
        await client.entities(page, *({"__typename": "User", "id": id_} for id_ in users[:n]))
        counts.append(shop.notifications.reads.statements - before)
    assert counts[0] == counts[1] == 2


async def test_read_models_come_out_of_the_log_again(shop: Shop) -> None:
    user_id = await shop.register()
    for _ in range(2):
        await shop.confirm(user_id)
    await shop.until("notification.sent", 2)
    payload = await staff(shop.notifications).ask(
        'mutation { createWebhook(url: "https://shop.example/", eventTypes: ["order.placed"]) {'
        " userErrors { code } } }"
    )
    assert payload == {"userErrors": []}
    await same_versions(shop.notifications, "notifications")
    await rebuilt_alike(shop.notifications)


RECEIVED = "subscription { notificationReceived { template order { id } recipient { id } } }"


async def test_each_receives_their_own(shop: Shop) -> None:
    ana, bob = await shop.register(), await shop.register()
    await shop.heard()
    async with (
        customer(shop.notifications, ana).following(RECEIVED) as of_ana,
        customer(shop.notifications, bob).following(RECEIVED) as of_bob,
    ):
        await of_ana.begun()
        await of_bob.begun()
        orders = {user: await shop.confirm(user) for user in (ana, bob)}
        for user, following in ((bob, of_bob), (ana, of_ana)):
            received = await following.next()
            assert received["recipient"] == {"id": user}
            assert received["order"] == {"id": orders[user]}
    async with anonymous(shop.notifications).following(RECEIVED) as following:
        assert await following.code() == "UNAUTHENTICATED"

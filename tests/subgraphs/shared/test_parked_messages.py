"""What a service could not react to, as its operator sees it: the same in all of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from subgraphs.notifications.app import build
from subgraphs.shared.auth import Role
from subgraphs.shared.service import Service
from tests.support.memory_feed import MemoryFeed
from tests.support.shop import WAIT_SECONDS_MAX, Client, anonymous, running, staff

pytestmark = pytest.mark.slow

REACTOR = "notifications.known_recipients"
PARKED = """query($first: Int!, $after: String) {
  notificationsParkedMessages(first: $first, after: $after) {
  edges { node { reactor stream position messages error traceback attempts redriving } }
  pageInfo { hasNextPage endCursor } } }"""
PAYLOAD = "{ receipt { position version replayed } userErrors { code message path } }"
REDRIVE = f"""mutation($name: String!, $stream: String, $reason: String!, $key: ID!) {{
  redriveNotificationsReactor(name: $name, stream: $stream, reason: $reason,
  idempotencyKey: $key) {PAYLOAD} }}"""
SKIP = f"""mutation($name: String!, $stream: String!, $reason: String!, $key: ID!) {{
  skipNotificationsMessage(name: $name, stream: $stream, reason: $reason,
  idempotencyKey: $key) {PAYLOAD} }}"""


@pytest.fixture
async def service(database: str) -> AsyncIterator[Service[Any]]:
    """Notifications, told twice of users in a way that it cannot read, and then properly."""
    users = MemoryFeed("users")
    feeds = {"users": users, "orders": MemoryFeed("orders")}
    for user in ("usr_1", "usr_2"):
        await users.publish("user.registered", {"user_id": 5}, stream=user)
        good = {"user_id": user, "email": f"{user}@lonja.example"}
        await users.publish("user.registered", good, stream=user)
    async with running(build, database, name="notifications", feeds=feeds) as service:
        assert await service.reactor_runner.wait_for("users", 4, WAIT_SECONDS_MAX, [REACTOR])
        yield service


def operator(service: Service[Any]) -> Client:
    return staff(service, Role.OPERATOR)


async def parked(who: Client, **page: Any) -> list[dict[str, Any]]:
    answer = await who.ask(PARKED, **{"first": 10, **page})
    return [edge["node"] for edge in answer["edges"]]


async def until(who: Client, true: Callable[[list[dict[str, Any]]], bool]) -> None:
    """Return once something is true of what is parked."""
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        while True:
            if true(await parked(who)):
                return
            await asyncio.sleep(0.02)  # between two looks at a condition


async def test_they_are_listed_redriven_and_skipped(service: Service[Any]) -> None:
    who = operator(service)
    first = await who.ask(PARKED, first=1)
    assert first["pageInfo"]["hasNextPage"] is True
    (node,) = (edge["node"] for edge in first["edges"])
    assert "Traceback" in node.pop("traceback")
    assert "Expected `str`, got `int`" in node.pop("error")
    assert node == {
        **{"reactor": REACTOR, "stream": "usr_1", "position": "users:1", "messages": 2},
        **{"attempts": 1, "redriving": False},
    }
    (second,) = await parked(who, after=first["pageInfo"]["endCursor"])
    assert second["stream"] == "usr_2"

    given = {"name": REACTOR, "reason": "a look", "stream": "usr_1"}
    redriven = await who.ask(REDRIVE, key="one", **given)
    assert redriven["userErrors"] == []
    await until(who, lambda nodes: nodes[0]["attempts"] == 2)
    assert (await who.ask(REDRIVE, key="one", **given))["receipt"]["replayed"] is True

    given["reason"] = "nobody can read it"
    assert (await who.ask(SKIP, key="two", **given))["userErrors"] == []
    await until(who, lambda nodes: [node["stream"] for node in nodes] == ["usr_2"])
    found = await service.store.read(0, types=["recipient.registered"])
    assert [recorded.event.user_id for recorded in found] == ["usr_1"]
    events = await service.store.read_stream(f"reactor_{REACTOR}")
    assert [(event.type, event.metadata.reason, event.metadata.actor.id) for event in events] == [
        ("reactor.redriven", "a look", who.user_id),
        ("reactor.message_skipped", "nobody can read it", who.user_id),
    ]


async def test_what_cannot_be_done_is_refused(service: Service[Any]) -> None:
    who = operator(service)
    given = {"name": REACTOR, "stream": "usr_1", "reason": "r", "key": "k"}
    for query in (PARKED, REDRIVE, SKIP):
        assert await anonymous(service).code(query, first=1, **given) == "UNAUTHENTICATED"
        assert (
            await staff(service, *(role for role in Role if role is not Role.OPERATOR)).code(
                query, first=1, **given
            )
            == "FORBIDDEN"
        )
    for mutation in (REDRIVE, SKIP):
        for changed, expected in [
            ({"name": "nothing"}, ("UNKNOWN_REACTOR", ["name"])),
            ({"name": "notifications"}, ("UNKNOWN_REACTOR", ["name"])),
            ({"stream": "usr_9"}, ("NOTHING_PARKED", ["stream"])),
            ({"reason": " "}, ("INVALID", ["reason"])),
        ]:
            (error,) = (await who.ask(mutation, **{**given, **changed}))["userErrors"]
            assert (error["code"], error["path"]) == expected

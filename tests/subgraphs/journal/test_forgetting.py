"""The journal forgets with the others: what it copied of a person is sealed with its own keys."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from eventstore import SubjectErased
from eventstore.event import Actor, Client, Event, Metadata, Personal, event_type
from subgraphs.journal.app import build
from subgraphs.journal.personal import client_of, erased
from subgraphs.journal.schema import JournalResources
from subgraphs.shared.auth import Role
from subgraphs.shared.ids import new_id
from subgraphs.shared.service import Service
from tests.support.leftovers import in_database
from tests.support.shop import WAIT_SECONDS_MAX, running, settled, staff
from tests.support.telling import Teller, telling

pytestmark = pytest.mark.slow

NAME, EMAIL, IP = "Zsófia Ünnep-Árvay", "zsofia.unnep@example.com", "203.0.113.77"
PERSON = (NAME, EMAIL, IP)


@event_type("user.registered", subject="user_id")
class UserRegistered(Event, frozen=True):
    user_id: str
    email: Personal[str]
    names: Personal[list[str]]
    age: Personal[int | None] = None


@event_type("user.erased")
class UserErased(Event, frozen=True):
    user_id: str
    reason: str


@dataclass
class Shop:
    users: Teller
    journal: Service[JournalResources]
    database: str

    async def register(self, user_id: str) -> None:
        await self.users.tell(
            user_id,
            UserRegistered(user_id, EMAIL, [NAME, "Zsófi"], 44),
            actor=Actor("user", user_id),
            client=Client(IP, "a browser"),
        )
        await self.copied()

    async def erase(self, user_id: str) -> None:
        await self.users.tell(user_id, UserErased(user_id, "she wants it"))
        head = await self.users.store.head()
        assert await self.journal.reactor_runner.wait_for("users", head, WAIT_SECONDS_MAX)

    async def copied(self) -> None:
        head = await self.users.store.head()
        follower = self.journal.resources.follower
        assert await follower.wait_for("users", head, WAIT_SECONDS_MAX)

    async def shown(self, user_id: str) -> Any:
        """Data and address of the registration of a user."""
        query = """query($id: ID!) {
          eventLog(first: 9, where: {streamId: $id, type: "user.registered"}) {
          edges { node { data actor { ip } } } } }"""
        page = await staff(self.journal, Role.AUDITOR).ask(query, id=user_id)
        node = page["edges"][-1]["node"]
        return {**node["data"], "ip": node["actor"]["ip"]}


@pytest.fixture
async def shop(new_database: Callable[[], str]) -> AsyncIterator[Shop]:
    async with AsyncExitStack() as stack:
        users = await stack.enter_async_context(
            telling("users", new_database(), UserRegistered, UserErased, SubjectErased)
        )
        database = new_database()
        journal = await stack.enter_async_context(
            running(build, database, name="journal", feeds={"users": users.full_feed})
        )
        yield Shop(users, journal, database)


def full(user_id: str) -> dict[str, Any]:
    names = [NAME, "Zsófi"]
    return {"user_id": user_id, "email": EMAIL, "names": names, "age": 44, "ip": IP}


def forgotten(user_id: str) -> dict[str, Any]:
    said = {"email": "erased", "names": ["erased"], "age": None, "ip": "erased"}
    return {"user_id": user_id, **said}


async def test_a_person_is_read_until_they_are_erased(shop: Shop) -> None:
    user_id, other = new_id("usr"), new_id("usr")
    for each in (user_id, other):
        await shop.register(each)
    assert await shop.shown(user_id) == full(user_id)
    assert in_database(shop.database, PERSON) == {}, "sealed"
    await shop.erase(user_id)
    assert await shop.shown(user_id) == forgotten(user_id)
    assert await shop.shown(other) == full(other)


async def test_what_is_copied_after_an_erasure_is_not_kept(shop: Shop) -> None:
    user_id = new_id("usr")
    await shop.erase(user_id)
    await shop.register(user_id)  # as when the copying is late
    assert await shop.shown(user_id) == forgotten(user_id)
    with psycopg.connect(shop.database) as connection:
        query = "SELECT sealed, client FROM public.journal_events WHERE stream = %s"
        rows = connection.execute(query, (user_id,)).fetchall()
    assert set(rows) == {(None, None)}


async def test_copies_from_before_are_made_anew(
    shop: Shop, new_database: Callable[[], str]
) -> None:
    user_id, database = new_id("usr"), new_database()
    await shop.register(user_id)
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CREATE TABLE public.journal_events (ip text, data jsonb)")
        connection.execute("INSERT INTO public.journal_events VALUES (%s, NULL)", (IP,))
        connection.execute(
            "CREATE TABLE public.journal_checkpoints (service text, position bigint)"
        )
        connection.execute("INSERT INTO public.journal_checkpoints VALUES ('users', 7)")
        connection.execute("ALTER TABLE public.journal_checkpoints ADD PRIMARY KEY (service)")
    feeds = {"users": shop.users.full_feed}
    async with running(build, database, name="journal", feeds=feeds) as journal:
        again = Shop(shop.users, journal, database)
        await again.copied()
        await settled(journal)
        assert await again.shown(user_id) == full(user_id)
    assert in_database(database, PERSON) == {}


def test_what_stands_in_has_the_shape_of_what_was() -> None:
    address = {"name": NAME, "lines": [NAME, "second"], "floor": 3, "phone": None, "old": []}
    stands_in = {"name": "erased", "lines": ["erased"], "floor": None, "phone": None, "old": []}
    assert erased(address) == stands_in


def test_metadata_without_an_address_is_nobodys() -> None:
    nothing = Metadata(
        actor=Actor("service", "users"),
        command_id="c",
        correlation_id="c",
        occurred_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
    assert client_of(nothing) == (None, None)


BROKEN = "UPDATE eventstore.subject_keys SET wrapped = set_byte(wrapped, 20, 7) WHERE subject = %s"
UNREADABLE = """{ eventLog(first: 9, where: {type: "user.registered"}) {
  edges { node { streamId data unreadable actor { ip } } } } }"""


async def marked(shop: Shop, *, broken: str) -> None:
    """That one is marked, and what the others say is there."""
    page = await staff(shop.journal, Role.AUDITOR).ask(UNREADABLE)
    assert len(page["edges"]) == 3
    for node in (edge["node"] for edge in page["edges"]):
        if node["streamId"] == broken:
            assert "does not unwrap" in node["unreadable"]
            said = (node["data"]["email"], node["data"]["names"], node["actor"]["ip"])
            assert said == ("unreadable", ["unreadable"], "unreadable")
        else:
            assert (node["unreadable"], node["data"]["email"]) == (None, EMAIL)


async def test_what_does_not_open_at_its_source_is_copied_marked(
    shop: Shop, new_database: Callable[[], str]
) -> None:
    users = [new_id("usr") for _ in range(3)]
    for user_id in users:
        await shop.register(user_id)
    with psycopg.connect(shop.users.store.conninfo) as connection:
        connection.execute(BROKEN.encode(), (users[1],))
    feeds, database = {"users": shop.users.full_feed}, new_database()
    async with running(build, database, name="journal", feeds=feeds) as journal:
        again = Shop(shop.users, journal, database)
        await again.copied()
        await marked(again, broken=users[1])


async def test_what_does_not_open_in_the_journal_is_marked(shop: Shop) -> None:
    users = [new_id("usr") for _ in range(3)]
    for user_id in users:
        await shop.register(user_id)
    with psycopg.connect(shop.database) as connection:
        connection.execute(BROKEN.encode(), (users[1],))
    await marked(shop, broken=users[1])

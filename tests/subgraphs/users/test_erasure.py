"""A user is erased: nothing of them is left in this service, and nobody signs in as them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from eventstore.event import Actor, Metadata
from subgraphs.shared.auth import Role
from subgraphs.shared.ids import new_id
from subgraphs.users.app import UsersService, build
from tests.support.leftovers import in_database
from tests.support.memory_feed import MemoryFeed
from tests.support.shop import (
    START,
    WAIT_SECONDS_MAX,
    Client,
    Clock,
    anonymous,
    rebuilt_alike,
    running,
    settled,
    staff,
)

pytestmark = pytest.mark.slow

NAME, EMAIL, PHONE = "Zsófia Ünnep-Árvay", "zsofia.unnep@example.com", "+36 1 555 7391"
STREET, IP, AGENT = "Hársfa utca 17, 3. emelet", "203.0.113.77", "Mozilla/5.0 (Tablet of hers)"
WHY = "she wrote that she marries into the shop"
PERSON = (NAME, EMAIL, PHONE, STREET, IP, AGENT, WHY)
PASSWORD = "correct horse battery"
CHEAP = {"argon2_time_cost": 1, "argon2_memory_kib": 8, "argon2_parallelism": 1}
HEADERS = {"x-client-ip": IP, "x-client-agent": AGENT}

REGISTER = """mutation($email: String!, $name: String, $key: ID!) {
  registerUser(input: {email: $email, password: "correct horse battery", displayName: $name,
    idempotencyKey: $key}) { user { id } userErrors { code } } }"""
SIGN_IN = """mutation($email: String!, $password: String!) {
  signIn(email: $email, password: $password) {
    accessToken refreshToken user { id } userErrors { code } } }"""
REFRESH = "mutation($token: String!) { refreshSession(refreshToken: $token) { userErrors { code }}}"
ADD_ADDRESS = """mutation($input: AddressInput!) {
  addAddress(input: $input) { user { id } userErrors { code } } }"""
GRANT = """mutation($id: ID!, $reason: String!) {
  grantRole(userId: $id, role: STAFF, reason: $reason) { userErrors { code } } }"""
ASK = """mutation($id: ID!, $reason: String!) {
  requestErasure(userId: $id, reason: $reason) { userErrors { code } } }"""
ERASE = """mutation($id: ID!) {
  eraseUser(userId: $id, reason: "asked for it") {
    user { id version email displayName roles erasedAt addresses { id } }
    receipt { version replayed } userErrors { code message path } } }"""
SEE = "query($id: ID!) { user(id: $id) { version email displayName roles erasedAt } }"


@dataclass
class Shop:
    users: UsersService
    orders: MemoryFeed
    database: str
    user_id: str = ""
    refresh_token: str = ""

    async def live(self) -> None:
        """Zsófia registers, signs in, has an address and a role."""
        client = Client(self.users, headers=HEADERS)
        made = await client.ask(REGISTER, email=EMAIL, name=NAME, key="a key")
        self.user_id = made["user"]["id"]
        await client.ask(SIGN_IN, email=EMAIL, password="wrong")
        session = await client.ask(SIGN_IN, email=EMAIL, password=PASSWORD)
        self.refresh_token = session["refreshToken"]
        client = Client(self.users, self.user_id, (Role.CUSTOMER,), headers=HEADERS)
        address = {"name": NAME, "lines": [STREET], "city": "Eger", "country": "HU", "phone": PHONE}
        assert not (await client.ask(ADD_ADDRESS, input=address))["userErrors"]
        granted = await self.admin.ask(GRANT, id=self.user_id, reason=WHY)
        assert not granted["userErrors"]
        asked = await client.ask(ASK, id=self.user_id, reason=WHY)
        assert not asked["userErrors"]
        await settled(self.users)

    @property
    def admin(self) -> Client:
        return staff(self.users, Role.ADMIN)

    async def forgotten(self) -> None:
        """Wait until everything that an erasure leads to is done."""
        head = await self.users.store.head()
        assert await self.users.reactor_runner.wait_for("users", head, WAIT_SECONDS_MAX)
        await settled(self.users)

    async def order(self, type_: str, order_id: str) -> None:
        data = {"order_id": order_id, "customer_id": self.user_id, "number": f"L-{order_id}"}
        await self.orders.publish(type_, data, stream=order_id)
        heard = self.users.reactor_runner.wait_for("orders", len(self.orders.events), 10.0)
        assert await heard


@pytest.fixture
async def shop(database: str) -> AsyncIterator[Shop]:
    orders = MemoryFeed("orders")
    async with running(
        build, database, name="users", settings=CHEAP, clock=Clock(), feeds={"orders": orders}
    ) as service:
        yield Shop(service, orders, database)


async def test_nothing_of_an_erased_user_is_left(shop: Shop) -> None:
    await shop.live()
    before = in_database(shop.database, PERSON)
    assert {text for texts in before.values() for text in texts} == {NAME, EMAIL, PHONE, STREET}
    assert not [table for table in before if table.startswith("eventstore.")], "sealed in the log"
    erased = await shop.admin.ask(ERASE, id=shop.user_id)
    assert erased["userErrors"] == []
    user = erased["user"]
    assert user.pop("erasedAt") is not None
    assert (user["email"], user["displayName"]) == (None, None)
    assert (user["roles"], user["addresses"]) == ([], [])
    await shop.forgotten()
    assert in_database(shop.database, PERSON) == {}
    seen = await shop.admin.ask(SEE, id=shop.user_id)
    assert seen.pop("erasedAt") is not None
    assert user == user | seen, "read models say what the log says"
    somebody = anonymous(shop.users)
    await somebody.ask(REGISTER, email="other@example.com", name="Other", key="other")
    await somebody.ask(SIGN_IN, email="other@example.com", password=PASSWORD)
    await rebuilt_alike(shop.users)


async def test_the_log_itself_reads_erased(shop: Shop) -> None:
    await shop.live()
    [registered, *_] = await shop.users.store.read_stream(shop.user_id)
    assert registered.metadata.actor == Actor("user", shop.user_id), "they registered themselves"
    [opened] = await shop.users.store.persons.clients([registered.metadata])
    assert opened.client is not None
    assert opened.client.ip == IP
    await shop.admin.ask(ERASE, id=shop.user_id)
    events = await shop.users.store.read(0)
    for recorded in await shop.users.store.persons.clients([each.metadata for each in events]):
        assert recorded.client is None or recorded.client.ip == "erased", "failed sign-ins too"
    [registered, *_] = await shop.users.store.read_stream(shop.user_id)
    assert (registered.event.email, registered.event.display_name) == ("erased", "erased")


async def test_nobody_signs_in_as_an_erased_user(shop: Shop) -> None:
    await shop.live()
    await shop.admin.ask(ERASE, id=shop.user_id)
    over = await anonymous(shop.users).ask(REFRESH, token=shop.refresh_token)
    assert over["userErrors"] == [{"code": "SESSION_OVER"}]
    await shop.forgotten()
    refused = await anonymous(shop.users).ask(SIGN_IN, email=EMAIL, password=PASSWORD)
    assert refused["userErrors"] == [{"code": "INVALID_CREDENTIALS"}]
    reads = shop.users.reads
    assert await reads.fetch("SELECT * FROM sessions") == []
    assert await reads.fetch("SELECT * FROM public.user_credentials") == []
    late = Client(shop.users, shop.user_id, (Role.CUSTOMER,), headers=HEADERS)
    assert await late.ask("{ me { id } }") is None
    change = 'mutation { changeProfile(displayName: "back") { userErrors { code } } }'
    assert (await late.ask(change))["userErrors"] == [{"code": "USER_ERASED"}]


async def test_the_address_is_free_for_whoever_registers_next(shop: Shop) -> None:
    await shop.live()
    await shop.admin.ask(ERASE, id=shop.user_id)
    await shop.forgotten()
    again = await anonymous(shop.users).ask(REGISTER, email=EMAIL, name=None, key="another")
    assert again["userErrors"] == []
    assert again["user"]["id"] != shop.user_id
    session = await anonymous(shop.users).ask(SIGN_IN, email=EMAIL, password=PASSWORD)
    assert session["user"] == {"id": again["user"]["id"]}


async def test_erasing_twice_is_erasing_once(shop: Shop) -> None:
    await shop.live()
    first, second = await asyncio.gather(
        shop.admin.ask(ERASE, id=shop.user_id), shop.admin.ask(ERASE, id=shop.user_id)
    )
    assert [first["userErrors"], second["userErrors"]].count([]) >= 1
    third = await shop.admin.ask(ERASE, id=shop.user_id)
    assert third["receipt"]["replayed"] is True
    assert third["userErrors"] == []
    await shop.forgotten()
    assert len(await shop.users.store.read(0, types=["user.erased"])) == 1
    assert len(await shop.users.store.read(0, types=["subject.erased"])) == 1


async def test_what_another_way_erases_is_told_to_the_other_services(shop: Shop) -> None:
    await shop.live()
    metadata = Metadata(
        actor=Actor("service", "tests"),
        command_id="cmd_1",
        correlation_id="cmd_1",
        occurred_at=START,
    )
    await shop.users.store.persons.erase(shop.user_id, reason="a letter", metadata=metadata)
    await shop.forgotten()
    [told] = await shop.users.store.read(0, types=["user.erased"])
    assert (told.event.user_id, told.event.reason) == (shop.user_id, "a letter")
    assert in_database(shop.database, PERSON) == {}


async def test_orders_under_way_are_waited_for(shop: Shop) -> None:
    await shop.live()
    for order_id in ("ord_1", "ord_2"):
        await shop.order("order.placed", order_id)
    await shop.order("order.completed", "ord_1")
    [refused] = (await shop.admin.ask(ERASE, id=shop.user_id))["userErrors"]
    assert (refused["code"], refused["path"]) == ("ORDERS_UNDER_WAY", ["userId"])
    assert "L-ord_2" in refused["message"]
    assert "L-ord_1" not in refused["message"]
    await shop.order("order.cancelled", "ord_2")
    assert (await shop.admin.ask(ERASE, id=shop.user_id))["userErrors"] == []


async def test_only_administrators_erase_and_not_themselves(shop: Shop) -> None:
    await shop.live()
    own = Client(shop.users, shop.user_id, (Role.CUSTOMER,))
    for client in (own, staff(shop.users), staff(shop.users, Role.AUDITOR)):
        assert await client.code(ERASE, id=shop.user_id) == "FORBIDDEN"
    assert await anonymous(shop.users).code(ERASE, id=shop.user_id) == "UNAUTHENTICATED"
    admin = Client(shop.users, shop.user_id, (Role.ADMIN,))
    codes = [each["code"] for each in (await admin.ask(ERASE, id=shop.user_id))["userErrors"]]
    assert codes == ["LAST_ADMIN"]
    unknown: Any = await shop.admin.ask(ERASE, id=new_id("usr"))
    assert [each["code"] for each in unknown["userErrors"]] == ["NOT_FOUND"]

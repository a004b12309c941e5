"""A person lives in the shop and is forgotten: what is left is looked for, in every place and form.

Before the erasure the same search finds the person wherever the services show them, so it would
find what was left behind.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import re
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from eventstore.event import Actor
from lonja.demo.operations import CREATE_CART
from lonja.settings import Settings
from lonja.wiring import AnyService
from projections import Operations
from tests.support.commands import environment, run
from tests.support.goods import FILL, PLACE, finished, placement, shown, stocked
from tests.support.leftovers import in_database, in_files
from tests.support.whole import PASSWORD, REGISTER, SIGN_IN, WholeShop, shop_settings, whole_shop

pytestmark = pytest.mark.slow

NAME, EMAIL, PHONE = "Zsófia Ünnep-Árvay", "zsofia.unnep@lonja.example", "+36 1 555 7391"
STREET, FLOOR, CITY = "Hársfa utca 17", "3. emelet, a liftnél", "Kőszegszerdahely"
IP, AGENT = "127.93.77.41", "A tablet that nobody else has/7.3"
TOKEN = "tok_3ds_of_zsofia_and_nobody_else"
CHANGED_MIND, REFUND, PLACE_SEEN = "my aunt brought one", "she rang and wept", "at her aunt's door"
PERSON = (
    *(NAME, EMAIL, PHONE, STREET, FLOOR, CITY, IP, AGENT, TOKEN),
    *(CHANGED_MIND, REFUND, PLACE_SEEN),
)

SHOWN_IN = {
    "users": {"users", "user_addresses"},
    "orders": {"orders", "carts"},
    "payments": {"payment_ledger"},
    "shipping": {"shipment_tracking"},
    "files": {"mailbox/new", "exports"},
}
"""Where services show something of a person, in plain. All else that they keep is sealed."""

ADDRESS = {
    "name": NAME,
    "lines": [STREET, FLOOR],
    "city": CITY,
    "country": "HU",
    "postalCode": "9725",
    "phone": PHONE,
}
ADD_ADDRESS = """mutation($input: AddressInput!) {
  addAddress(input: $input) { user { id } userErrors { code message } } }"""
DESTINATION = """mutation($cart: ID!, $address: AddressInput!) {
  setCartDestination(cartId: $cart, address: $address) {
    cart { version total { amount currency } } userErrors { code message } } }"""
CANCEL = """mutation($id: ID!, $reason: String!, $key: ID!) {
  requestCancellation(orderId: $id, reason: $reason, idempotencyKey: $key) {
    order { id } userErrors { code message } } }"""
REFUND_IT = """mutation($id: ID!, $amount: MoneyInput!, $reason: String!, $key: ID!) {
  refundPayment(paymentId: $id, amount: $amount, reason: $reason, idempotencyKey: $key) {
    payment { id } userErrors { code message } } }"""
TRACK = """mutation($id: ID!, $location: String) {
  trackShipment(shipmentId: $id, status: IN_TRANSIT, location: $location) {
    shipment { id } userErrors { code message } } }"""
WEBHOOK = """mutation($url: String!) {
  createWebhook(url: $url, eventTypes: ["order.placed", "order.cancelled"]) {
    webhookId userErrors { code message } } }"""
PARTS = """query($id: ID!) { order(id: $id) { status cancelReason
  payments { id state } shipments { id state } notifications { state } } }"""
HISTORY = """query($id: ID!) { eventLog(first: 100, where: {actorId: $id}) {
  edges { node { actor { ip } } } } }"""
EXPORT = """mutation($key: ID!) {
  exportEvents(where: {}, format: JSONL, idempotencyKey: $key) { export { id } } }"""
EXPORT_STATE = "query($id: ID!) { export(id: $id) { state } }"
ERASE = """mutation($id: ID!) {
  eraseUser(userId: $id, reason: "asked to") { userErrors { code message } } }"""
USER = "query($id: ID!) { user(id: $id) { email displayName erasedAt addresses { id } } }"


@dataclass
class Person:
    """Somebody at a machine of their own, which nobody else is at."""

    shop: WholeShop
    token: str = ""
    user_id: str = ""
    orders: list[str] = field(default_factory=list)

    async def ask(self, document: str, **variables: Any) -> Any:
        """The data of the one root field; there must be no errors."""
        data = await asyncio.to_thread(self._post, document, variables)
        assert "errors" not in data, data["errors"]
        [value] = data["data"].values()
        assert not value.get("userErrors"), value
        return value

    def _post(self, document: str, variables: Mapping[str, Any]) -> Any:
        url = urlsplit(self.shop.url)
        headers = {"content-type": "application/json", "user-agent": AGENT}
        if self.token:
            headers["authorization"] = f"Bearer {self.token}"
        connection = http.client.HTTPConnection(
            str(url.hostname), url.port, timeout=30, source_address=(IP, 0)
        )
        try:
            body = json.dumps({"query": document, "variables": variables})
            connection.request("POST", url.path, body, headers)
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()

    async def register(self) -> None:
        given = {"email": EMAIL, "password": PASSWORD, "displayName": NAME, "idempotencyKey": "one"}
        self.user_id = (await self.ask(REGISTER, input=given))["user"]["id"]
        await asyncio.to_thread(self._post, SIGN_IN, {"email": EMAIL, "password": "a wrong one"})
        session = await self.ask(SIGN_IN, email=EMAIL, password=PASSWORD)
        self.token = session["accessToken"]
        await self.ask(ADD_ADDRESS, input=ADDRESS)

    async def cart(self, sku: str) -> dict[str, Any]:
        """A cart that is to go home."""
        made = await self.ask(CREATE_CART, currency="EUR", key=uuid4().hex)
        cart_id = made["cart"]["id"]
        await self.ask(FILL, cart=cart_id, lines=[{"sku": sku, "quantity": 1}])
        sent = await self.ask(DESTINATION, cart=cart_id, address=ADDRESS)
        return {"id": cart_id, **sent["cart"]}

    async def order(self, cart: Mapping[str, Any], token: str) -> str:
        more = {"paymentMethodToken": token, "shippingOptionId": "standard"}
        total = {**cart["total"], "amount": "13.45"}  # with the parcel's 9.95
        placed = await self.ask(PLACE, input=placement(cart, expectedTotal=total, **more))
        self.orders.append(placed["order"]["id"])
        return self.orders[-1]

    async def live(self) -> None:
        """Do everything that a customer does, and have done to them what staff does."""
        shop = self.shop
        await self.register()
        await stocked(shop, {"TEA": ("3.50", 100)})
        hook = f"https://hooks.lonja.invalid/{uuid4().hex}"
        assert not (await shop.ask(WEBHOOK, shop.staff, url=hook))["userErrors"]
        sent = await self.order(await self.cart("TEA"), "tok_approve")
        done = await finished(shop, sent)
        assert done["status"] == "COMPLETED"
        given_up = await self.order(await self.cart("TEA"), TOKEN)
        await self.until(given_up, lambda order: order["payments"] != [])
        await self.ask(CANCEL, id=given_up, reason=CHANGED_MIND, key="two")
        assert (await finished(shop, given_up))["status"] == "CANCELLED"
        await self.cart("TEA")
        order = await self.until(sent, lambda order: order["notifications"] != [])
        [payment], [shipment] = order["payments"], order["shipments"]
        refund = {"id": payment["id"], "amount": {"amount": "1.00", "currency": "EUR"}}
        for work in (
            shop.ask(REFUND_IT, shop.staff, **refund, reason=REFUND, key="three"),
            shop.ask(TRACK, shop.staff, id=shipment["id"], location=PLACE_SEEN),
        ):
            assert not (await work)["userErrors"]

    async def addresses(self) -> set[str]:
        """Where they acted from, as an auditor reads it."""
        log = await self.shop.ask(HISTORY, self.shop.staff, id=self.user_id)
        return {ip for edge in log["edges"] if (ip := edge["node"]["actor"]["ip"]) is not None}

    async def until(self, order_id: str, true: Callable[[Any], bool]) -> Any:
        """An order as staff sees it, once something is true of it."""
        ask = partial(self.shop.ask, PARTS, self.shop.staff, id=order_id)
        order = await shown(ask, lambda order: order is not None and true(order))
        assert true(order), order
        return order


@dataclass
class Searched:
    """The shop, and every place where a person may be found."""

    shop: WholeShop
    settings: Settings

    async def exported(self) -> Any:
        """What an auditor exports of the journal, once it is written."""
        begun = await self.shop.ask(EXPORT, self.shop.staff, key=uuid4().hex)
        export_id = begun["export"]["id"]
        ask = partial(self.shop.ask, EXPORT_STATE, self.shop.staff, id=export_id)
        return await shown(ask, lambda export: export["state"] != "RUNNING")

    async def settled(self) -> None:
        """Wait until everything that was appended has had its effects, in all services."""
        services = self.shop.services
        for _ in range(3):  # an effect has effects
            for name, service in services.items():
                head = await service.store.head()
                assert await service.runner.wait_for(head, timeout_seconds=20)
                for other in services.values():
                    assert await other.reactor_runner.wait_for(name, head, 20)
                assert await services["journal"].resources.follower.wait_for(name, head, 20)

    def found(self) -> dict[str, dict[str, set[str]]]:
        """Service (or "files") to table (or folder) to the texts that are found there."""
        found: dict[str, dict[str, set[str]]] = {}
        for name, conninfo in self.settings.database_urls.items():
            for table, texts in in_database(conninfo, PERSON).items():
                shown_as = re.sub(r"^.*_b\d+\.", "", table)  # a build of a read model
                found.setdefault(name, {})[shown_as] = texts
        for path, texts in in_files(self.settings.data_dir, PERSON).items():
            folder = str(Path(path).parent)
            found.setdefault("files", {}).setdefault(folder, set()).update(texts)
        return found

    def lonja(self, *arguments: str) -> str:
        """What a command of an operator prints, from a process of its own."""
        given = environment(
            LONJA_DATABASE_URLS=json.dumps(self.settings.database_urls),
            LONJA_DATA_DIR=str(self.settings.data_dir),
            LONJA_INTERNAL_SECRET=self.settings.internal_secret.get_secret_value(),
        )
        done = run("log", *arguments, given=given)
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout


@pytest.fixture
async def searched(new_database: Callable[[], str], tmp_path: Path) -> AsyncIterator[Searched]:
    settings = shop_settings(tmp_path / "data", new_database)
    async with whole_shop(settings) as shop:
        yield Searched(shop, settings)


async def test_nothing_is_left_of_a_person(
    searched: Searched, capfd: pytest.CaptureFixture[str]
) -> None:
    shop, person = searched.shop, Person(searched.shop)
    await person.live()
    await searched.settled()
    folder = str(searched.settings.data_dir / "logs")
    await asyncio.to_thread(searched.lonja, "export", "--output", folder)
    assert (await searched.exported())["state"] == "COMPLETED"
    before = await asyncio.to_thread(searched.found)
    assert {place: set(several) for place, several in before.items()} == SHOWN_IN
    assert IP in before.pop("files")["exports"]
    texts = {text for several in before.values() for found in several.values() for text in found}
    assert texts == set(PERSON) - {IP, AGENT, TOKEN}, "these are sealed wherever they are kept"
    assert IP in await person.addresses()

    erase = ("erase", person.user_id, "--reason", "asked to", "--yes", "--json")
    rows = json.loads(await asyncio.to_thread(searched.lonja, *erase))
    assert {row["read_models"] for row in rows} == {"forgotten"}
    destroyed = {row["service"] for row in rows if row["key"] == "destroyed"}
    assert destroyed == {"users", "orders", "payments", "shipping", "notifications", "journal"}
    assert await asyncio.to_thread(searched.found) == {}
    said = capfd.readouterr()
    assert not [text for text in PERSON if text in said.out + said.err]

    assert "intact" in await asyncio.to_thread(searched.lonja, "verify")
    assert await person.addresses() == {"erased"}
    user = await shop.ask(USER, shop.staff, id=person.user_id)
    assert user.pop("erasedAt") is not None
    assert user == {"email": None, "displayName": None, "addresses": []}
    given_up = await shop.ask(PARTS, shop.staff, id=person.orders[1])
    assert (given_up["status"], given_up["cancelReason"]) == ("CANCELLED", "erased")
    for service in destroyed:
        await rebuilt(shop.services[service])
    assert await asyncio.to_thread(searched.found) == {}


async def test_an_administrator_has_all_services_forget(searched: Searched) -> None:
    shop, person = searched.shop, Person(searched.shop)
    await person.live()
    await searched.settled()
    erased = await shop.ask(ERASE, shop.staff, id=person.user_id)
    assert erased["userErrors"] == []
    await searched.settled()
    assert await asyncio.to_thread(searched.found) == {}
    for name, service in shop.services.items():
        told = await service.store.read_stream(f"subject:{person.user_id}")
        assert [each.event.reason for each in told] == ["asked to"], name
    assert await person.addresses() == {"erased"}


async def rebuilt(service: AnyService) -> None:
    """Every read model rebuilt from its log is the one that lived through the erasure."""
    operations = Operations(service.store, service.projections)
    for projection in service.projections:
        await operations.rebuild(projection.name, by=Actor("service", "tests"))
        found = await operations.verify(projection.name)
        assert found.equal, found.examples

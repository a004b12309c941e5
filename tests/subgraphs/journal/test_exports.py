"""Exports: a job that is begun, watched, cut off, gone on with, and withdrawn."""

from __future__ import annotations

import asyncio
import csv
import hashlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import psycopg
import pytest

from eventstore.event import Actor, Event, Metadata, Personal, event_type
from subgraphs.journal.app import build
from subgraphs.journal.export_file import FORMATS, START, contents, resume
from subgraphs.journal.exporting import Exports
from subgraphs.journal.schema import JournalResources
from subgraphs.shared.auth import Role
from subgraphs.shared.events import AuditRead
from subgraphs.shared.ids import new_id
from subgraphs.shared.service import Service
from tests.support.served import served
from tests.support.shop import START as NOW
from tests.support.shop import WAIT_SECONDS_MAX, Client, Clock, running, staff
from tests.support.telling import Teller, telling

pytestmark = pytest.mark.slow


@event_type("order.placed", subject="customer_id")
class OrderPlaced(Event, frozen=True):
    order_id: str
    customer_id: str
    name: Personal[str]
    payment_method_token: str = "tok_secret"


EXPORT = """mutation($where: EventWhere!, $format: ExportFormat!, $key: ID!) {
  exportEvents(where: $where, format: $format, idempotencyKey: $key) {
    export { id state } receipt { replayed } userErrors { code } } }"""
STATE = """query($id: ID!) { export(id: $id) { state format where startedBy { id } events total
  bytes sha256 file url manifestUrl manifest reason } }"""


@dataclass
class Shop:
    orders: Teller
    database: str
    folder: Path

    @asynccontextmanager
    async def journal(
        self, clock: Clock | None = None, **settings: Any
    ) -> AsyncIterator[Service[JournalResources]]:
        given = {"exports_dir": self.folder, **settings}
        feeds = {"orders": self.orders.full_feed}
        async with running(
            build, self.database, name="journal", feeds=feeds, settings=given, clock=clock
        ) as journal:
            head = await self.orders.store.head()
            assert await journal.resources.follower.wait_for("orders", head, WAIT_SECONDS_MAX)
            yield journal

    async def placed(self, count: int) -> list[str]:
        """Orders of as many customers; gives those."""
        customers = [new_id("usr") for _ in range(count)]
        for customer in customers:
            order_id = new_id("ord")
            event = OrderPlaced(order_id, customer, f"Ana, {customer}\nof Valencia")
            await self.orders.tell(order_id, event, actor=Actor("user", customer))
        return customers


@pytest.fixture
async def shop(new_database: Callable[[], str], tmp_path: Path) -> AsyncIterator[Shop]:
    async with AsyncExitStack() as stack:
        orders = await stack.enter_async_context(telling("orders", new_database(), OrderPlaced))
        yield Shop(orders, new_database(), tmp_path / "exports")


async def ended(client: Client, export_id: str) -> Any:
    """The export once it no longer runs."""
    while True:
        found = await client.ask(STATE, id=export_id)
        if found["state"] != "RUNNING":
            return found
        store = client.service.store
        await store.wait(await store.head(), 0.05)


async def exported(client: Client, kind: str = "JSONL", key: str = "k", **where: Any) -> Any:
    begun = await client.ask(EXPORT, where=where, format=kind, key=key)
    assert begun["userErrors"] == []
    return await ended(client, begun["export"]["id"])


def text_of(found: Any) -> bytes:
    """The file of an export that was completed."""
    return Path(found["file"]).read_bytes()


async def test_events_are_in_a_file_with_a_manifest(shop: Shop) -> None:
    customers = await shop.placed(3)
    async with shop.journal() as journal:
        auditor = staff(journal, Role.AUDITOR)
        found = await exported(auditor, service=["orders"])
        assert (found["state"], found["events"], found["total"]) == ("COMPLETED", 3, 3)
        assert found["startedBy"] == {"id": auditor.user_id}
        text = text_of(found)
        assert (found["bytes"], found["sha256"]) == (
            str(len(text)),
            hashlib.sha256(text).hexdigest(),
        )
        lines = [json.loads(line) for line in text.splitlines()]
        assert [(line["service"], line["position"]) for line in lines] == [
            ("orders", position) for position in (1, 2, 3)
        ]
        assert [line["data"]["customer_id"] for line in lines] == customers
        assert lines[0]["data"]["name"] == f"Ana, {customers[0]}\nof Valencia"
        assert lines[0]["data"]["payment_method_token"] is None
        manifest = found["manifest"]
        assert manifest["filter"]["service"] == ["orders"]
        assert manifest["up_to"]["orders"] == 3
        assert manifest["heads"]["orders"]["event"] == lines[-1]["id"]
        assert (manifest["events"], manifest["sha256"]) == (3, found["sha256"])

        reads = await journal.store.read(0, types=[AuditRead.TYPE])
        told = [recorded for recorded in reads if recorded.event.events == 3]
        assert [recorded.event.persons for recorded in told] == [tuple(sorted(customers))]
        assert told[0].metadata.actor.id == auditor.user_id


async def test_csv_is_flat_an_event_a_line(shop: Shop) -> None:
    customers = await shop.placed(2)
    async with shop.journal() as journal:
        found = await exported(staff(journal, Role.AUDITOR), "CSV", actorId=customers[1])
        text = text_of(found).decode()
        (row,) = csv.DictReader(text.splitlines())
        assert (row["position"], row["actor_id"]) == ("2", customers[1])
        assert json.loads(row["data"])["customer_id"] == customers[1]
        assert found["events"] == 1


async def test_the_same_key_is_the_same_export(shop: Shop) -> None:
    await shop.placed(1)
    async with shop.journal() as journal:
        auditor = staff(journal, Role.AUDITOR)
        first = await auditor.ask(EXPORT, where={}, format="JSONL", key="k")
        again = await auditor.ask(EXPORT, where={}, format="JSONL", key="k")
        assert again["export"]["id"] == first["export"]["id"]
        assert (first["receipt"]["replayed"], again["receipt"]["replayed"]) == (False, True)
        other = await auditor.ask(EXPORT, where={}, format="CSV", key="k")
        assert other["userErrors"] == [{"code": "IDEMPOTENCY_KEY_REUSED"}]


async def test_one_that_was_cut_off_goes_on_after_a_restart(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what was in the file: the rest is added, and it is as if nothing had happened."""
    await shop.placed(5)
    async with shop.journal() as journal:
        whole = await exported(staff(journal, Role.AUDITOR), service=["orders"])
        lines = text_of(whole).splitlines(keepends=True)
        monkeypatch.setattr(Exports, "begin", lambda *_: None)
        auditor = staff(journal, Role.AUDITOR)
        begun = await auditor.ask(EXPORT, where={"service": ["orders"]}, format="JSONL", key="cut")
        export_id = begun["export"]["id"]
        assert begun["export"]["state"] == "RUNNING"
    marked = lines[0].replace(b"of Valencia", b"of Palma...")
    (shop.folder / f"{export_id}.part").write_bytes(marked + lines[1] + lines[2][:40])
    monkeypatch.undo()
    await shop.placed(2)  # later ones are not of it
    async with shop.journal() as journal:
        found = await ended(staff(journal, Role.AUDITOR), export_id)
        assert (found["state"], found["events"]) == ("COMPLETED", 5)
        assert text_of(found) == b"".join([marked, *lines[1:]]), "what was there was kept"


def test_a_file_goes_on_after_its_last_whole_line(tmp_path: Path) -> None:
    row = dict.fromkeys(FORMATS["CSV"].header.decode().strip().split(","))
    row |= {"service": "orders", "data": {"a": "x\ny"}, "recorded_at": NOW}
    for form in FORMATS.values():
        lines = [form.line({**row, "position": position}) for position in (1, 2)]
        for left, place in (
            (b"", START),
            (form.header, START),
            (form.header + lines[0], ("orders", 1)),
            (form.header + lines[0] + lines[1][:-3], ("orders", 1)),
            (form.header + b"".join(lines), ("orders", 2)),
            (b"something else\n", START),
        ):
            path = tmp_path / "file"
            path.write_bytes(left)
            with open(path, "a+b") as file:
                assert resume(file, form) == place, left
            kept = form.header + b"".join(lines[: place[1]])
            assert path.read_bytes() == kept
            assert contents(path, form).events == place[1]


async def test_it_is_for_auditors_and_needs_a_folder(shop: Shop) -> None:
    async with shop.journal(exports_dir=None) as journal:
        given = {"where": {}, "format": "JSONL", "key": "k"}
        for client in (staff(journal), staff(journal, Role.ADMIN, Role.OPERATOR)):
            assert await client.code(EXPORT, **given) == "FORBIDDEN"
            assert await client.code(STATE, id=new_id("exp")) == "FORBIDDEN"
        auditor = staff(journal, Role.AUDITOR)
        refused = await auditor.ask(EXPORT, **given)
        assert refused["userErrors"] == [{"code": "EXPORTS_OFF"}]
        for unknown in (new_id("exp"), "rubbish"):
            assert await auditor.ask(STATE, id=unknown) is None


async def test_a_folder_that_cannot_be_written_to_is_said(shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    async with shop.journal(exports_dir=tmp_path / "file" / "below") as journal:
        found = await exported(staff(journal, Role.AUDITOR))
        assert found["state"] == "FAILED"
        assert "its file cannot be written" in found["reason"]


@dataclass
class Fetched:
    status: int
    headers: Any
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


async def fetched(journal: Service[Any], target: str, **headers: str) -> Fetched:
    """What GET gives: over HTTP, as the server sends files."""

    def get(port: int) -> Fetched:
        connection = HTTPConnection("127.0.0.1", port, timeout=10)
        with closing(connection):
            connection.request("GET", target, headers=headers)
            reply = connection.getresponse()
            return Fetched(reply.status, reply.headers, reply.read())

    async with served(journal.app) as port:
        return await asyncio.to_thread(get, port)


async def test_a_file_is_fetched_by_its_link_and_that_is_recorded(shop: Shop) -> None:
    customers = await shop.placed(3)
    async with shop.journal() as journal:
        auditor = staff(journal, Role.AUDITOR)
        found = await exported(auditor, service=["orders"])
        reply = await fetched(journal, found["url"])
        assert (reply.status, reply.body) == (200, text_of(found))
        assert reply.headers["content-type"] == "application/jsonl"
        assert 'filename="exp_' in reply.headers["content-disposition"]
        assert reply.headers["cache-control"] == "no-store"
        *_, read = await journal.store.read(types=[AuditRead.TYPE])
        assert read.metadata.actor.id == auditor.user_id
        assert read.event.asked[0].field == "export.url"
        assert (read.event.events, read.event.persons) == (3, tuple(sorted(customers)))
        part = await fetched(journal, found["url"], range="bytes=10-19")
        assert (part.status, part.body) == (206, text_of(found)[10:20])
        manifest = await fetched(journal, found["manifestUrl"])
        assert manifest.json() == found["manifest"]


async def test_a_link_opens_one_file_for_a_while(shop: Shop) -> None:
    await shop.placed(1)
    clock = Clock()
    async with shop.journal(clock=clock) as journal:
        auditor = staff(journal, Role.AUDITOR)
        one, other = await exported(auditor), await exported(auditor, key="l")
        path, _, token = one["url"].partition("?")
        wrong = [
            path,
            f"{path}?token=",
            f"{path}?token=a.b",
            f"{path}?token=%C3%A9.%C3%A9",
            f"{path}?{token[:-2]}",
            f"{other['url'].partition('?')[0]}?{token}",
            f"{one['manifestUrl'].partition('?')[0]}?{token}",
        ]
        reads = len(await journal.store.read(types=[AuditRead.TYPE]))
        for url in wrong:
            reply = await fetched(journal, url)
            assert (reply.status, reply.json()["code"]) == (403, "LINK_INVALID"), url
        clock.forward(minutes=11)
        expired = await fetched(journal, one["url"])
        assert (expired.status, expired.json()["code"]) == (403, "LINK_EXPIRED")
        assert len(await journal.store.read(types=[AuditRead.TYPE])) == reads


async def test_what_was_withdrawn_is_not_fetched(shop: Shop) -> None:
    (customer,) = await shop.placed(1)
    async with shop.journal() as journal:
        found = await exported(staff(journal, Role.AUDITOR), service=["orders"])
        await forgotten(journal, customer)
        for url in (found["url"], found["manifestUrl"]):
            reply = await fetched(journal, url)
            assert (reply.status, reply.json()["code"]) == (410, "EXPORT_GONE")
            assert "erased" in reply.json()["message"]


async def test_what_cannot_be_recorded_is_not_fetched(shop: Shop) -> None:
    await shop.placed(1)
    async with shop.journal() as journal:
        found = await exported(staff(journal, Role.AUDITOR))
        with psycopg.connect(shop.database, autocommit=True) as connection:
            connection.execute(
                "CREATE FUNCTION refused() RETURNS trigger LANGUAGE plpgsql AS "
                "$$ BEGIN RAISE 'no'; END $$"
            )
            connection.execute(
                "CREATE TRIGGER refused BEFORE INSERT ON eventstore.events "
                "FOR EACH ROW EXECUTE FUNCTION refused()"
            )
        reply = await fetched(journal, found["url"])
        assert (reply.status, reply.json()["code"]) == (503, "READ_NOT_RECORDED")


async def test_files_that_tell_of_an_erased_person_go(shop: Shop) -> None:
    """Those alone; and one that is made anew does not tell of them any more."""
    customers = await shop.placed(2)
    async with shop.journal() as journal:
        auditor = staff(journal, Role.AUDITOR)
        both = await exported(auditor, service=["orders"])
        of_the_other = await exported(auditor, key="l", subjectId=customers[1])
        assert of_the_other["events"] == 1
        await forgotten(journal, customers[0])
        kept = sorted(path.name for path in shop.folder.iterdir())
        name = Path(of_the_other["file"]).stem
        assert kept == [f"{name}.jsonl", f"{name}.manifest.json"]
        found = await auditor.ask(STATE, id=Path(both["file"]).stem)
        assert (found["state"], found["file"]) == ("WITHDRAWN", None)
        assert "erased" in found["reason"]
        anew = await exported(auditor, key="m", service=["orders"])
        names = [json.loads(line)["data"]["name"] for line in text_of(anew).splitlines()]
        assert names == ["erased", f"Ana, {customers[1]}\nof Valencia"]


async def forgotten(journal: Service[Any], person: str) -> None:
    """Have the journal's log forget somebody, and wait for what follows from it."""
    metadata = Metadata(
        actor=Actor("service", "tests"), command_id="c", correlation_id="c", occurred_at=NOW
    )
    await journal.store.persons.erase(person, reason="asked for", metadata=metadata)
    head = await journal.store.head()
    assert await journal.reactor_runner.wait_for(
        "journal", head, WAIT_SECONDS_MAX, names=["withdraw_exports"]
    )

"""Who read what of the log: every read by an auditor is itself an event."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest

from eventstore.event import Actor, Event, event_type
from subgraphs.journal.app import build
from subgraphs.journal.schema import JournalResources
from subgraphs.shared.auth import Role
from subgraphs.shared.events import AuditRead
from subgraphs.shared.ids import new_id
from subgraphs.shared.service import Service
from tests.support.shop import WAIT_SECONDS_MAX, anonymous, customer, running, staff
from tests.support.telling import Teller, telling

pytestmark = pytest.mark.slow


@event_type("order.placed")
class OrderPlaced(Event, frozen=True):
    order_id: str
    customer_id: str


@dataclass
class Shop:
    orders: Teller
    journal: Service[JournalResources]
    database: str

    async def placed(self, customer_id: str) -> str:
        """An order; gives its id once the journal has it."""
        order_id = new_id("ord")
        position = await self.orders.tell(
            order_id, OrderPlaced(order_id, customer_id), actor=Actor("user", customer_id)
        )
        follower = self.journal.resources.follower
        assert await follower.wait_for("orders", position, WAIT_SECONDS_MAX)
        return order_id

    async def reads(self) -> list[AuditRead]:
        found = await self.journal.store.read(0, limit=100, types=[AuditRead.TYPE])
        return [recorded.event for recorded in found]


@pytest.fixture
async def shop(new_database: Callable[[], str]) -> AsyncIterator[Shop]:
    async with AsyncExitStack() as stack:
        orders = await stack.enter_async_context(telling("orders", new_database(), OrderPlaced))
        database = new_database()
        journal = await stack.enter_async_context(
            running(build, database, name="journal", feeds={"orders": orders.full_feed})
        )
        yield Shop(orders, journal, database)


READS = """query($where: AuditReadWhere) { auditReads(first: 10, where: $where) { edges { node {
  service reader { kind id } asked { field of arguments } events persons } } } }"""


async def test_who_read_what_and_about_whom(shop: Shop) -> None:
    ana, joan = new_id("usr"), new_id("usr")
    order_id = await shop.placed(ana)
    await shop.placed(joan)
    auditor = staff(shop.journal, Role.AUDITOR)
    where = {"streamId": order_id}
    await auditor.ask(
        "query($w: EventWhere) { eventLog(first: 5, where: $w) { edges { node { id } } } }",
        w=where,
    )
    (read,) = await shop.reads()
    assert (read.events, read.persons) == (1, (ana,))
    (question,) = read.asked
    assert question.field == "eventLog"
    assert order_id in question.arguments

    other = staff(shop.journal, Role.AUDITOR)
    shown = await other.ask(READS)
    (node,) = [edge["node"] for edge in shown["edges"]]
    assert node["reader"] == {"kind": "STAFF", "id": auditor.user_id}
    assert (node["service"], node["events"], node["persons"]) == ("journal", 1, [ana])
    assert node["asked"][0]["arguments"]["where"]["streamId"] == order_id
    about_joan = await other.ask(READS, where={"personId": joan})
    assert about_joan["edges"] == []
    mine = await auditor.ask(READS, where={"readerId": other.user_id})
    assert [edge["node"]["asked"][0]["field"] for edge in mine["edges"]] == ["auditReads"] * 2


SELECTIONS = {
    "eventLog": "eventLog(first: 5) { edges { cursor } }",
    "event": 'event(id: "%(event)s") { id }',
    "node": 'node(id: "%(event)s") { id }',
    "causationChain": 'causationChain(eventId: "%(event)s") { id }',
    "correlation": 'correlation(id: "%(correlation)s", first: 1) { edges { cursor } }',
    "auditReads": "auditReads(first: 1) { edges { cursor } }",
    "consequences": 'event(id: "%(event)s") { consequences { id } }',
}


@pytest.mark.parametrize("field", SELECTIONS)
async def test_no_way_to_an_event_is_left_out(shop: Shop, field: str) -> None:
    user_id = new_id("usr")
    (event,) = await shop.orders.store.read_stream(await shop.placed(user_id))
    known = {"event": event.id, "correlation": event.metadata.correlation_id}
    await staff(shop.journal, Role.AUDITOR).ask("{ " + SELECTIONS[field] % known + " }")
    (read,) = await shop.reads()
    assert field in [question.field for question in read.asked]
    assert read.persons == (() if field == "auditReads" else (user_id,))


async def test_histories_and_references_too_one_event_a_request(shop: Shop) -> None:
    user_id = new_id("usr")
    orders = [await shop.placed(user_id) for _ in range(3)]
    auditor = staff(shop.journal, Role.AUDITOR)
    history = "... on Order { history(first: 2) { edges { node { id } } } }"
    await auditor.entities(history, *({"__typename": "Order", "id": each} for each in orders))
    (read,) = await shop.reads()
    assert sorted(question.of for question in read.asked) == sorted(orders)
    assert (read.events, read.persons) == (3, (user_id,))
    (event,) = await shop.orders.store.read_stream(orders[0])
    reference = {"__typename": "RecordedEvent", "id": str(event.id)}
    await auditor.entities("... on RecordedEvent { type }", reference)
    last = (await shop.reads())[-1]
    assert last.asked[0].field == "RecordedEvent"
    assert str(event.id) in last.asked[0].arguments


async def test_others_are_not_auditors(shop: Shop) -> None:
    user_id = new_id("usr")
    order_id = await shop.placed(user_id)
    history = "... on Order { history(first: 2) { edges { node { id } } } }"
    reference = {"__typename": "Order", "id": order_id}
    await customer(shop.journal, user_id).entities(history, reference)
    assert await anonymous(shop.journal).code("{ eventLog(first: 1) { edges { cursor } } }")
    assert await shop.reads() == []


async def test_the_log_is_not_full_of_its_readers(shop: Shop) -> None:
    """They are listed where they are asked for."""
    auditor = staff(shop.journal, Role.AUDITOR)
    log = """query($w: EventWhere) { eventLog(first: 9, where: $w) {
      edges { node { type service } } } }"""

    async def found(**where: Any) -> list[Any]:
        return [edge["node"] for edge in (await auditor.ask(log, w=where))["edges"]]

    await shop.placed(new_id("usr"))
    await found()
    await auditor.ask("{ auditReads(first: 1) { edges { cursor } } }")  # waits for the copy
    assert [event["type"] for event in await found()] == ["order.placed"]
    reads = await found(type=[AuditRead.TYPE])
    assert {(event["type"], event["service"]) for event in reads} == {(AuditRead.TYPE, "journal")}


async def test_what_cannot_be_recorded_is_not_shown(shop: Shop) -> None:
    await shop.placed(new_id("usr"))
    auditor = staff(shop.journal, Role.AUDITOR)
    query = "{ eventLog(first: 1) { edges { node { id } } } }"
    with psycopg.connect(shop.database, autocommit=True) as connection:
        connection.execute(
            "CREATE FUNCTION eventstore.away() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION USING ERRCODE = 'insufficient_resources'; END $$"
        )
        connection.execute(
            "CREATE TRIGGER away BEFORE INSERT ON eventstore.events "
            "FOR EACH ROW EXECUTE FUNCTION eventstore.away()"
        )
        answer = await auditor.answer(query)
        assert "data" not in answer
        assert answer["errors"][0]["extensions"]["code"] == "READ_NOT_RECORDED"
        connection.execute("DROP TRIGGER away ON eventstore.events")
    assert await auditor.ask(query)

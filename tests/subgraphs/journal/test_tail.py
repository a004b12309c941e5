"""The live tail of the journal: nothing left out, nothing twice, nothing that was not recorded."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import anyio
import pytest

from eventstore import Personal
from eventstore.event import Actor, Event, Metadata, event_type
from subgraphs.journal import tail
from subgraphs.journal.app import build
from subgraphs.journal.reads import Where
from subgraphs.journal.schema import JournalResources
from subgraphs.shared.auth import Role
from subgraphs.shared.events import AuditRead
from subgraphs.shared.ids import new_id
from subgraphs.shared.service import Service
from tests.support.postgres import TestServer
from tests.support.shop import WAIT_SECONDS_MAX, Client, anonymous, customer, running, staff
from tests.support.telling import Teller, telling

pytestmark = pytest.mark.slow  # three databases each

TAIL = """subscription($where: EventWhere, $after: String) {
  eventLog(where: $where, after: $after) {
    id service streamId position type data redactedFields cursor } }"""


@event_type("order.placed", subject="customer_id")
class OrderPlaced(Event, frozen=True):
    order_id: str
    customer_id: str
    destination: Personal[str] = ""
    payment_method_token: str = "tok_secret"


@event_type("payment.requested")
class PaymentRequested(Event, frozen=True):
    payment_id: str


@dataclass
class Shop:
    orders: Teller
    payments: Teller
    journal: Service[JournalResources]

    @property
    def auditor(self) -> Client:
        return staff(self.journal, Role.AUDITOR)

    async def placed(self, n: int = 1, *, customer_id: str | None = None) -> list[str]:
        """So many orders; gives their ids once they are copied."""
        customer_id = customer_id or new_id("usr")
        ids = [new_id("ord") for _ in range(n)]
        for id_ in ids:
            await self.orders.tell(
                id_, OrderPlaced(id_, customer_id, "Rua 1"), actor=Actor("user", customer_id)
            )
        await self.copied()
        return ids

    async def paid(self, n: int = 1) -> list[str]:
        ids = [new_id("pay") for _ in range(n)]
        for id_ in ids:
            await self.payments.tell(id_, PaymentRequested(id_))
        await self.copied()
        return ids

    async def copied(self) -> None:
        for teller in (self.orders, self.payments):
            head = await teller.store.head()
            follower = self.journal.resources.follower
            assert await follower.wait_for(teller.store.name, head, WAIT_SECONDS_MAX)

    async def reads(self) -> list[AuditRead]:
        found = await self.journal.store.read(0, limit=1000, types=[AuditRead.TYPE])
        return [recorded.event for recorded in found]


@pytest.fixture
async def shop(new_database: Callable[[], str]) -> AsyncIterator[Shop]:
    async with AsyncExitStack() as stack:
        orders = await stack.enter_async_context(telling("orders", new_database(), OrderPlaced))
        payments = await stack.enter_async_context(
            telling("payments", new_database(), PaymentRequested)
        )
        feeds = {"orders": orders.full_feed, "payments": payments.full_feed}
        journal = await stack.enter_async_context(
            running(build, new_database(), name="journal", feeds=feeds)
        )
        yield Shop(orders, payments, journal)


async def streams(following: Any, n: int) -> list[str]:
    return [(await following.next())["streamId"] for _ in range(n)]


async def test_what_comes_is_shown_in_order_and_redacted(shop: Shop) -> None:
    await shop.placed(2)
    async with shop.auditor.following(TAIL) as tail:
        first = asyncio.create_task(tail.next())
        await opened(shop, 1)
        (order_id,) = await shop.placed()
        event = await first
        assert (event["streamId"], event["position"]) == (order_id, "orders:3")
        assert event["data"]["payment_method_token"] is None
        assert event["redactedFields"] == ["payment_method_token"]
        more = [*await shop.placed(3), *await shop.paid(2)]
        assert sorted(await streams(tail, 5)) == sorted(more)


async def opened(shop: Shop, n: int) -> None:
    """Wait until so many tails are recorded."""
    with anyio.fail_after(WAIT_SECONDS_MAX):
        while len(await shop.reads()) < n:
            await shop.journal.store.wait(await shop.journal.store.head(), 0.02)


async def test_a_cursor_goes_on_without_gap_or_repetition(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tail, "BATCH_EVENTS_MAX", 3)
    monkeypatch.setattr(tail, "KEPT_EVENTS_MAX", 5)
    expected = [*await shop.placed(8), *await shop.paid(7)]
    seen, cursor = [], "orders:0"
    while len(seen) < len(expected):
        async with shop.auditor.following(TAIL, after=cursor) as following:
            for _ in range(2 if len(seen) < 14 else 1):
                event = await following.next()
                seen.append(event["streamId"])
                cursor = event["cursor"]
    assert sorted(seen) == sorted(expected)
    async with shop.auditor.following(TAIL, after=cursor) as following:
        waiting = asyncio.create_task(following.next())
        (last,) = await shop.placed()
        assert (await waiting)["streamId"] == last


async def test_many_follow_and_the_table_is_read_once_for_all(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with AsyncExitStack() as stack:
        tails = [await stack.enter_async_context(shop.auditor.following(TAIL)) for _ in range(10)]
        firsts = [asyncio.create_task(tail.next()) for tail in tails]
        await opened(shop, 10)
        await shop.placed()
        await asyncio.gather(*firsts)
        seconds = [asyncio.create_task(tail.next()) for tail in tails]
        reads, asked = shop.journal.resources.reads, []
        between = reads.between

        async def counted(*args: Any) -> Any:
            asked.append(args)
            return await between(*args)

        monkeypatch.setattr(reads, "between", counted)
        (order_id,) = await shop.placed()
        assert {event["streamId"] for event in await asyncio.gather(*seconds)} == {order_id}
        own_head = await shop.journal.store.head()
        await shop.journal.resources.follower.wait_for("journal", own_head, WAIT_SECONDS_MAX)
        ranges = [(str(after), str(up_to)) for after, up_to, *_ in asked]
        assert len(set(ranges)) == len(ranges), "what was copied is read once, whoever asks"


async def test_who_is_slow_reads_the_table(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tail, "KEPT_EVENTS_MAX", 4)
    async with shop.auditor.following(TAIL) as slow, shop.auditor.following(TAIL) as quick:
        waiting = [asyncio.create_task(each.next()) for each in (slow, quick)]
        await opened(shop, 2)
        ids = await shop.placed()
        await asyncio.gather(*waiting)
        for _ in range(6):
            more = await shop.placed(3)
            assert await streams(quick, 3) == more
            ids += more
        assert await streams(slow, 18) == ids[1:]


ALL_CONDITIONS = (
    {"service": ["orders"]},
    {"type": ["payment.requested", "order.placed"], "service": ["payments"]},
    {"streamId": 0},
    {"actorId": "actor"},
    {"subjectId": "actor"},
    {"correlationId": "none"},
    {"since": timedelta(hours=-1), "until": timedelta(hours=1)},
    {"since": timedelta(hours=1)},
    {"until": timedelta(hours=-1)},
)


@pytest.mark.parametrize("given", ALL_CONDITIONS, ids=lambda given: "+".join(given))
async def test_filters_are_those_of_the_list(shop: Shop, given: dict[str, Any]) -> None:
    """What the table finds and what is found among the kept events are the same."""
    customer_id = new_id("usr")
    async with shop.auditor.following(TAIL) as anything:  # so that events are kept
        waiting = asyncio.create_task(anything.next())
        await opened(shop, 1)
        ids = await shop.placed(2, customer_id=customer_id)
        await shop.placed(1)
        await shop.paid(2)
        await waiting
        await streams(anything, 4)
        now = (await shop.orders.store.read(0, limit=1))[0].recorded_at
        replaced = {0: ids[0], "actor": customer_id}
        where = {
            name: (now + value).isoformat()
            if isinstance(value, timedelta)
            else value
            if isinstance(value, list)
            else replaced.get(value, value)
            for name, value in given.items()
        }
        listed = await shop.auditor.ask(
            "query($where: EventWhere) { eventLog(first: 100, where: $where) { edges { node { id }"
            " } } }",
            where=where,
        )
        conditions = Where(
            service=where.get("service"),
            type=where.get("type"),
            stream=where.get("streamId"),
            actor_id=where.get("actorId"),
            correlation_id=where.get("correlationId"),
            subject_id=where.get("subjectId"),
            since=_time(where.get("since")),
            until=_time(where.get("until")),
        )
        kept = [row for row in shop.journal.resources.tail._rows if conditions.matches(row)]
        expected = {edge["node"]["id"] for edge in listed["edges"]}
        assert {str(row["id"]) for row in kept} == expected
    if expected:
        async with shop.auditor.following(TAIL, where=where, after="orders:0") as following:
            assert {(await following.next())["id"] for _ in expected} == expected


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


async def test_only_auditors_tail(shop: Shop) -> None:
    for client, code in (
        (anonymous(shop.journal), "UNAUTHENTICATED"),
        (customer(shop.journal), "FORBIDDEN"),
        (staff(shop.journal), "FORBIDDEN"),
    ):
        async with client.following(TAIL) as following:
            assert await following.code() == code
    assert await shop.reads() == []


@pytest.mark.parametrize(
    "after", ["", "orders", "orders:-1", "nobody:1", "orders:5", "orders:1,", "x" * 2000]
)
async def test_a_cursor_that_is_none(
    shop: Shop, after: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tail, "CURSOR_WAIT_SECONDS_MAX", 0.01)
    async with shop.auditor.following(TAIL, after=after) as following:
        assert await following.code() == "INVALID_PAGE"


async def test_reads_are_recorded_before_they_are_shown(shop: Shop) -> None:
    customer_id = new_id("usr")
    auditor = shop.auditor
    where = {"service": ["orders"]}
    async with auditor.following(TAIL, where=where) as following:
        waiting = asyncio.create_task(following.next())
        await opened(shop, 1)
        (began,) = await shop.reads()
        assert (began.events, began.persons) == (0, ())
        assert began.asked[0].field == "eventLog"
        assert '"service":["orders"]' in began.asked[0].arguments
        await shop.placed(customer_id=customer_id)
        await waiting
        shown = (await shop.reads())[1]
        assert (shown.events, shown.persons) == (1, (customer_id,))
        await shop.paid()
        await shop.placed()
        await following.next()
        assert [read.events for read in await shop.reads()] == [0, 1, 1]


async def test_what_is_asked_of_each_event_is_recorded_too(shop: Shop) -> None:
    (order_id,) = await shop.placed()
    placed = (await shop.orders.store.read_stream(order_id))[0]
    payment_id = new_id("pay")
    await shop.payments.tell(payment_id, PaymentRequested(payment_id), causation_id=str(placed.id))
    await shop.copied()
    query = """subscription { eventLog(after: "orders:0", where: {service: ["orders"]}) {
      consequences { streamId } } }"""
    async with shop.auditor.following(query) as following:
        assert await following.next() == {"consequences": [{"streamId": payment_id}]}
        of_event = (await shop.reads())[-1]
        assert ([each.field for each in of_event.asked], of_event.events) == (["consequences"], 1)


@pytest.mark.parametrize("where", [{"type": [AuditRead.TYPE]}, {"streamId": "aud_1"}])
async def test_a_tail_of_reads_is_refused(shop: Shop, where: dict[str, Any]) -> None:
    async with shop.auditor.following(TAIL, where=where) as following:
        assert await following.code() == "INVALID_PAGE"


async def test_what_cannot_be_recorded_is_not_shown(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    from eventstore import StoreUnavailable

    async with shop.auditor.following(TAIL) as following:
        waiting = asyncio.create_task(following.next())
        await opened(shop, 1)
        append, refusals = shop.journal.store.append, []

        async def refuse_twice(*args: Any, **more: Any) -> Any:
            if len(refusals) < 2:
                assert not waiting.done()
                refusals.append(args)
                raise StoreUnavailable("journal", "away")
            return await append(*args, **more)

        monkeypatch.setattr(shop.journal.store, "append", refuse_twice)
        ids = await shop.placed()
        assert (await waiting)["streamId"] == ids[0]
        assert len(refusals) == 2
        assert [read.events for read in await shop.reads()] == [0, 1]


async def forget(shop: Shop, customer_id: str) -> None:
    await shop.journal.store.persons.erase(
        customer_id,
        reason="asked",
        metadata=Metadata(
            actor=Actor("user", customer_id),
            command_id=new_id("cmd"),
            correlation_id="c",
            occurred_at=shop.journal.context.clock(),
        ),
    )


async def test_who_is_forgotten_is_erased_from_what_was_not_shown_yet(shop: Shop) -> None:
    customer_id = new_id("usr")
    ids = await shop.placed(3, customer_id=customer_id)
    async with shop.auditor.following(TAIL, after="orders:0") as following:
        first = await following.next()
        assert first["data"]["destination"] == "Rua 1"
        await forget(shop, customer_id)
        rest = [await following.next() for _ in range(2)]
        assert [event["streamId"] for event in (first, *rest)] == ids
        assert [event["data"]["destination"] for event in rest] == ["erased", "erased"]


async def test_who_is_forgotten_is_not_kept(shop: Shop) -> None:
    """What was read for one follower is not shown to the next as it was."""
    customer_id = new_id("usr")
    async with shop.auditor.following(TAIL) as following:
        waiting = asyncio.create_task(following.next())
        await opened(shop, 1)
        await shop.placed(customer_id=customer_id)
        assert (await waiting)["data"]["destination"] == "Rua 1"
        await forget(shop, customer_id)
        async with shop.auditor.following(TAIL, after="orders:0,payments:0") as another:
            assert (await another.next())["data"]["destination"] == "erased"


async def test_a_tail_goes_on_after_the_database_was_away(own_server: TestServer) -> None:
    """The server of all logs crashes while an auditor waits: nothing is lost, nothing twice."""
    async with AsyncExitStack() as stack:
        orders = await stack.enter_async_context(
            telling("orders", own_server.create_database("orders"), OrderPlaced)
        )
        journal = await stack.enter_async_context(
            running(
                build,
                own_server.create_database("journal"),
                name="journal",
                feeds={"orders": orders.full_feed},
            )
        )
        shop = Shop(orders, orders, journal)
        following = await stack.enter_async_context(shop.auditor.following(TAIL))
        waiting = asyncio.create_task(following.next())
        await opened(shop, 1)
        ids = await shop.placed()
        await waiting
        waiting = asyncio.create_task(following.next())
        await asyncio.to_thread(own_server.crash)
        await asyncio.to_thread(own_server.start)
        ids += await shop.placed(2)
        assert (await waiting)["streamId"] == ids[1]
        assert await streams(following, 1) == ids[2:]


async def test_a_journal_knows_from_its_start_on_how_far_it_has_copied(
    shop: Shop, new_database: Callable[[], str]
) -> None:
    """A tail would begin at the first event otherwise, and an export would be empty."""
    await shop.placed(2)
    conninfo, feeds = new_database(), {"orders": shop.orders.full_feed}
    async with running(build, conninfo, name="journal", feeds=feeds) as before:
        head = await shop.orders.store.head()
        assert await before.resources.follower.wait_for("orders", head, WAIT_SECONDS_MAX)
    async with running(build, conninfo, name="journal", feeds=feeds) as after:
        assert after.resources.follower.positions()["orders"] == head


async def test_a_tail_that_is_ended_lets_go(shop: Shop) -> None:
    answers = shop.journal.subscribe(TAIL, None, None, shop.auditor.signed())
    async with aclosing(answers):
        waiting = asyncio.create_task(anext(answers))
        await opened(shop, 1)
        assert shop.journal._subscriptions == 1
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
    assert shop.journal._subscriptions == 0

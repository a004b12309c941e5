"""The journal, fed by real logs of two services."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from uuid import uuid4

import psycopg
import pytest

from eventstore.event import Actor, Event, event_type
from subgraphs.journal.app import build
from subgraphs.journal.schema import STUBS, JournalResources
from subgraphs.shared.auth import Role
from subgraphs.shared.ids import new_id
from subgraphs.shared.service import Service
from tests.support.shop import WAIT_SECONDS_MAX, Client, anonymous, customer, running, staff
from tests.support.telling import Teller, telling

pytestmark = pytest.mark.slow  # three databases each


@event_type("order.placed")
class OrderPlaced(Event, frozen=True):
    order_id: str
    customer_id: str
    payment_method_token: str = "tok_secret"
    number: str = ""


@event_type("order.noted", public=False)
class OrderNoted(Event, frozen=True):
    order_id: str
    n: int


@event_type("payment.requested")
class PaymentRequested(Event, frozen=True):
    payment_id: str
    provider_reference: str = ""


@dataclass
class Shop:
    orders: Teller
    payments: Teller
    journal: Service[JournalResources]

    @property
    def auditor(self) -> Client:
        return staff(self.journal, Role.AUDITOR)

    async def copied(self) -> None:
        """Wait until all that was told is in the journal."""
        for teller in (self.orders, self.payments):
            head = await teller.store.head()
            follower = self.journal.resources.follower
            assert await follower.wait_for(teller.store.name, head, WAIT_SECONDS_MAX)


@pytest.fixture
async def shop(new_database: Callable[[], str]) -> AsyncIterator[Shop]:
    async with AsyncExitStack() as stack:
        orders = await stack.enter_async_context(
            telling("orders", new_database(), OrderPlaced, OrderNoted)
        )
        payments = await stack.enter_async_context(
            telling("payments", new_database(), PaymentRequested)
        )
        feeds = {"orders": orders.full_feed, "payments": payments.full_feed}
        journal = await stack.enter_async_context(
            running(build, new_database(), name="journal", feeds=feeds)
        )
        yield Shop(orders, payments, journal)


EVENT = """id service streamId version position type schemaVersion data redactedFields reason
  actor { kind id user { id } service } commandId causationId correlationId recordedAt"""
LOG = f"""query($first: Int!, $after: String, $where: EventWhere) {{
  eventLog(first: $first, after: $after, where: $where) {{
    edges {{ node {{ {EVENT} }} }} pageInfo {{ hasNextPage endCursor }} }} }}"""


async def story(shop: Shop) -> tuple[str, str, str, list[str]]:
    """An order, its payment, and an unrelated order; gives customer, order, payment, event ids."""
    user_id, order_id, payment_id = new_id("usr"), new_id("ord"), new_id("pay")
    actor = Actor("user", user_id)
    await shop.orders.tell(
        order_id, OrderPlaced(order_id, user_id), correlation_id="c1", actor=actor
    )
    placed = (await shop.orders.store.read_stream(order_id))[0]
    await shop.payments.tell(
        payment_id,
        PaymentRequested(payment_id),
        correlation_id="c1",
        causation_id=str(placed.id),
        actor=Actor("service", "payments"),
    )
    requested = (await shop.payments.store.read_stream(payment_id))[0]
    await shop.orders.tell(
        order_id,
        OrderNoted(order_id, 1),
        correlation_id="c1",
        causation_id=str(requested.id),
        actor=Actor("process_manager", "orders"),
    )
    noted = (await shop.orders.store.read_stream(order_id))[1]
    other = new_id("ord")
    await shop.orders.tell(other, OrderPlaced(other, new_id("usr")))
    await shop.copied()
    return user_id, order_id, payment_id, [str(e.id) for e in (placed, requested, noted)]


async def test_every_event_of_every_service_is_found(shop: Shop) -> None:
    user_id, order_id, _, ids = await story(shop)
    page = await shop.auditor.ask(LOG, first=10)
    assert len(page["edges"]) == 4
    (placed,) = [e["node"] for e in page["edges"] if e["node"]["id"] == ids[0]]
    assert placed["data"] == {
        "order_id": order_id,
        "customer_id": user_id,
        "payment_method_token": None,
        "number": "",
    }
    assert placed["redactedFields"] == ["payment_method_token"]
    assert placed["actor"] == {
        "kind": "USER",
        "id": user_id,
        "user": {"id": user_id},
        "service": None,
    }
    assert placed["position"] == "orders:1"
    one = await shop.auditor.ask(f"query($id: ID!) {{ event(id: $id) {{ {EVENT} }} }}", id=ids[0])
    assert one == placed
    for unknown in (str(uuid4()), "rubbish"):
        assert await shop.auditor.ask("query($i: ID!) { event(id: $i) { id } }", i=unknown) is None


async def test_the_log_is_filtered_and_paged(shop: Shop) -> None:
    user_id, order_id, payment_id, ids = await story(shop)

    async def found(**where: object) -> list[str]:
        seen: list[str] = []
        after = None
        while True:
            page = await shop.auditor.ask(LOG, first=1, after=after, where=where)
            seen += [edge["node"]["id"] for edge in page["edges"]]
            after = page["pageInfo"]["endCursor"]
            if not page["pageInfo"]["hasNextPage"]:
                return seen

    assert len(await found()) == 4
    assert await found(correlationId="c1") == ids[::-1]
    assert await found(service=["payments"]) == [ids[1]]
    assert await found(type=["payment.requested", "order.noted"]) == [ids[2], ids[1]]
    assert await found(streamId=order_id) == [ids[2], ids[0]]
    assert await found(actorId=user_id) == [ids[0]]
    assert await found(until="2020-01-01T00:00:00Z") == []
    assert len(await found(since="2020-01-01T00:00:00Z")) == 4
    assert await found(streamId=payment_id, actorId=user_id) == []
    assert await shop.auditor.code(LOG, first=0) == "INVALID_PAGE"
    assert await shop.auditor.code(LOG, first=1, after="x") == "INVALID_PAGE"


async def test_events_are_found_by_the_number_that_people_know(shop: Shop) -> None:
    await story(shop)
    order_id, payment_id = new_id("ord"), new_id("pay")
    await shop.orders.tell(order_id, OrderPlaced(order_id, new_id("usr"), number="L-00AB-1"))
    await shop.payments.tell(payment_id, PaymentRequested(payment_id, "pi_3"))
    await shop.copied()
    known = {"l-00ab-1": [order_id], "pi_3": [payment_id], "L-00AB": [], "%": []}
    for number, found in known.items():
        page = await shop.auditor.ask(LOG, first=9, where={"number": number})
        assert [edge["node"]["streamId"] for edge in page["edges"]] == found


async def test_causes_and_consequences_lead_through_the_services(shop: Shop) -> None:
    _, _, _, ids = await story(shop)
    chain = "query($id: ID!) { causationChain(eventId: $id) { id service } }"
    assert await shop.auditor.ask(chain, id=ids[2]) == [
        {"id": ids[0], "service": "orders"},
        {"id": ids[1], "service": "payments"},
        {"id": ids[2], "service": "orders"},
    ]
    assert await shop.auditor.ask(chain, id="rubbish") == []
    tree = """query($id: ID!) { event(id: $id) { consequences { id
      consequences { id consequences { id } } } } }"""
    assert await shop.auditor.ask(tree, id=ids[0]) == {
        "consequences": [{"id": ids[1], "consequences": [{"id": ids[2], "consequences": []}]}]
    }
    whole = """query($first: Int!) { correlation(id: "c1", first: $first) {
      edges { node { id } } pageInfo { hasNextPage } } }"""
    page = await shop.auditor.ask(whole, first=2)
    assert [edge["node"]["id"] for edge in page["edges"]] == ids[:2]
    assert page["pageInfo"]["hasNextPage"]


async def test_a_node_is_found_by_its_prefix(shop: Shop) -> None:
    query = "query($id: ID!) { node(id: $id) { __typename id } }"
    for prefix, stub in STUBS.items():
        id_ = new_id(prefix)
        assert await anonymous(shop.journal).ask(query, id=id_) == {
            "__typename": stub.__name__,
            "id": id_,
        }
    for unknown in ("rubbish", new_id("plc"), "ord_1", ""):
        assert await anonymous(shop.journal).ask(query, id=unknown) is None
    _, _, _, ids = await story(shop)
    assert (await shop.auditor.ask(query, id=ids[0]))["__typename"] == "RecordedEvent"
    assert await anonymous(shop.journal).ask(query, id=ids[0]) is None
    many = "query($ids: [ID!]!) { nodes(ids: $ids) { id } }"
    order_id = new_id("ord")
    assert await anonymous(shop.journal).ask(many, ids=[order_id, "x"]) == [{"id": order_id}, None]
    assert await anonymous(shop.journal).code(many, ids=["x"] * 101) == "INVALID_PAGE"


HISTORY = """__typename
  ... on Order { history(first: 10) { edges { node { id type } } } }
  ... on User { history(first: 10) { edges { node { id } } } }
  ... on Payment { history(first: 10) { edges { node { id } } } }"""


async def test_a_history_is_for_auditors_and_for_whom_it_is_about(shop: Shop) -> None:
    user_id, order_id, payment_id, ids = await story(shop)
    order = {"__typename": "Order", "id": order_id}
    user = {"__typename": "User", "id": user_id}
    payment = {"__typename": "Payment", "id": payment_id}
    owner = customer(shop.journal, user_id)
    for client in (shop.auditor, owner):
        found, _ = await client.entities(HISTORY, order, user)
        assert [edge["node"]["id"] for edge in found["history"]["edges"]] == [ids[0], ids[2]]
    (found,) = await shop.auditor.entities(HISTORY, payment)
    assert len(found["history"]["edges"]) == 1
    query = f"query($r: [_Any!]!) {{ _entities(representations: $r) {{ {HISTORY} }} }}"
    for client, reference in (
        (owner, payment),
        (customer(shop.journal), order),
        (customer(shop.journal), user),
        (staff(shop.journal), order),
        (staff(shop.journal, Role.ADMIN), order),
    ):
        assert await client.code(query, r=[reference]) == "FORBIDDEN"
    assert await anonymous(shop.journal).code(query, r=[order]) == "UNAUTHENTICATED"


async def test_only_auditors_read_the_log(shop: Shop) -> None:
    _, _, _, ids = await story(shop)
    queries = [
        f'event(id: "{ids[0]}") {{ id }}',
        "eventLog(first: 1) { edges { cursor } }",
        f'causationChain(eventId: "{ids[0]}") {{ id }}',
        'correlation(id: "c1", first: 1) { edges { cursor } }',
    ]
    for query in queries:
        assert await anonymous(shop.journal).code(f"{{ {query} }}") == "UNAUTHENTICATED"
        for client in (
            customer(shop.journal),
            staff(shop.journal),
            staff(shop.journal, Role.ADMIN, Role.OPERATOR),
        ):
            assert await client.code(f"{{ {query} }}") == "FORBIDDEN"
    event = {"__typename": "RecordedEvent", "id": ids[0]}
    assert await staff(shop.journal).entities("... on RecordedEvent { type }", event) == [None]
    assert await shop.auditor.entities("... on RecordedEvent { type }", event) == [
        {"type": "order.placed"}
    ]


async def test_a_position_of_another_service_is_waited_for(shop: Shop) -> None:
    order_id = new_id("ord")
    position = await shop.orders.tell(order_id, OrderPlaced(order_id, "usr_1"))
    client = shop.auditor
    client.headers["x-read-position"] = f"orders:{position}"
    page = await client.ask(LOG, first=1, where={"streamId": order_id})
    assert len(page["edges"]) == 1


async def test_the_copy_goes_on_where_it_stopped(new_database: Callable[[], str]) -> None:
    database = new_database()
    async with telling("orders", new_database(), OrderNoted) as orders:
        for n in range(2):
            async with running(
                build, database, name="journal", feeds={"orders": orders.full_feed}
            ) as journal:
                follower = journal.resources.follower
                if n > 0:
                    assert await follower.wait_for("orders", 1, WAIT_SECONDS_MAX)
                    assert follower.positions()["orders"] >= 700 * n
                await orders.tell("ord_1", *(OrderNoted("ord_1", i) for i in range(700)))
                head = await orders.store.head()
                assert await follower.wait_for("orders", head, WAIT_SECONDS_MAX)
            with psycopg.connect(database) as connection:
                row = connection.execute(
                    "SELECT count(*), max(position) FROM journal_events"
                ).fetchone()
            assert row == (700 * (n + 1), 700 * (n + 1))


async def test_statements_do_not_grow_with_rows(shop: Shop) -> None:
    user_id = new_id("usr")
    orders = [new_id("ord") for _ in range(5)]
    for order_id in orders:
        await shop.orders.tell(order_id, OrderPlaced(order_id, user_id))
    await shop.copied()
    counts = []
    for n in (1, 5):
        before = shop.journal.reads.statements
        references = [{"__typename": "Order", "id": order_id} for order_id in orders[:n]]
        await customer(shop.journal, user_id).entities(HISTORY, *references)
        await shop.auditor.ask(
            "query($n: Int!) { eventLog(first: $n) { edges { node { consequences { id } } } } }",
            n=n,
        )
        counts.append(shop.journal.reads.statements - before)
    assert counts[0] == counts[1] == 4

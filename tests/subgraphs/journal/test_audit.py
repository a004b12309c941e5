"""What auditors ask that only the owners of the logs can answer, in one process and over HTTP."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from eventstore import ANY, Actor, Append, Metadata
from eventstore.audit import Seal, Signer, check, seal_next
from subgraphs.journal.app import build
from subgraphs.journal.schema import JournalResources
from subgraphs.products.app import build as build_products
from subgraphs.products.events import ProductPublished, ProductUnpublished
from subgraphs.shared.auth import Role, feed_authorization
from subgraphs.shared.events import AuditRead
from subgraphs.shared.http_audit import HttpAudit
from subgraphs.shared.ids import new_id
from subgraphs.shared.log_audit import LogAudit
from subgraphs.shared.service import Service
from tests.support.asgi import ask
from tests.support.served import served
from tests.support.shop import SECRET, WAIT_SECONDS_MAX, Client, anonymous, running, staff

pytestmark = pytest.mark.slow

SIGNER = Signer(Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
CREATE = """mutation($slug: String!, $key: ID!) { createProduct(input: {slug: $slug, title: "Silk",
  variants: [{sku: $slug, price: {amount: "1", currency: "EUR"}}], idempotencyKey: $key}) {
    product { id version } userErrors { code } } }"""


@dataclass
class Trusted:
    """Believes SIGNER; keeps a seal where a test puts one."""

    kept: Seal | None = None
    signer: Signer = field(default=SIGNER)

    def keys(self) -> dict[str, Ed25519PublicKey]:
        return {self.signer.key_id: self.signer.key.public_key()}

    def checkpoint(self, number: int | None = None) -> Seal | None:
        return self.kept if number is None else None


@dataclass
class Shop:
    products: Service[Any]
    journal: Service[JournalResources]
    trust: Trusted

    @property
    def auditor(self) -> Client:
        return staff(self.journal, Role.AUDITOR)

    async def product(self, slug: str) -> str:
        """A product that was created and published; gives its id once the journal has it."""
        someone = staff(self.products)
        made = (await someone.ask(CREATE, slug=slug, key=slug))["product"]
        await someone.ask(
            "mutation($id: ID!) { publishProduct(id: $id) { receipt { version } } }", id=made["id"]
        )
        head = await self.products.store.head()
        assert await self.journal.resources.follower.wait_for("products", head, WAIT_SECONDS_MAX)
        return str(made["id"])

    def seal(self) -> Seal | None:
        with psycopg.connect(self.products.context.conninfo, autocommit=True) as connection:
            return seal_next(connection, self.products.store.layout, SIGNER, datetime.now(UTC))

    async def last_verified(self) -> Any:
        """What `integrity` says once the verification has ended."""
        while self.journal.resources.verifications.under_way("products"):
            await self.journal.store.wait(await self.journal.store.head(), 0.05)
        (report,) = await self.auditor.ask(INTEGRITY)
        return report["lastVerified"]


@pytest.fixture(params=["local", "http"])
async def shop(
    new_database: Callable[[], str], request: pytest.FixtureRequest
) -> AsyncIterator[Shop]:
    trust = Trusted()
    async with AsyncExitStack() as stack:
        products = await stack.enter_async_context(
            running(build_products, new_database(), name="products", trust=trust)
        )
        audit: LogAudit = products.audit
        if request.param == "http":
            port = await stack.enter_async_context(served(products.app))
            url = f"http://127.0.0.1:{port}/audit"
            audit = HttpAudit("products", url, feed_authorization(SECRET))
        journal = await stack.enter_async_context(
            running(
                build,
                new_database(),
                name="journal",
                feeds={"products": products.full_feed},
                audits={"products": audit},
            )
        )
        yield Shop(products, journal, trust)


INTEGRITY = """{ integrity(service: ["products"]) { service events sealedUpTo seals keyId
  checkpointUpTo copiedUpTo verifying problem lastVerified { by { id } events sealedUpTo seals
  checkpoint intact brokenPosition fault } } }"""
VERIFY = """mutation($service: String!) { verifyLog(service: $service) {
  report { service } userErrors { code path } } }"""
PROOF = "query($id: ID!) { inclusionProof(eventId: $id) { service eventId seal document } }"


async def test_how_a_log_stands_and_that_it_was_verified(shop: Shop) -> None:
    await shop.product("silk")
    (report,) = await shop.auditor.ask(INTEGRITY)
    head = report["events"]
    assert (report["sealedUpTo"], report["seals"], report["checkpointUpTo"]) == (
        *("products:0", 0),
        None,
    )
    assert (report["copiedUpTo"], report["lastVerified"]) == (f"products:{head}", None)
    shop.trust.kept = shop.seal()
    (report,) = await shop.auditor.ask(INTEGRITY)
    assert (report["sealedUpTo"], report["checkpointUpTo"]) == (f"products:{head}",) * 2
    assert (report["keyId"], report["problem"]) == (SIGNER.key_id, None)

    auditor = shop.auditor
    begun = await auditor.ask(VERIFY, service="products")
    assert begun == {"report": {"service": "products"}, "userErrors": []}
    assert await shop.last_verified() == {
        "by": {"id": auditor.user_id},
        "events": head,
        "sealedUpTo": f"products:{head}",
        "seals": 1,
        "checkpoint": 1,
        "intact": True,
        "brokenPosition": None,
        "fault": None,
    }


async def test_a_log_that_was_altered_is_found_out(shop: Shop) -> None:
    await shop.product("silk")
    shop.seal()
    with psycopg.connect(shop.products.context.conninfo, autocommit=True) as connection:
        connection.execute("ALTER TABLE eventstore.events DISABLE TRIGGER ALL")
        connection.execute("UPDATE eventstore.events SET stream = 'other' WHERE position = 2")
    await shop.auditor.ask(VERIFY, service="products")
    found = await shop.last_verified()
    assert (found["intact"], found["brokenPosition"]) == (False, "products:2")
    assert "the hash of the event" in found["fault"]


async def test_a_proof_is_the_file_that_is_checked_without_the_database(shop: Shop) -> None:
    product_id = await shop.product("silk")
    (event, *_) = await shop.products.store.read_stream(product_id)
    assert await shop.auditor.code(PROOF, id=str(event.id)) == "NOT_PROVABLE"
    shop.seal()
    proof = await shop.auditor.ask(PROOF, id=str(event.id))
    assert (proof["service"], proof["eventId"], proof["seal"]) == ("products", str(event.id), 1)
    record = check(proof["document"].encode(), shop.trust.keys())
    assert (record["id"], record["stream"]) == (str(event.id), product_id)
    assert await shop.auditor.ask(PROOF, id=new_id("ord")) is None


async def test_an_event_has_its_hash_and_its_seal(shop: Shop) -> None:
    await shop.product("silk")
    log = "{ eventLog(first: 50) { edges { node { id hash seal } } } }"
    first = [edge["node"] for edge in (await shop.auditor.ask(log))["edges"]]
    assert {node["seal"] for node in first} == {None}
    shop.seal()
    await shop.product("wool")
    nodes = [edge["node"] for edge in (await shop.auditor.ask(log))["edges"]]
    assert [node["seal"] for node in nodes] == [None] * len(first) + [1] * len(first)
    with psycopg.connect(shop.products.context.conninfo) as connection:
        rows = connection.execute("SELECT id, leaf FROM eventstore.events").fetchall()
    assert {node["id"]: node["hash"] for node in nodes} == {
        str(id_): leaf.hex() for id_, leaf in rows
    }


AS_OF = """query($id: ID!, $version: Int, $at: DateTime) {
  asOf(streamId: $id, version: $version, at: $at) { service version state folded } }"""
DIFF = """query($id: ID!, $from: Int!, $to: Int!) {
  diff(streamId: $id, fromVersion: $from, toVersion: $to) { path before after eventId } }"""


async def test_any_stream_as_it_stood_and_what_changed(shop: Shop) -> None:
    product_id = await shop.product("silk")
    *_, last = events = await shop.products.store.read_stream(product_id)
    now = await shop.auditor.ask(AS_OF, id=product_id)
    assert (now["service"], now["version"], now["folded"]) == ("products", last.version, True)
    before = await shop.auditor.ask(AS_OF, id=product_id, version=last.version - 1)
    at = events[-2].recorded_at.isoformat()
    assert await shop.auditor.ask(AS_OF, id=product_id, at=at) == before
    assert before["state"] != now["state"]
    for never in ({"version": 0}, {"version": -3}, {"at": "2000-01-01T00:00:00Z"}):
        assert await shop.auditor.ask(AS_OF, id=product_id, **never) is None
    assert await shop.auditor.ask(AS_OF, id=new_id("ord")) is None
    versions = {"from": last.version - 1, "to": last.version}
    changes = await shop.auditor.ask(DIFF, id=product_id, **versions)
    assert {change["eventId"] for change in changes} == {str(last.id)}
    assert await shop.auditor.ask(DIFF, id=product_id, **{"from": 1, "to": 1}) == []


def told(occurred: datetime) -> Metadata:
    who, command = Actor("staff", "anna"), new_id("cmd")
    return Metadata(actor=who, command_id=command, correlation_id=command, occurred_at=occurred)


LATE = """query($id: ID!, $at: DateTime, $by: EventTime) {
  asOf(streamId: $id, at: $at, by: $by) { version at state withoutVersions } }"""


async def test_what_was_recorded_late_counts_from_when_it_happened(shop: Shop) -> None:
    """Created now; that it is unpublished on day 5 is recorded before its publication on day 3."""
    created = await staff(shop.products).ask(CREATE, slug="silk", key="silk")
    product_id, start = created["product"]["id"], datetime.now(UTC)
    fifth, third = start + timedelta(days=5), start + timedelta(days=3)
    for event, occurred in (
        (ProductUnpublished(product_id, "default", "sold out"), fifth),
        (ProductPublished(product_id, "default"), third),
    ):
        who = told(occurred)
        await shop.products.store.append(Append(product_id, [event], ANY), metadata=who)
    head = await shop.products.store.head()
    await shop.journal.resources.follower.wait_for("products", head, WAIT_SECONDS_MAX)
    *_, unpublished, published = await shop.products.store.read_stream(product_id)

    async def then(**given: str) -> tuple[int, list[int], bool]:
        found = await shop.auditor.ask(LATE, id=product_id, **given)
        return found["version"], found["withoutVersions"], bool(found["state"]["channels"])

    last, before = published.version, unpublished.version - 1
    at = {"at": (start + timedelta(days=4)).isoformat()}
    assert await then(**at, by="OCCURRED") == (last, [before + 1], True)
    assert await then(**at) == (last, [], True), "all of it was recorded by then"
    known = {"at": unpublished.recorded_at.isoformat()}
    assert await then(**known) == (before + 1, [], False)
    assert await then(**known, by="OCCURRED") == (before, [], False)


async def test_a_state_that_cannot_be_read_is_no_guess(shop: Shop) -> None:
    """Of refused commands: their message is personal."""
    refused, stranger = staff(shop.products), new_id("prd")
    await refused.ask(
        "mutation($id: ID!) { publishProduct(id: $id) { userErrors { code } } }", id=stranger
    )
    head = await shop.products.store.head()
    await shop.journal.resources.follower.wait_for("products", head, WAIT_SECONDS_MAX)
    stream = "rfs_" + stranger.partition("_")[2]
    with psycopg.connect(shop.products.context.conninfo) as connection:
        connection.execute("DELETE FROM eventstore.subject_keys")
    assert await shop.auditor.code(AS_OF, id=stream) == "UNREADABLE"


async def test_what_nothing_folds_is_merged_from_its_events(shop: Shop) -> None:
    refused, stranger = staff(shop.products), new_id("prd")
    for query in ("publishProduct(id: $id)", 'unpublishProduct(id: $id, reason: "r")'):
        await refused.ask(
            f"mutation($id: ID!) {{ {query} {{ userErrors {{ code }} }} }}", id=stranger
        )
    head = await shop.products.store.head()
    await shop.journal.resources.follower.wait_for("products", head, WAIT_SECONDS_MAX)
    stream = "rfs_" + stranger.partition("_")[2]
    found = await shop.auditor.ask(AS_OF, id=stream)
    assert (found["version"], found["folded"]) == (2, False)
    assert found["state"]["operation"] == "unpublishProduct"
    first = await shop.auditor.ask(AS_OF, id=stream, version=1)
    assert first["state"]["operation"] == "publishProduct"
    assert await shop.auditor.code(DIFF, id=stream, **{"from": 1, "to": 2}) == "INVALID"


async def test_what_was_refused_is_with_the_thing_it_was_asked_of(shop: Shop) -> None:
    product_id = await shop.product("silk")
    someone = staff(shop.products)
    publish = """mutation($id: ID!) { publishProduct(id: $id, expectedVersion: 99) {
      userErrors { code } } }"""
    await someone.ask(publish, id=product_id)
    head = await shop.products.store.head()
    await shop.journal.resources.follower.wait_for("products", head, WAIT_SECONDS_MAX)
    selection = """... on Product { refusals(first: 5) {
      edges { node { type data actor { id } } } } }"""
    reference = {"__typename": "Product", "id": product_id}
    (found,) = await shop.auditor.entities(selection, reference)
    (node,) = [edge["node"] for edge in found["refusals"]["edges"]]
    assert (node["type"], node["actor"]["id"]) == ("command.refused", someone.user_id)
    assert (node["data"]["operation"], node["data"]["code"]) == (
        "publishProduct",
        "VERSION_CONFLICT",
    )
    query = f"query($r: [_Any!]!) {{ _entities(representations: $r) {{ {selection} }} }}"
    assert await staff(shop.journal).code(query, r=[reference]) == "FORBIDDEN"


async def test_all_of_it_is_for_auditors_and_recorded(shop: Shop) -> None:
    product_id = await shop.product("silk")
    (event, *_) = await shop.products.store.read_stream(product_id)
    shop.seal()
    asked = {
        "asOf": (AS_OF, {"id": product_id}),
        "diff": (DIFF, {"id": product_id, "from": 0, "to": 1}),
        "inclusionProof": (PROOF, {"id": str(event.id)}),
    }
    for query, given in [*asked.values(), (INTEGRITY, {}), (VERIFY, {"service": "products"})]:
        for client in (staff(shop.journal), staff(shop.journal, Role.ADMIN, Role.OPERATOR)):
            assert await client.code(query, **given) == "FORBIDDEN"
        assert await anonymous(shop.journal).code(query, **given) == "UNAUTHENTICATED"
    for query, given in asked.values():
        await shop.auditor.ask(query, **given)
    found = await shop.journal.store.read(0, types=[AuditRead.TYPE])
    assert [recorded.event.asked[0].field for recorded in found] == list(asked)
    assert all(recorded.event.events > 0 for recorded in found)


async def test_a_service_that_there_is_not(shop: Shop) -> None:
    query = '{ integrity(service: ["weather"]) { service } }'
    assert await shop.auditor.code(query) == "NOT_FOUND"
    refused = await shop.auditor.ask(VERIFY, service="weather")
    assert refused["userErrors"] == [{"code": "NOT_FOUND", "path": ["service"]}]


async def test_a_service_that_does_not_answer_is_said(database: str) -> None:
    away = HttpAudit("products", "http://127.0.0.1:1/audit", feed_authorization(SECRET))
    async with running(build, database, name="journal", audits={"products": away}) as journal:
        auditor = staff(journal, Role.AUDITOR)
        (report,) = await auditor.ask(INTEGRITY)
        assert report["events"] is None
        assert "the log of products cannot be asked now" in report["problem"]
        (own,) = await auditor.ask('{ integrity(service: ["journal"]) { events problem } }')
        assert (own["events"] > 0, own["problem"]) == (False, None)


async def test_the_endpoint_is_for_services(shop: Shop) -> None:
    for path in ("/audit/state", "/audit/verify", "/audit/as-of"):
        assert (await ask(shop.products.app, "GET", path)).status == 401
    inside = {"authorization": feed_authorization(SECRET)}
    for path, query in (("/audit/as-of", ""), ("/audit/proof", "event=x"), ("/audit/fly", "")):
        reply = await ask(shop.products.app, "GET", path, headers=inside, query_string=query)
        assert reply.status == 400, path
        assert json.loads(reply.body)["code"] == "BAD_REQUEST"

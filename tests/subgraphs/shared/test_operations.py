"""The operator's part of a subgraph, in the products service: it is the same in all of them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import psycopg
import pytest

from projections.faults import arm, disarm
from subgraphs.products.app import build
from subgraphs.shared import operations
from subgraphs.shared.auth import Role
from subgraphs.shared.service import Service
from tests.support.shop import WAIT_SECONDS_MAX, Client, anonymous, running, settled, staff, written

pytestmark = pytest.mark.slow

CREATE = """mutation($slug: String!, $key: ID!) { createProduct(input: {slug: $slug, title: "Silk",
  publish: true, variants: [{sku: $slug, price: {amount: "1", currency: "EUR"}}],
  idempotencyKey: $key}) { product { id } userErrors { code } } }"""
SEE = """{ productsProjections { name
  builds { number version state position head lag rate etaSeconds parkedKeys bytes }
  rebuild { build running percent rate etaSeconds owner error } } }"""
PAYLOAD = """{ projection { name builds { number state } rebuild { build running } }
  receipt { commandId version position replayed } userErrors { code message path } }"""
GIVEN = "$name: String!, $reason: String!, $key: ID!"
REBUILD = f"""mutation({GIVEN}, $restart: Boolean! = false) {{ rebuildProductsProjection(
  name: $name, reason: $reason, idempotencyKey: $key, restart: $restart) {PAYLOAD} }}"""
SWITCH = f"""mutation({GIVEN}) {{ switchProductsProjection(
  name: $name, reason: $reason, idempotencyKey: $key) {PAYLOAD} }}"""
ROLL_BACK = f"""mutation({GIVEN}) {{ rollBackProductsProjection(
  name: $name, reason: $reason, idempotencyKey: $key) {PAYLOAD} }}"""
REDRIVE = f"""mutation({GIVEN}, $parked: String) {{ redriveProductsProjection(
  name: $name, reason: $reason, idempotencyKey: $key, key: $parked) {PAYLOAD} }}"""
SKIP = f"""mutation({GIVEN}, $parked: String!) {{ skipProductsEvent(
  name: $name, reason: $reason, idempotencyKey: $key, key: $parked) {PAYLOAD} }}"""
VERIFY = """mutation($name: String!) { verifyProductsProjection(name: $name) {
  verification { liveBuild otherBuild position equal differences examples
    tables { table liveRows otherRows differences } }
  userErrors { code message path } } }"""
PARKED = """query($first: Int!, $after: String) {
  productsParkedEvents(first: $first, after: $after) {
  edges { node { projection build key position events error traceback attempts redriving } }
  pageInfo { hasNextPage endCursor } } }"""


@pytest.fixture
async def service(database: str) -> AsyncIterator[Service[Any]]:
    async with running(build, database, name="products") as service:
        for number in range(3):
            assert not (await staff(service).ask(CREATE, slug=f"s{number}", key=f"{number}"))[
                "userErrors"
            ]
        await settled(service)
        yield service


@pytest.fixture
def held() -> Iterator[threading.Event]:
    """Rebuilds wait for it before they are ready."""
    gate = threading.Event()

    def wait() -> None:
        gate.wait(WAIT_SECONDS_MAX)

    arm("rebuild.before_ready", wait)
    yield gate
    gate.set()
    disarm()


def operator(service: Service[Any]) -> Client:
    return staff(service, Role.OPERATOR)


async def state(who: Client, name: str = "catalogue") -> Any:
    return next(each for each in await who.ask(SEE) if each["name"] == name)


async def until(who: Client, true: Callable[[Any], bool]) -> Any:
    """The projection, once something is true of it."""
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        while True:
            if true(now := await state(who)):
                return now
            await asyncio.sleep(0.02)  # between two looks at a condition


def is_ready(now: Any) -> bool:
    """Whether the second build can be switched to."""
    return (2, "READY") in [(each["number"], each["state"]) for each in now["builds"]]


async def done(who: Client, mutation: str, key: str, **given: Any) -> Any:
    """The payload of an act that must not be refused."""
    given = {"name": "catalogue", "reason": f"because of {key}", **given}
    payload = await who.ask(mutation, key=key, **given)
    assert payload["userErrors"] == [], payload
    return payload


async def refused(who: Client, mutation: str, **given: Any) -> tuple[str, Any]:
    """Code and path of the one refusal of an act."""
    given = {"name": "catalogue", "reason": "a test", "key": "refused", **given}
    payload = await who.ask(mutation, **given)
    (error,) = payload["userErrors"]
    assert payload.get("receipt") is None
    return error["code"], error["path"]


@pytest.mark.parametrize("query", [SEE, PARKED, REBUILD, SWITCH, ROLL_BACK, REDRIVE, SKIP, VERIFY])
async def test_it_is_for_operators(service: Service[Any], query: str) -> None:
    given = {"name": "catalogue", "reason": "r", "key": "k", "parked": "p", "first": 1}
    assert await anonymous(service).code(query, **given) == "UNAUTHENTICATED"
    others = staff(service, *(role for role in Role if role is not Role.OPERATOR))
    assert await others.code(query, **given) == "FORBIDDEN"


async def test_from_a_rebuild_to_a_rollback(service: Service[Any]) -> None:
    who = operator(service)
    who.headers["x-correlation-id"] = "cor-1"
    head = await service.store.head()
    (live,) = (await state(who))["builds"]
    assert int(live.pop("bytes")) > 0
    assert live == {
        **{"number": 1, "version": 1, "state": "LIVE", "lag": 0, "parkedKeys": 0},
        **{"position": f"products:{head}", "head": f"products:{head}"},
        **{"rate": None, "etaSeconds": None},
    }
    started = await done(who, REBUILD, "one")
    assert started["receipt"]["position"] == f"products:{head + 1}"
    ready = await until(who, is_ready)
    assert ready["rebuild"]["build"] == 2
    assert ready["rebuild"]["running"] is False
    assert ready["rebuild"]["error"] is None
    again = await done(who, REBUILD, "one")
    assert again["receipt"] == {**started["receipt"], "replayed": True}
    assert [build["number"] for build in (await state(who))["builds"]] == [1, 2]

    found = (await who.ask(VERIFY, name="catalogue"))["verification"]
    assert (found["liveBuild"], found["otherBuild"], found["equal"]) == (1, 2, True)
    assert {"table": "products", "liveRows": 3, "otherRows": 3, "differences": 0} in found["tables"]

    switched = await done(who, SWITCH, "two")
    assert switched["projection"]["builds"] == [
        {"number": 1, "state": "FOLLOWING"},
        {"number": 2, "state": "LIVE"},
    ]
    back = await done(who, ROLL_BACK, "three")
    assert {"number": 1, "state": "LIVE"} in back["projection"]["builds"]

    events = await service.store.read_stream("projection_catalogue")
    assert [(each.type, each.metadata.reason) for each in events] == [
        ("projection.rebuild_started", "because of one"),
        ("projection.rebuilt", "because of one"),
        ("projection.switched", "because of two"),
        ("projection.rolled_back", "because of three"),
    ]
    assert {(each.metadata.actor.kind, each.metadata.actor.id) for each in events} == {
        ("staff", who.user_id)
    }
    assert {each.metadata.correlation_id for each in events} == {"cor-1"}
    assert events[0].metadata.command_id == started["receipt"]["commandId"]
    assert back["receipt"]["version"] == 4


async def test_a_second_rebuild_is_refused_and_names_the_first(
    service: Service[Any], held: threading.Event
) -> None:
    who = operator(service)
    both = await asyncio.gather(done(who, REBUILD, "one"), done(who, REBUILD, "one"))
    assert sorted(each["receipt"]["replayed"] for each in both) == [False, True]
    assert both[0]["projection"]["rebuild"] == {"build": 2, "running": True}
    payload = await who.ask(REBUILD, name="catalogue", reason="a second", key="two")
    (error,) = payload["userErrors"]
    assert error["code"] == "REBUILD_IN_PROGRESS"
    assert "catalogue build 2 (version 1) is building" in error["message"]
    assert (
        "still being built" in (await who.ask(VERIFY, name="catalogue"))["userErrors"][0]["message"]
    )
    await done(who, REBUILD, "other", name="categories")
    assert (await state(who))["rebuild"]["running"] is True
    held.set()
    await until(who, is_ready)
    events = await service.store.read_stream("projection_catalogue")
    assert [each.metadata.reason for each in events][:1] == ["because of one"]
    assert "a second" not in [each.metadata.reason for each in events]


async def test_a_rebuild_stops_with_the_service_and_goes_on_when_asked(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(build, database, name="products") as service:
        await staff(service).ask(CREATE, slug="silk", key="silk")
        monkeypatch.setattr(operations, "EVENTS_PER_SECOND_MAX", 0.01)
        who = operator(service)
        await done(who, REBUILD, "one")
        seen = await until(who, lambda now: now["rebuild"]["percent"] > 0)
        assert seen["rebuild"]["running"] is True
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            await service.stop()
        assert not [each for each in threading.enumerate() if "rebuild" in each.name]
    monkeypatch.undo()
    async with running(build, database, name="products") as service:
        who = operator(service)
        now = await state(who)
        assert [build["state"] for build in now["builds"]] == ["LIVE", "BUILDING"]
        assert now["rebuild"]["running"] is False
        await done(who, REBUILD, "two")
        await until(who, is_ready)
        assert (await who.ask(VERIFY, name="catalogue"))["verification"]["equal"] is True


async def test_what_cannot_be_done_is_refused_and_touches_nothing(service: Service[Any]) -> None:
    who = operator(service)
    head = await written(service)
    for mutation, given, expected in [
        (REBUILD, {"name": "nothing"}, ("UNKNOWN_PROJECTION", ["name"])),
        (VERIFY, {"name": "nothing"}, ("UNKNOWN_PROJECTION", ["name"])),
        (REBUILD, {"name": "n" * 2000}, ("INVALID", ["name"])),
        (REBUILD, {"reason": " "}, ("INVALID", ["reason"])),
        (SWITCH, {"reason": "r" * 2000}, ("INVALID", ["reason"])),
        (REBUILD, {"key": ""}, ("INVALID", ["idempotencyKey"])),
        (SWITCH, {}, ("NOTHING_TO_SWITCH", None)),
        (ROLL_BACK, {}, ("NOTHING_TO_SWITCH", None)),
        (REDRIVE, {}, ("NOTHING_PARKED", ["name"])),
        (SKIP, {"parked": "prd_1"}, ("NOTHING_PARKED", ["key"])),
    ]:
        assert await refused(who, mutation, **given) == expected
    assert await who.code(PARKED, first=0) == "INVALID_PAGE"
    assert await written(service) == head
    assert [build["number"] for build in (await state(who))["builds"]] == [1]
    await done(who, REBUILD, "k")
    assert await refused(who, REBUILD, key="k", reason="another") == (
        *("IDEMPOTENCY_KEY_REUSED", ["idempotencyKey"]),
    )


async def test_parked_events_are_listed_redriven_and_skipped(
    service: Service[Any], database: str
) -> None:
    who = operator(service)
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(
            "ALTER TABLE catalogue_b1.products ADD CONSTRAINT bad CHECK (slug NOT LIKE 'bad%')"
        )
        for slug in ("bad-1", "bad-2"):
            await staff(service).ask(CREATE, slug=slug, key=slug)
        await settled(service)
        assert (await state(who))["builds"][0]["parkedKeys"] == 2
        first = await who.ask(PARKED, first=1)
        assert first["pageInfo"]["hasNextPage"] is True
        second = await who.ask(PARKED, first=5, after=first["pageInfo"]["endCursor"])
        assert second["pageInfo"]["hasNextPage"] is False
        nodes = [edge["node"] for page in (first, second) for edge in page["edges"]]
        assert [node["projection"] for node in nodes] == ["catalogue", "catalogue"]
        assert nodes[0]["key"] != nodes[1]["key"]
        assert nodes[0]["events"] == 3
        assert nodes[0]["error"].startswith("CheckViolation")
        assert "Traceback" in nodes[0]["traceback"]
        connection.execute("ALTER TABLE catalogue_b1.products DROP CONSTRAINT bad")
    await done(who, REDRIVE, "one", parked=nodes[0]["key"])
    await done(who, SKIP, "two", parked=nodes[1]["key"])
    await until(who, lambda now: now["builds"][0]["parkedKeys"] == 0)
    rows = await service.reads.fetch("SELECT slug FROM products WHERE slug LIKE 'bad%'")
    assert len(rows) == 1
    types = [each.type for each in await service.store.read_stream("projection_catalogue")]
    assert types == ["projection.redriven", "projection.event_skipped"]

"""A service over HTTP, and through an outage: products stands for all of them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from eventstore import EventStoreError, Limits
from subgraphs.products.app import build
from subgraphs.shared.auth import Role, feed_authorization, sign_actor
from subgraphs.shared.http import BODY_BYTES_MAX
from subgraphs.shared.ids import new_id
from subgraphs.shared.service import Service, ServiceContext
from subgraphs.users.app import build as build_users
from tests.support.asgi import ask
from tests.support.postgres import TestServer
from tests.support.shop import SECRET, WAIT_SECONDS_MAX, running, settled, staff

CREATE = """mutation($key: ID!) { createProduct(input: {slug: "silk", title: "Silk", publish: true,
  variants: [{sku: "S", price: {amount: "1", currency: "EUR"}}], idempotencyKey: $key}) {
    receipt { position replayed } userErrors { code } } }"""


@pytest.fixture
async def service(database: str) -> AsyncIterator[Service[Any]]:
    async with running(build, database, name="products") as service:
        yield service


async def graphql(service: Service[Any], query: str, **headers: str) -> Any:
    reply = await ask(service.app, json_body={"query": query}, headers=headers)
    return reply.status, reply.header("content-type"), reply.json()


async def test_graphql_over_http(service: Service[Any]) -> None:
    assert await graphql(service, "{ product { id } }") == (
        200,
        "application/json",
        {"data": {"product": None}},
    )
    accept = "application/graphql-response+json"
    status, media, answer = await graphql(service, "{ nothing }", accept=accept)
    assert (status, media) == (400, accept)
    assert "nothing" in answer["errors"][0]["message"]
    assert (await graphql(service, "{ nothing }"))[0] == 200


async def test_the_actor_comes_by_header(service: Service[Any]) -> None:
    now = service.context.clock()
    actor = sign_actor(SECRET, user_id=new_id("usr"), roles=[Role.STAFF], now=now)
    query = 'mutation { publishProduct(id: "prd_1") { userErrors { code } } }'
    _, _, answer = await graphql(service, query, **{"x-router-actor": actor})
    assert answer["data"]["publishProduct"]["userErrors"] == [{"code": "NOT_FOUND"}]
    _, _, answer = await graphql(service, query)
    assert answer["errors"][0]["extensions"] == {"code": "UNAUTHENTICATED"}
    _, _, answer = await graphql(service, query, **{"x-router-actor": actor[:-2] + "AA"})
    assert "data" not in answer


@pytest.mark.parametrize(
    ("given", "kept"), [("cor-1", True), ("x" * 201, False), ("a\x00b", False), ("é", False)]
)
async def test_events_carry_the_correlation_of_the_client(
    service: Service[Any], given: str, kept: bool
) -> None:
    someone = staff(service)
    someone.headers["x-correlation-id"] = given
    await someone.ask(CREATE, key="k")
    (first,) = await service.store.read(0, limit=1)
    assert (first.metadata.correlation_id == given) is kept


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"query": 1}', b'{"query": "{ a }", "variables": []}', b"\xff"]
)
async def test_a_body_that_is_no_request(service: Service[Any], body: bytes) -> None:
    reply = await ask(service.app, body=body)
    assert reply.status == 400
    assert "not a GraphQL request" in reply.json()["errors"][0]["message"]


async def test_a_body_without_end_is_not_read_to_its_end(service: Service[Any]) -> None:
    reply = await ask(service.app, body=(b"x" * 100_000 for _ in range(1000)))
    assert reply.status == 413
    assert reply.read < BODY_BYTES_MAX + 200_000


async def test_only_post_asks_graphql(service: Service[Any]) -> None:
    assert (await ask(service.app, "GET")).status == 405
    assert (await ask(service.app, "GET", "/nowhere")).status == 404


async def test_a_request_that_breaks_off_gets_an_end(service: Service[Any]) -> None:
    reply = await ask(service.app, body=iter([b'{"query":', None]))  # type: ignore[list-item]
    assert reply.status == 400


async def test_the_feed_is_for_services(service: Service[Any]) -> None:
    payload = await staff(service).ask(CREATE, key="k")
    for path in ("/feed", "/feed/full"):
        assert (await ask(service.app, "GET", path)).status == 401
        now = service.context.clock()
        actor = sign_actor(SECRET, user_id="usr_1", roles=[Role.ADMIN], now=now)
        refused = await ask(service.app, "GET", path, headers={"authorization": f"Bearer {actor}"})
        assert refused.status == 401
        reply = await ask(
            service.app,
            "GET",
            path,
            headers={"authorization": feed_authorization(SECRET)},
            query_string="after=0&limit=10&wait=0",
        )
        *events, last = [json.loads(line) for line in reply.body.splitlines()]
        assert [event["type"] for event in events] == [
            "product.created",
            "product.variant_added",
            "product.published",
        ]
        assert payload["receipt"]["position"] == f"products:{last['position']}"


async def test_health_readiness_and_metrics(service: Service[Any]) -> None:
    await staff(service).ask(CREATE, key="k")
    await settled(service)
    assert (await ask(service.app, "GET", "/health")).json()["status"] == "ok"
    ready = await ask(service.app, "GET", "/ready")
    assert (ready.status, ready.json()["head"]) == (200, 3)
    text = (await ask(service.app, "GET", "/metrics")).body.decode()
    assert 'lonja_graphql_requests_total{outcome="ok",service="products"} 1.0' in text
    assert 'lonja_log_head{service="products"} 3.0' in text
    assert 'projection_lag_positions{build="1",projection="catalogue",state="live"} 0.0' in text
    assert (await ask(service.app, "GET", "/sdl")).body.decode() == service.sdl
    await service.stop()
    assert (await ask(service.app, "GET", "/ready")).status == 503


async def test_keys_are_published_for_routers(database: str) -> None:
    async with running(build_users, database, name="users") as users:
        reply = await ask(users.app, "GET", "/.well-known/jwks.json")
        assert reply.json() == users.jwks()
        assert "d" not in reply.json()["keys"][0]


@pytest.mark.slow
async def test_an_outage_is_told_and_nothing_acknowledged_is_lost(own_server: TestServer) -> None:
    database = own_server.create_database("products")
    async with running(impatient, database, name="products") as service:
        someone = staff(service)
        first = await someone.ask(CREATE, key="k")
        own_server.crash()
        answer = await someone.answer(CREATE, key="l")
        assert answer["errors"][0]["extensions"]["code"] == "SERVICE_UNAVAILABLE"
        assert (await ask(service.app, "GET", "/ready")).status == 503
        assert (await ask(service.app, "GET", "/metrics")).status == 200
        own_server.start()
        await until_up(service)
        again = await someone.ask(CREATE, key="k")
        assert again["receipt"] == {**first["receipt"], "replayed": True}
        assert await service.runner.wait_for(3, timeout_seconds=WAIT_SECONDS_MAX)
        assert await someone.ask('{ product(slug: "silk") { version } }') == {"version": 3}


def impatient(context: ServiceContext) -> Service[Any]:
    """Products, whose store gives up soon."""
    service = build(context)
    service.store.limits = Limits(unavailable_seconds=0.5)
    return service


async def until_up(service: Service[Any]) -> None:
    """Ask until the store answers: each question is an attempt to connect."""
    for _ in range(1000):
        try:
            await service.store.head()
        except EventStoreError:
            continue
        return
    pytest.fail("the store does not come back")

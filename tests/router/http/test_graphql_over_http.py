"""GraphQL over HTTP: methods, media types, statuses, batches, and what is refused unread."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import pytest

from router.config import Cors, Limits, RouterConfig
from tests.router.http.graph import app, query
from tests.support.asgi import ask

GRAPHQL = "application/graphql-response+json"


async def test_a_query_over_two_services() -> None:
    router, graph = app()
    reply = await query(router, "{ products { name reviews { stars } } }")
    assert reply.status == 200
    assert reply.header("content-type") == "application/json; charset=utf-8"
    assert reply.json() == {
        "data": {
            "products": [
                {"name": "Chair", "reviews": [{"stars": 5}]},
                {"name": "Table", "reviews": None},
            ]
        },
        "errors": [
            {
                "message": "no reviews today",
                "path": ["products", 1],
                "extensions": {"code": "DOWNSTREAM_SERVICE_ERROR", "service": "reviews"},
            }
        ],
    }
    assert len(graph.services["reviews"].asked) == 1


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, "application/json"),
        ("*/*", "application/json"),
        ("application/json", "application/json"),
        (GRAPHQL, GRAPHQL),
        (f"{GRAPHQL}; charset=utf-8, application/json;q=0.9", GRAPHQL),
        (f"application/json, {GRAPHQL};q=0.5", "application/json"),
        ("text/html;q=0.9, application/*;q=0.2", "application/json"),
        ("image/png", None),
        ("application/json;q=0", None),
        ("application/json; charset=latin-1", None),
    ],
)
async def test_media_type(accept: str | None, expected: str | None) -> None:
    router, _ = app()
    reply = await query(router, "{ __typename }", headers={"accept": accept} if accept else None)
    if expected is None:
        assert reply.status == 406
    else:
        assert reply.header("content-type") == f"{expected}; charset=utf-8"


@pytest.mark.parametrize(
    ("text", "code", "variables"),
    [
        ("{ products { name }", "GRAPHQL_PARSE_FAILED", {}),
        ("{ nothing }", "GRAPHQL_VALIDATION_FAILED", {}),
        ("query A { __typename } query B { __typename }", "OPERATION_RESOLUTION_FAILURE", {}),
        ("fragment F on Product { name }", "GRAPHQL_VALIDATION_FAILED", {}),
        ("query($id: ID!) { product(id: $id) { name } }", "BAD_USER_INPUT", {}),
        ("query($id: ID!) { product(id: $id) { name } }", "BAD_USER_INPUT", {"id": None}),
        ("query($n: Int) { products(first: $n) { name } }", "BAD_USER_INPUT", {"n": "three"}),
        ("query($n: Int) { products(first: $n) { name } }", "BAD_USER_INPUT", {"n": 2**40}),
    ],
)
@pytest.mark.parametrize(("accept", "status"), [(GRAPHQL, 400), ("application/json", 200)])
async def test_refused_operations(
    text: str, code: str, variables: dict[str, Any], accept: str, status: int
) -> None:
    router, graph = app()
    reply = await query(router, text, variables=variables, headers={"accept": accept})
    assert reply.status == status
    answer = reply.json()
    assert "data" not in answer
    assert answer["errors"][0]["extensions"]["code"] == code
    assert not graph.services["products"].asked


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "empty"),
        (b"{", "not JSON"),
        (b"3", "object"),
        (b"[]", "batch is empty"),
        (b"{}", "`query` is missing"),
        (b'{"query": 3}', "`query` is no string"),
        (b'{"query": "{a}", "variables": []}', "`variables`"),
        (b'{"query": "{a}", "operationName": 1}', "`operationName`"),
        (b'{"query": "{a}", "extensions": "x"}', "`extensions`"),
        (b'{"query": "{a}", "variables": {"a": %b}}' % (b"[" * 64 + b"]" * 64), "64 levels"),
    ],
)
async def test_malformed_requests(body: bytes, words: str) -> None:
    router, _ = app()
    reply = await ask(router, body=body, headers={"content-type": "application/json"})
    assert reply.status == 400
    assert words in reply.json()["errors"][0]["message"]


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json; charset=UTF-8", 200),
        ("application/json; charset=latin-1", 415),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        (None, 415),
    ],
)
async def test_content_type(content_type: str | None, status: int) -> None:
    """What a foreign page may send without asking first is refused with the rest."""
    router, _ = app()
    headers = {"content-type": content_type} if content_type else {}
    reply = await ask(router, body=b'{"query":"{__typename}"}', headers=headers)
    assert reply.status == status


async def test_get_is_for_queries() -> None:
    router, graph = app()
    asked = urlencode(
        {"query": "query($i: ID!) { product(id: $i) { name } }", "variables": '{"i": "1"}'}
    )
    reply = await ask(router, "GET", query_string=asked)
    assert reply.json() == {"data": {"product": {"name": "Chair"}}}
    mutation = urlencode({"query": 'mutation { rename(id: "1", name: "x") { id } }'})
    reply = await ask(router, "GET", query_string=mutation)
    assert (reply.status, reply.header("allow")) == (405, "POST")
    assert len(graph.services["products"].asked) == 1
    bad = urlencode({"query": "{__typename}", "variables": "{"})
    assert (await ask(router, "GET", query_string=bad)).status == 400
    assert (await ask(router, "GET")).status == 400
    assert (await ask(router, "PUT")).status == 405


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"sec-fetch-site": "same-origin"}, 200),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"origin": "https://evil.test", "host": "router.test"}, 403),
        ({"origin": "https://router.test", "host": "router.test"}, 200),
        ({"sec-fetch-site": "cross-site", "apollo-require-preflight": "1"}, 200),
    ],
)
async def test_csrf(headers: dict[str, str], status: int) -> None:
    router, _ = app()
    reply = await ask(router, "GET", query_string="query=%7B__typename%7D", headers=headers)
    assert reply.status == status


async def test_a_batch_is_answered_in_order_and_bounded() -> None:
    router, _ = app(RouterConfig(limits=Limits(batch_operations_max=2)))
    one, two = {"query": "{ __typename }"}, {"query": "{ nope }"}
    reply = await ask(router, json_body=[one, two])
    first, second = reply.json()
    assert first == {"data": {"__typename": "Query"}}
    assert "errors" in second
    reply = await ask(router, json_body=[one, one, one])
    assert reply.status == 400
    assert reply.json()["errors"][0]["extensions"]["code"] == "BATCH_LIMIT_EXCEEDED"


async def test_a_body_too_large_is_not_read() -> None:
    router, _ = app(RouterConfig(limits=Limits(body_bytes_max=1000)))
    headers = {"content-type": "application/json", "content-length": str(10**8)}
    reply = await ask(router, body=[b"x"] * 10, headers=headers)
    assert (reply.status, reply.read) == (413, 0)
    assert reply.header("connection") == "close"
    headers = {"content-type": "application/json"}
    reply = await ask(router, body=(b"x" * 100 for _ in range(10**6)), headers=headers)
    assert reply.status == 413
    assert reply.read < 1300


async def test_headers_too_large() -> None:
    router, _ = app(RouterConfig(limits=Limits(header_bytes_max=2000)))
    reply = await query(router, "{__typename}", headers={"x-a": "a" * 3000})
    assert reply.status == 431


async def test_too_many_requests_at_once() -> None:
    router, _ = app(RouterConfig(limits=Limits(concurrent_requests_max=0)))
    reply = await query(router, "{__typename}")
    assert (reply.status, reply.header("retry-after")) == (503, "1")


async def test_selection_order_with_introspection() -> None:
    router, _ = app()
    reply = await query(
        router, '{ t: __typename __type(name: "Review") { name } product(id: "1") { name id } }'
    )
    assert json.dumps(reply.json()["data"]) == (
        '{"t": "Query", "__type": {"name": "Review"}, "product": {"name": "Chair", "id": "1"}}'
    )


async def test_introspection_can_be_off() -> None:
    router, _ = app(RouterConfig(introspection=False))
    reply = await query(router, "fragment F on Query { __schema { types { name } } } { ...F }")
    assert reply.json()["errors"][0]["extensions"]["code"] == "INTROSPECTION_DISABLED"
    reply = await query(router, "{ product(id: 1) { nam } }")
    assert "Did you mean" not in reply.body.decode()


async def test_the_schema_clients_see_has_no_machinery() -> None:
    router, _ = app()
    reply = await query(router, "{ __schema { types { name } directives { name } } }")
    schema = reply.json()["data"]["__schema"]
    names = [item["name"] for item in schema["types"] + schema["directives"]]
    assert not [
        name for name in names if "join" in name or "link" in name or name[0] == "_" != name[1]
    ]


async def test_cors() -> None:
    router, _ = app(RouterConfig(cors=Cors(origins=("https://shop.test",), credentials=True)))
    asks = {
        "origin": "https://shop.test",
        "access-control-request-method": "POST",
        "access-control-request-headers": "content-type, authorization",
    }
    reply = await ask(router, "OPTIONS", headers=asks)
    assert reply.status == 204
    assert reply.header("access-control-allow-origin") == "https://shop.test"
    assert reply.header("access-control-allow-headers") == "content-type, authorization"
    reply = await query(router, "{__typename}", headers={"origin": "https://shop.test"})
    assert reply.header("access-control-allow-credentials") == "true"
    reply = await query(router, "{__typename}", headers={"origin": "https://evil.test"})
    assert reply.header("access-control-allow-origin") is None
    assert reply.header("vary") == "origin"
    reply = await ask(router, "OPTIONS", headers={**asks, "origin": "https://evil.test"})
    assert reply.header("access-control-allow-origin") is None


async def test_the_page_for_browsers() -> None:
    router, _ = app()
    reply = await ask(router, "GET", headers={"accept": "text/html,*/*;q=0.8"})
    assert reply.header("content-type") == "text/html; charset=utf-8"
    text = reply.body.decode()
    assert "http://" not in text
    assert "https://" not in text, "works offline"
    assert "sha256-" in (reply.header("content-security-policy") or "")
    head = await ask(router, "HEAD", headers={"accept": "text/html"})
    assert (head.status, head.body) == (200, b"")


async def test_the_plan_beside_the_result() -> None:
    router, graph = app()
    asked = {"x-router-query-plan": "true"}
    reply = await query(router, '{ product(id: "1") { name } }', headers=asked)
    assert reply.json()["data"] == {"product": {"name": "Chair"}}
    assert 'Fetch(service: "products")' in reply.json()["extensions"]["queryPlan"]["text"]
    asked = {"x-router-query-plan": "dry-run"}
    reply = await query(router, '{ product(id: "2") { name } }', headers=asked)
    assert reply.json()["extensions"]["queryPlan"]["object"]["kind"] == "QueryPlan"
    assert len(graph.services["products"].asked) == 1
    router, _ = app(RouterConfig(expose_query_plan=False))
    reply = await query(router, "{ __typename }", headers=asked)
    assert "extensions" not in reply.json()


async def test_health_ready_metrics_and_shutdown() -> None:
    router, _ = app()
    assert (await ask(router, "GET", "/health")).status == 200
    assert (await ask(router, "GET", "/ready")).status == 200
    await query(router, "{ products { name } }")
    page = (await ask(router, "GET", "/metrics")).body.decode()
    assert 'router_http_requests_total{status="200"} 1.0' in page
    assert 'router_subgraph_requests_total{outcome="ok",subgraph="products"} 1.0' in page
    assert "router_operations_kept 1.0" in page
    await router.close()
    assert (await ask(router, "GET", "/ready")).status == 503
    assert (await ask(router, "GET", "/elsewhere")).status == 404


async def test_internal_errors_are_masked() -> None:
    router, _ = app()
    router.endpoint.pipeline.run = None  # type: ignore[assignment]
    reply = await query(router, "{ __typename }")
    assert reply.status == 500
    error = reply.json()["errors"][0]
    assert error["message"] == "Internal server error"
    assert error["extensions"]["requestId"] == reply.header("x-request-id")

"""The pipeline of an operation: what is done once, what is done each time, and by when."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from router.config import RouterConfig, SubgraphSettings
from router.http import create_app
from router.http.operation import Caller, OperationPipeline
from router.http.request import GraphQLRequest
from router.planner import Planner
from router.supergraph import Supergraph
from router.transport import InProcessSubgraph
from tests.router.http.graph import app, graph, query
from tests.support.asgi import ask


async def test_one_operation_is_worked_out_once_however_many_ask() -> None:
    router, _ = app()
    worked = 0
    work_out = router.pipeline._work_out

    def counting(key: Any) -> Any:
        nonlocal worked
        worked += 1
        return work_out(key)

    router.pipeline._work_out = counting  # type: ignore[method-assign]
    answers = await asyncio.gather(*[query(router, "{ products { name } }") for _ in range(5)])
    assert {answer.status for answer in answers} == {200}
    await query(router, "{ products { name } }")
    assert worked == 1
    await query(router, "{ products { name id } }")
    assert worked == 2


async def test_one_who_goes_away_does_not_spoil_it_for_others() -> None:
    router, _ = app()
    first = asyncio.create_task(query(router, "{ products { name } }"))
    second = asyncio.create_task(query(router, "{ products { name } }"))
    await asyncio.sleep(0)
    first.cancel()
    assert (await second).status == 200


async def test_named_operations_of_one_document() -> None:
    router, _ = app()
    text = 'query A { product(id: "1") { name } } query B { product(id: "2") { name } }'
    for name, expected in (("A", "Chair"), ("B", "Table")):
        reply = await query(router, text, operationName=name)
        assert reply.json() == {"data": {"product": {"name": expected}}}
    reply = await query(router, text, operationName="C")
    assert reply.json()["errors"][0]["extensions"]["code"] == "OPERATION_RESOLUTION_FAILURE"


async def test_variables_and_mutations() -> None:
    router, made = app()
    text = "mutation($n: String!) { a: rename(id: 1, name: $n) { name } fail { id } }"
    reply = await query(router, text, variables={"n": "Stool", "other": 1})
    assert reply.json()["data"] == {"a": {"name": "Stool"}, "fail": None}
    assert made.services["products"].asked[0][1] == {"n": "Stool", "_l0": "1"}


async def test_subscriptions_are_refused_with_a_code() -> None:
    sdl = graph().supergraph_sdl.replace(
        "type Mutation", "type Subscription @join__type(graph: PRODUCTS) { s: Int } type Mutation"
    )
    sdl = sdl.replace("mutation: Mutation", "mutation: Mutation subscription: Subscription")
    router = create_app(sdl)
    reply = await query(router, "subscription { s }")
    assert reply.json()["errors"][0]["extensions"]["code"] == "OPERATION_NOT_SUPPORTED"


async def test_after_the_deadline_what_is_there_is_answered() -> None:
    made = graph()

    async def never(*_: Any) -> dict[str, Any]:
        await asyncio.Event().wait()
        return {}

    transports = {**made.transports(), "reviews": InProcessSubgraph("reviews", never)}
    config = RouterConfig(deadline_seconds=0.05)
    router = create_app(made.supergraph_sdl, transports=transports, config=config)
    reply = await query(router, "{ products { name reviews { stars } } }")
    assert reply.status == 200
    assert reply.json()["data"]["products"][0] == {"name": "Chair", "reviews": None}
    (error,) = reply.json()["errors"]
    assert error["path"] == ["products"]
    assert error["extensions"] == {"code": "SUBREQUEST_TIMEOUT", "service": "reviews"}


async def test_a_subgraph_has_a_time_of_its_own() -> None:
    made = graph()

    async def never(*_: Any) -> dict[str, Any]:
        await asyncio.Event().wait()
        return {}

    router = create_app(
        made.supergraph_sdl,
        transports={**made.transports(), "reviews": InProcessSubgraph("reviews", never)},
        config=RouterConfig(subgraphs={"reviews": SubgraphSettings(timeout_seconds=0.02)}),
    )
    reply = await query(router, "{ products { name reviews { stars } } }")
    assert reply.json()["errors"][0]["extensions"]["code"] == "SUBREQUEST_TIMEOUT"


@pytest.mark.slow
async def test_a_request_that_does_not_arrive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("router.http.graphql.GRACE_SECONDS", 0.0)
    router, _ = app(RouterConfig(deadline_seconds=0.02))
    messages: list[Any] = []

    async def receive() -> Any:
        await asyncio.Event().wait()

    async def send(message: Any) -> None:
        messages.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/graphql",
        "query_string": b"",
        "headers": [(b"content-type", b"application/json")],
    }
    await router(scope, receive, send)
    assert messages[0]["status"] == 408


async def test_headers_of_a_subgraph_come_after_those_of_the_client() -> None:
    made = graph()
    settings = SubgraphSettings(headers={"X-Key": "k", "x-read-position": "own"})
    router = create_app(
        made.supergraph_sdl,
        transports=made.transports(),
        config=RouterConfig(subgraphs={"products": settings}),
    )
    await query(router, "{ products { reviews { stars } } }", headers={"x-read-position": "1"})
    sent = {name: made.services[name].asked[0][2] for name in made.services}
    assert (sent["products"]["x-key"], sent["products"]["x-read-position"]) == ("k", "own")
    assert "x-key" not in sent["reviews"]
    assert sent["reviews"]["x-read-position"] == "1"


OVERRIDE = """
schema @link(url: "https://specs.apollo.dev/link/v1.0")
  @link(url: "https://specs.apollo.dev/join/v0.4", for: EXECUTION) { query: Query }
directive @join__field(graph: join__Graph, override: String, overrideLabel: String,
  usedOverridden: Boolean) repeatable on FIELD_DEFINITION
directive @join__graph(name: String!, url: String!) on ENUM_VALUE
directive @join__type(graph: join__Graph!) repeatable on OBJECT | ENUM | SCALAR
directive @link(url: String, for: link__Purpose) repeatable on SCHEMA
enum link__Purpose { EXECUTION SECURITY }
enum join__Graph {
  A @join__graph(name: "a", url: "http://a/")  B @join__graph(name: "b", url: "http://b/")
}
type Query @join__type(graph: A) @join__type(graph: B) {
  f: String @join__field(graph: A, usedOverridden: true, overrideLabel: "LABEL")
    @join__field(graph: B, override: "a", overrideLabel: "LABEL")
}
"""


@pytest.mark.parametrize(
    ("label", "configured", "expected"),
    [
        ("percent(30)", {}, ["b", "a"]),
        ("percent(100)", {}, ["b", "b"]),
        ("percent(0)", {}, ["a", "a"]),
        ("new", {"new": 30.0}, ["b", "a"]),
        ("new", {}, ["a", "a"]),
    ],
)
async def test_progressive_override(
    label: str, configured: dict[str, float], expected: list[str]
) -> None:
    """A request is 29 or 30 percent of the way through all requests."""
    asked: list[str] = []

    async def call(
        service: str, operation: Any, variables: Any, headers: Mapping[str, str], deadline: float
    ) -> Any:
        from router.transport import SubgraphResponse

        asked.append(service)
        return SubgraphResponse({"f": service}, [])

    supergraph = Supergraph.from_sdl(OVERRIDE.replace("LABEL", label))
    percents = iter([29.0, 30.0])
    pipeline = OperationPipeline(
        supergraph,
        RouterConfig(override_labels=configured),
        call,
        Planner(supergraph),
        percent=lambda: next(percents),
    )
    caller = Caller(headers={}, deadline=asyncio.get_running_loop().time() + 5)
    for _ in range(2):
        await pipeline.run(GraphQLRequest("{ f }", None, {}, {}), caller)
    pipeline.close()
    assert asked == expected


async def test_requests_under_way_end_before_the_router_does() -> None:
    made = graph()
    called, go = asyncio.Event(), asyncio.Event()

    async def slow(*_: Any) -> dict[str, Any]:
        called.set()
        await go.wait()
        return {"data": {"products": []}}

    router = create_app(
        made.supergraph_sdl, transports={"products": InProcessSubgraph("products", slow)}
    )
    request = asyncio.create_task(query(router, "{ products { name } }"))
    await called.wait()
    closing = asyncio.create_task(router.close())
    await asyncio.sleep(0)
    assert (await ask(router, "GET", "/ready")).status == 503
    assert not closing.done()
    go.set()
    assert (await request).json() == {"data": {"products": []}}
    await closing

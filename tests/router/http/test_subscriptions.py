"""Subscriptions as a client sees them over HTTP: server-sent events and multipart."""

from __future__ import annotations

import asyncio
import json

import pytest

from router.config import RouterConfig, Subscriptions
from tests.router.http.live import PRICES, live
from tests.support.streams import MULTIPART, SSE, request, streaming


def answer(price: int, name: str = "Chair") -> dict[str, object]:
    return {"data": {"priceChanged": {"price": price, "product": {"name": name}}}}


async def test_each_event_is_completed_by_other_subgraphs_in_order() -> None:
    async with live() as graph, streaming(graph.port, PRICES) as stream:
        assert stream.status == 200
        assert stream.headers["content-type"].startswith("text/event-stream")
        await graph.source.until(1)
        for price in range(20):
            graph.source.price(price)
        for price in range(20):
            assert await stream.event() == ("next", answer(price))
        graph.source.tell(None)
        assert await stream.event() == ("complete", None)
        assert await stream.whole() == b""
        assert graph.source.open == 0


async def test_an_entity_that_fails_is_null_with_path_and_service_and_the_stream_goes_on() -> None:
    async with live() as graph, streaming(graph.port, PRICES) as stream:
        await graph.source.until(1)
        graph.source.price(1, "2")
        graph.source.price(2, "1")
        name, broken = await stream.event()
        assert broken["data"] == {"priceChanged": {"price": 1, "product": {"name": None}}}
        (error,) = broken["errors"]
        assert error["path"] == ["priceChanged", "product", "name"] or error["path"] == [
            "priceChanged",
            "product",
        ]
        assert error["extensions"]["service"] == "products"
        assert (name, await stream.event()) == ("next", ("next", answer(2)))


async def test_a_null_where_none_may_be_nulls_the_event_not_the_stream() -> None:
    async with live() as graph, streaming(graph.port, PRICES) as stream:
        await graph.source.until(1)
        graph.source.price(None)
        graph.source.price(3)
        _, broken = await stream.event()
        assert broken["data"] == {"priceChanged": None}
        assert broken["errors"][0]["path"] == ["priceChanged", "price"]
        assert await stream.event() == ("next", answer(3))


async def test_a_client_that_leaves_ends_the_stream_of_the_subgraph() -> None:
    async with live() as graph:
        async with streaming(graph.port, PRICES):
            await graph.source.until(1)
        await graph.source.until(0)
        await graph.router.idle()


async def test_a_subgraph_that_breaks_off_is_an_error_and_the_end() -> None:
    async with live() as graph, streaming(graph.port, PRICES) as stream:
        await graph.source.until(1)
        graph.source.tell(RuntimeError("lost"))
        name, last = await stream.event()
        assert (name, "data" in last) == ("next", False)
        assert last["errors"][0]["extensions"]["code"] == "SUBREQUEST_FAILED"
        assert last["errors"][0]["path"] == ["priceChanged"]
        assert await stream.event() == ("complete", None)


async def test_a_refusal_of_the_subgraph_is_told_and_ends_the_stream() -> None:
    asked = {"above": 666}
    async with live() as graph, streaming(graph.port, PRICES, variables=asked) as stream:
        _, refused = await stream.event()
        assert refused["errors"][0]["message"] == "not for you"
        assert refused["errors"][0]["extensions"]["service"] == "prices"
        assert await stream.event() == ("complete", None)


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("subscription { nothing }", "GRAPHQL_VALIDATION_FAILED"),
        ("subscription {", "GRAPHQL_PARSE_FAILED"),
        ("subscription { priceChanged { price } __typename }", "GRAPHQL_VALIDATION_FAILED"),
        ("subscription { priceChanged @skip(if: true) { price } }", "GRAPHQL_VALIDATION_FAILED"),
    ],
)
async def test_what_is_wrong_with_an_operation_is_told_as_an_event(query: str, code: str) -> None:
    async with live() as graph, streaming(graph.port, query) as stream:
        assert stream.status == 200
        name, refused = await stream.event()
        assert (name, refused["errors"][0]["extensions"]["code"]) == ("next", code)
        assert await stream.event() == ("complete", None)


async def test_a_query_asked_for_by_stream_gives_one_answer() -> None:
    async with live() as graph:
        async with streaming(graph.port, "{ prices }") as stream:
            assert stream.headers["content-type"].startswith("text/event-stream")
            body = await stream.reader.readexactly(int(stream.headers["content-length"]))
            assert body.count(b"event: next") == body.count(b"event: complete") == 1
            assert b'data: {"data":{"prices":7}}\n' in body
        either = f"application/json, {SSE}, multipart/mixed"
        async with streaming(graph.port, "{ prices }", accept=either) as stream:
            assert stream.headers["content-type"].startswith("application/json")


async def test_a_browsers_event_source_asks_by_get() -> None:
    async with live() as graph:
        head = "GET /graphql?query=subscription%7BpriceChanged%7Bprice%7D%7D HTTP/1.1\r\n"
        lines = "host: a.test\r\naccept: text/event-stream\r\nsec-fetch-site: same-origin\r\n\r\n"
        async with request(graph.port, (head + lines).encode()) as stream:
            await graph.source.until(1)
            graph.source.price(1)
            assert await stream.event() == ("next", {"data": {"priceChanged": {"price": 1}}})
        foreign = lines.replace("same-origin", "cross-site")
        async with request(graph.port, (head + foreign).encode()) as stream:
            assert stream.status == 403


async def test_multipart_has_answers_in_payload_and_what_ends_it_beside() -> None:
    async with live() as graph:
        async with streaming(graph.port, PRICES, accept=MULTIPART) as stream:
            assert stream.headers["content-type"] == (
                'multipart/mixed;boundary="graphql";subscriptionSpec=1.0'
            )
            await graph.source.until(1)
            graph.source.price(1)
            assert await stream.part() == {"payload": answer(1)}
            graph.source.tell(RuntimeError("lost"))
            last = await stream.part()
            assert last["payload"] is None
            assert last["errors"][0]["extensions"]["code"] == "SUBREQUEST_FAILED"
            assert await stream.part() is None
        async with streaming(graph.port, "{ prices }", accept=MULTIPART) as stream:
            assert stream.headers["content-type"].startswith("application/json")


@pytest.mark.parametrize("accept", [SSE, MULTIPART])
async def test_a_silent_stream_shows_signs_of_life(accept: str) -> None:
    settings = RouterConfig(subscriptions=Subscriptions(heartbeat_seconds=0.01))
    async with live(settings) as graph, streaming(graph.port, PRICES, accept=accept) as stream:
        for _ in range(3):
            if accept == SSE:
                assert await stream.until(b"\n\n") == b":"
            else:
                assert await stream.part() == {}


async def test_a_plain_request_for_a_subscription_is_told_the_three_ways() -> None:
    async with live() as graph:
        async with streaming(graph.port, PRICES, accept="application/json") as stream:
            body = await stream.reader.readexactly(int(stream.headers["content-length"]))
            (error,) = json.loads(body)["errors"]
            assert error["extensions"]["code"] == "OPERATION_NOT_SUPPORTED"
            for way in ("text/event-stream", "subscriptionSpec=1.0", "graphql-transport-ws"):
                assert way in error["message"]
        assert graph.source.opened == 0


async def test_a_stop_ends_subscriptions_with_a_code_and_takes_no_more() -> None:
    async with live() as graph, streaming(graph.port, PRICES) as stream:
        await graph.source.until(1)
        graph.router.stop()
        _, last = await stream.event()
        assert last["errors"][0]["extensions"]["code"] == "SUBSCRIPTION_SERVER_SHUTDOWN"
        assert await stream.event() == ("complete", None)
        await graph.source.until(0)
        async with streaming(graph.port, PRICES) as late:
            _, last = await late.event()
            assert last["errors"][0]["extensions"]["code"] == "SUBSCRIPTION_SERVER_SHUTDOWN"
        async with asyncio.timeout(5):
            await graph.router.close()

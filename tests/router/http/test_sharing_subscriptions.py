"""Who shares a stream, for how long a subscription lasts, and how many there may be."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from router.config import (
    Actor,
    Jwt,
    RouterConfig,
    SubgraphSettings,
    SubgraphSubscriptions,
    Subscriptions,
)
from router.http.actor_header import verify_actor
from router.http.operation import Caller, Ready
from router.http.request import GraphQLRequest
from router.supergraph import SupergraphError
from tests.router.http.live import PRICES, Live, live
from tests.router.http.test_identity import SECRET, Keys, ed25519, token
from tests.router.http.test_websocket import Client, client
from tests.support.streams import WAIT_SECONDS, Stream, streaming

SPELLED_OTHERWISE = "subscription($above: Int){priceChanged(above:$above){price,product{name}}}"


def sample(graph: Live, name: str) -> float:
    """A value of the router's metrics."""
    found = graph.router.metrics.registry.get_sample_value(name)
    assert found is not None
    return found


async def code_of(stream: Stream) -> str:
    """The code that the stream ends with."""
    _, last = await stream.event()
    code: str = last["errors"][0]["extensions"]["code"]
    assert await stream.event() == ("complete", None)
    return code


async def test_identical_subscriptions_share_a_stream_and_each_events_fetches() -> None:
    async with live() as graph:
        async with (
            streaming(graph.port, PRICES) as first,
            streaming(graph.port, SPELLED_OTHERWISE) as second,
            streaming(graph.port, PRICES, variables={"above": 1}) as other,
        ):
            await graph.source.until(2)
            assert sample(graph, "router_subscriptions") == 3
            assert sample(graph, "router_subscription_streams") == 2
            for price in range(3):
                graph.source.price(price)
                events = [await one.event() for one in (first, second, other)]
                assert events[0] == events[1] == events[2]
            assert graph.asked("products") == 3 * 2
        await graph.source.until(0)
        assert graph.source.opened == 2
        assert sample(graph, "router_subscription_streams") == 0


async def test_one_who_leaves_does_not_end_it_for_the_other() -> None:
    async with live() as graph, streaming(graph.port, PRICES) as stays:
        await graph.source.until(1)
        async with client(graph.port) as ws:
            await ws.subscribe(PRICES)
            await ws.subscribe("{ prices }", "2")  # the subscription before it is there now
            await ws.hear()
            await ws.hear()
            graph.source.price(1)
            assert (await ws.hear())["type"] == "next"
        await stays.event()
        graph.source.price(2)
        assert (await stays.event())[1]["data"]["priceChanged"]["price"] == 2
        assert graph.source.opened == 1


@pytest.mark.parametrize(
    ("settings", "headers"),
    [
        ({}, {"accept-language": "ca"}),
        (
            {
                "all_subgraphs": SubgraphSettings(
                    subscriptions=SubgraphSubscriptions(share_identical=False)
                )
            },
            {},
        ),
    ],
)
async def test_what_differs_in_a_header_or_is_not_to_be_shared_has_its_own(
    settings: Any, headers: dict[str, str]
) -> None:
    async with (
        live(RouterConfig(**settings)) as graph,
        streaming(graph.port, PRICES),
        streaming(graph.port, PRICES, headers=headers),
    ):
        await graph.source.until(2)


async def test_who_asks_matters_and_each_event_is_asked_for_with_a_fresh_word() -> None:
    key = ed25519()
    config = RouterConfig(jwt=Jwt(), actor=Actor(secret=SECRET))

    def bearer(**claims: Any) -> dict[str, str]:
        return {"authorization": f"Bearer {token(key, **claims)}"}

    async with (
        live(config, jwks=Keys(key)) as graph,
        streaming(graph.port, PRICES, headers=bearer(sub="a")),
        streaming(graph.port, PRICES, headers=bearer(sub="a", exp=int(time.time()) + 70)),
        streaming(graph.port, PRICES, headers=bearer(sub="b")) as other,
        streaming(graph.port, PRICES),
    ):
        await graph.source.until(3)
        hub = graph.router.endpoint.subscriptions
        hub._wall_clock = lambda: time.time() + 50  # what was signed at first is old by now
        graph.source.price(1)
        await other.event()
        actors = [
            headers["x-router-actor"]
            for _, _, headers in graph.graph.services["products"].asked
            if "x-router-actor" in headers
        ]
        for actor in actors:
            assert verify_actor(actor, SECRET, now=time.time() + 50)["iat"] > time.time() + 40


async def test_a_subscription_ends_with_the_token_it_was_asked_with() -> None:
    key = ed25519()
    config = RouterConfig(jwt=Jwt(leeway_seconds=0), actor=Actor(secret=SECRET))
    async with live(config, jwks=Keys(key)) as graph:
        soon = token(key, exp=time.time() + 0.5)
        late = {"authorization": f"Bearer {token(key)}"}
        init = {"authorization": f"Bearer {soon}"}
        async with (
            streaming(graph.port, PRICES, headers=init) as short,
            streaming(graph.port, PRICES, headers=late) as long,
            client(graph.port, init=init) as ws,
        ):
            await ws.subscribe(PRICES)
            assert await code_of(short) == "SUBSCRIPTION_JWT_EXPIRED"
            last = await ws.hear()
            assert last["payload"][0]["extensions"]["code"] == "SUBSCRIPTION_JWT_EXPIRED"
            await ws.subscribe(PRICES)
            assert (await ws.hear())["payload"][0]["extensions"]["code"] == "UNAUTHENTICATED"
            graph.source.price(1)
            assert (await long.event())[1]["data"]["priceChanged"]["price"] == 1
        async with client(graph.port, acknowledged=False) as ws:
            await ws.say({"type": "connection_init", "payload": init})
            assert (await ws.closed())[0] == 4403


async def test_only_so_many_subscriptions_or_none() -> None:
    for settings, status, code in (
        (Subscriptions(total_max=1), 503, "TOO_MANY_SUBSCRIPTIONS"),
        (Subscriptions(enabled=False), 400, "SUBSCRIPTIONS_DISABLED"),
    ):
        async with (
            live(RouterConfig(subscriptions=settings)) as graph,
            streaming(graph.port, PRICES),
            streaming(graph.port, PRICES) as refused,
        ):
            assert refused.status == status
            assert code.encode() in await refused.until(b"}]}")


@pytest.mark.parametrize("when_full", ["close", "drop_oldest"])
async def test_who_does_not_keep_up_is_ended_or_misses_events(when_full: Any) -> None:
    settings = RouterConfig(subscriptions=Subscriptions(buffer_events_max=3, when_full=when_full))
    graph = Live(settings)
    hub = graph.router.endpoint.subscriptions
    pipeline = graph.router.pipeline
    ready = await ready_for(graph)
    slow, quick = (hub.subscribe(pipeline, ready, Caller({}, 0.0)) for _ in range(2))
    await graph.source.until(1)
    for price in range(5):
        graph.source.price(price)
        await quick.next()
    found = [await slow.next() for _ in range(4 if when_full == "close" else 3)]
    prices = [one.split(b'"price":')[1][:1] for one in found if isinstance(one, bytes)]
    if when_full == "close":
        assert prices == [b"0", b"1", b"2"]
        assert found[3].reason == "SUBSCRIPTION_TOO_SLOW"  # type: ignore[union-attr]
    else:
        assert prices == [b"2", b"3", b"4"]
    for one in (slow, quick):
        one.close()
    await graph.source.until(0)
    await graph.router.close()


async def ready_for(graph: Live) -> Ready:
    ready = await graph.router.pipeline.ready(GraphQLRequest(PRICES, None, {}, {}), by_get=False)
    assert isinstance(ready, Ready)
    return ready


async def test_alone_at_a_stream_a_client_takes_it_at_its_own_pace_for_a_while() -> None:
    for seconds, expected in ((30.0, 10), (0.0, 3)):
        limits = Subscriptions(buffer_events_max=3, full_seconds_max=seconds)
        graph = Live(RouterConfig(subscriptions=limits))
        hub = graph.router.endpoint.subscriptions
        slow = hub.subscribe(graph.router.pipeline, await ready_for(graph), Caller({}, 0.0))
        await graph.source.until(1)
        for price in range(10):
            graph.source.price(price)
        graph.source.tell(None)
        if not seconds:
            await graph.source.until(0)
        for _ in range(50):  # turns in which more could come than there is room for
            await asyncio.sleep(0)
        found = []
        while isinstance(item := await slow.next(), bytes):
            found.append(item)
        assert len(found) == expected
        assert item.reason == ("complete" if seconds else "SUBSCRIPTION_TOO_SLOW")
        slow.close()
        await graph.router.close()


@pytest.mark.parametrize("over", ["http", "websocket"])
async def test_a_client_that_never_reads_is_let_go(over: str) -> None:
    limits = Subscriptions(buffer_events_max=3, full_seconds_max=0.05, heartbeat_seconds=0.05)
    async with live(RouterConfig(subscriptions=limits)) as graph:
        asked = "subscription { priceChanged { text } }"
        stuck = (
            streaming(graph.port, asked)
            if over == "http"
            else client(graph.port, close_timeout=0.1)
        )
        async with stuck as one, asyncio.timeout(WAIT_SECONDS):
            if isinstance(one, Client):
                await one.subscribe(asked)
            await graph.source.until(1)
            if isinstance(one, Client):
                one.connection.transport.pause_reading()
            else:
                one.writer.transport.pause_reading()  # type: ignore[attr-defined]
            for _ in range(100):
                graph.source.tell({"text": "x" * 200_000})
            await graph.source.until(0)
            await graph.router.idle()


async def test_who_subscribes_at_a_graph_that_was_just_replaced_is_told_to_ask_again() -> None:
    graph = Live()
    old, ready = graph.router.pipeline, await ready_for(graph)
    await graph.router.reload(graph.graph.supergraph_sdl)
    late = graph.router.endpoint.subscriptions.subscribe(old, ready, Caller({}, 0.0))
    async with asyncio.timeout(WAIT_SECONDS):
        item = await late.next()
    assert not isinstance(item, bytes)
    assert item.reason == "SUBSCRIPTION_SCHEMA_RELOAD"
    assert graph.source.opened == 0
    late.close()
    await graph.router.close()


async def test_a_new_supergraph_ends_subscriptions_and_nothing_else() -> None:
    async with (
        live() as graph,
        streaming(graph.port, PRICES) as stream,
        client(graph.port) as ws,
    ):
        await ws.subscribe(PRICES, variables={"above": 1})
        await graph.source.until(2)
        changed = graph.graph.supergraph_sdl.replace("type Price\n", '"New."\ntype Price\n')
        assert "New." in changed
        await graph.router.reload(changed)
        assert await code_of(stream) == "SUBSCRIPTION_SCHEMA_RELOAD"
        last = await ws.hear()
        assert last["payload"][0]["extensions"]["code"] == "SUBSCRIPTION_SCHEMA_RELOAD"
        await graph.source.until(0)
        await ws.subscribe('{ __type(name: "Price") { description } }')
        assert (await ws.hear())["payload"]["data"]["__type"] == {"description": "New."}
        await ws.hear()
        await ws.subscribe(PRICES)
        await graph.source.until(1)
        with pytest.raises(SupergraphError, match="nonsense"):
            await graph.router.reload("nonsense")
        graph.source.price(2)
        assert (await ws.hear())["payload"]["data"]["priceChanged"]["price"] == 2

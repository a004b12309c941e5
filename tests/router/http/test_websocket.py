"""graphql-transport-ws between a client and the router, over a socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosedError, InvalidStatus
from websockets.typing import Subprotocol

from router.config import Cors, Limits, RouterConfig, Subscriptions
from tests.router.http.live import PRICES, live
from tests.support.streams import WAIT_SECONDS

PROTOCOL = Subprotocol("graphql-transport-ws")


class Client:
    """Speaks the protocol, message by message."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    async def say(self, message: Any) -> None:
        await self.connection.send(message if isinstance(message, str) else json.dumps(message))

    async def hear(self) -> Any:
        async with asyncio.timeout(WAIT_SECONDS):
            return json.loads(await self.connection.recv())

    async def subscribe(self, query: str, name: str = "1", **more: Any) -> None:
        await self.say({"id": name, "type": "subscribe", "payload": {"query": query, **more}})

    async def closed(self) -> tuple[int, str]:
        """The code and reason that the router closes with, whatever it says before."""
        async with asyncio.timeout(WAIT_SECONDS):
            with suppress(ConnectionClosedError):
                async for _ in self.connection:
                    pass
            await self.connection.wait_closed()
        assert self.connection.close_code is not None
        return self.connection.close_code, self.connection.close_reason or ""


@asynccontextmanager
async def client(
    port: int, *, init: Any = None, acknowledged: bool = True, **more: Any
) -> AsyncIterator[Client]:
    """A connection, initialised if it shall be."""
    more = {"subprotocols": [PROTOCOL], **more}
    async with connect(f"ws://127.0.0.1:{port}/graphql", proxy=None, **more) as connection:
        made = Client(connection)
        if acknowledged:
            await made.say({"type": "connection_init", **({"payload": init} if init else {})})
            assert await made.hear() == {"type": "connection_ack"}
        yield made


async def test_subscriptions_queries_and_refusals_share_a_connection() -> None:
    async with live() as graph, client(graph.port) as ws:
        await ws.subscribe(PRICES, "a")
        await graph.source.until(1)
        await ws.subscribe("{ prices }", "b")
        assert await ws.hear() == {"id": "b", "type": "next", "payload": {"data": {"prices": 7}}}
        assert await ws.hear() == {"id": "b", "type": "complete"}
        await ws.subscribe("{ nothing }", "b")
        refused = await ws.hear()
        assert (refused["id"], refused["type"]) == ("b", "error")
        assert refused["payload"][0]["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"
        for price in range(5):
            graph.source.price(price)
        for price in range(5):
            data = {"priceChanged": {"price": price, "product": {"name": "Chair"}}}
            assert await ws.hear() == {"id": "a", "type": "next", "payload": {"data": data}}
        graph.source.tell(None)
        assert await ws.hear() == {"id": "a", "type": "complete"}
        await ws.subscribe(PRICES, "a")
        await graph.source.until(1)
        graph.source.tell(RuntimeError("lost"))
        last = await ws.hear()
        assert (last["type"], last["payload"][0]["path"]) == ("error", ["priceChanged"])


async def test_who_completes_or_leaves_ends_the_stream_of_the_subgraph() -> None:
    async with live() as graph:
        async with client(graph.port) as ws:
            await ws.subscribe(PRICES)
            await graph.source.until(1)
            await ws.say({"id": "1", "type": "complete"})
            await graph.source.until(0)
            await ws.subscribe(PRICES)
            await graph.source.until(1)
        await graph.source.until(0)
        async with client(graph.port) as ws:
            await ws.subscribe(PRICES)
            await graph.source.until(1)
            ws.connection.transport.abort()
            await graph.source.until(0)
        await graph.router.idle()


SUBSCRIBE = {"id": "1", "type": "subscribe", "payload": {"query": PRICES}}


@pytest.mark.parametrize(
    ("messages", "code", "words"),
    [
        ([SUBSCRIBE], 4401, "Unauthorized"),
        ([{"type": "connection_init"}] * 2, 4429, "Too many initialisation"),
        ([{"type": "connection_init"}, SUBSCRIBE, SUBSCRIBE], 4409, "Subscriber for 1 already"),
        (["nonsense"], 4400, "not JSON"),
        (["[]"], 4400, "no object"),
        ([{}], 4400, "no type"),
        ([{"type": "start"}], 4400, "start"),
        ([{"type": "connection_init", "payload": 1}], 4400, "no object"),
        ([{"type": "connection_init"}, {**SUBSCRIBE, "payload": {}}], 4400, "`query` is missing"),
        ([{"type": "connection_init"}, {**SUBSCRIBE, "id": ""}], 4400, "An id has"),
        (["x" * 3_000], 1009, "2000 bytes"),
    ],
)
async def test_what_is_not_of_the_protocol_closes(
    messages: list[Any], code: int, words: str
) -> None:
    settings = RouterConfig(limits=Limits(body_bytes_max=2_000))
    async with live(settings) as graph, client(graph.port, acknowledged=False) as ws:
        for message in messages:
            await ws.say(message)
        found, reason = await ws.closed()
        assert found == code
        assert words in reason


async def test_a_client_that_does_not_initialise_is_closed() -> None:
    settings = RouterConfig(subscriptions=Subscriptions(init_seconds=0.02))
    async with live(settings) as graph, client(graph.port, acknowledged=False) as ws:
        assert (await ws.closed())[0] == 4408


async def test_another_protocol_is_not_spoken() -> None:
    other = [Subprotocol("graphql-ws")]
    wrong = {"acknowledged": False, "subprotocols": other}
    async with live() as graph, client(graph.port, **wrong) as ws:
        assert (await ws.closed())[0] == 4406


async def test_a_page_of_another_site_may_not_connect_unless_named() -> None:
    settings = RouterConfig(cors=Cors(origins=("https://shop.test",)))
    async with live(settings) as graph:
        with pytest.raises(InvalidStatus, match="403"):
            async with client(graph.port, origin="https://evil.test"):
                pass
        for origin in ("https://shop.test", f"http://127.0.0.1:{graph.port}"):
            async with client(graph.port, origin=origin):
                pass


async def test_pings_are_answered_and_a_silent_client_is_dropped() -> None:
    async with live() as graph, client(graph.port) as ws:
        await ws.say({"type": "ping"})
        assert await ws.hear() == {"type": "pong"}
    settings = RouterConfig(subscriptions=Subscriptions(heartbeat_seconds=0.02))
    async with live(settings) as graph, client(graph.port) as ws:
        assert await ws.hear() == {"type": "ping"}
        assert (await ws.closed())[0] == 1001


async def test_only_so_many_operations_and_connections() -> None:
    settings = RouterConfig(subscriptions=Subscriptions(per_connection_max=1, connections_max=2))
    async with live(settings) as graph, client(graph.port) as ws:
        await ws.subscribe(PRICES, "1")
        await graph.source.until(1)
        await ws.subscribe(PRICES, "2")
        refused = await ws.hear()
        assert refused["payload"][0]["extensions"]["code"] == "TOO_MANY_SUBSCRIPTIONS"
        async with client(graph.port):
            with pytest.raises(InvalidStatus, match="403"):
                async with client(graph.port):
                    pass


async def test_a_stop_ends_what_is_under_way_and_closes() -> None:
    async with live() as graph, client(graph.port) as ws:
        await ws.subscribe(PRICES)
        await graph.source.until(1)
        graph.router.stop()
        last = await ws.hear()
        assert last["payload"][0]["extensions"]["code"] == "SUBSCRIPTION_SERVER_SHUTDOWN"
        assert await ws.closed() == (1001, "The server is shutting down")


async def test_connection_init_stands_in_for_the_headers_it_may_set() -> None:
    settings = RouterConfig(subscriptions=Subscriptions(init_headers=("accept-language",)))
    init = {"Accept-Language": "ca", "headers": {"x-read-position": "1"}, "x-request-id": "forged"}
    async with live(settings) as graph, client(graph.port, init=init) as ws:
        await ws.subscribe("{ prices }")
        await ws.hear()
        sent = dict(graph.graph.services["prices"].asked[-1][2])
        assert sent["accept-language"] == "ca"
        assert "x-read-position" not in sent
        assert sent["x-request-id"] != "forged"

"""graphql-transport-ws to a subgraph: a real server of the protocol, and one that misbehaves."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import strawberry
from strawberry.asgi import GraphQL
from strawberry.types import Info
from websockets.asyncio.server import ServerConnection, serve, unix_serve
from websockets.typing import Subprotocol

from router.config import SubgraphSettings, SubgraphSubscriptions, Tls
from router.planner.plan import OperationKind
from router.transport import HttpSubgraph, SubgraphOperation, SubgraphRequest
from router.transport.errors import (
    SubgraphConnectionError,
    SubgraphError,
    SubgraphHttpError,
    SubgraphMalformedResponse,
    SubgraphResponseTooLarge,
    SubgraphTimeout,
    SubscriptionInterrupted,
    SubscriptionRefused,
)
from tests.router.transport.test_tls import certificate
from tests.support.served import served

PROTOCOL = Subprotocol("graphql-transport-ws")
COUNT = SubgraphOperation(
    "subscription Count($to: Int!) { count(to: $to) }", "Count", OperationKind.SUBSCRIPTION
)


class Counting:
    """A strawberry subgraph: `count(to: 0)` never ends, a negative one is refused."""

    def __init__(self) -> None:
        self.closed = asyncio.Event()
        self.headers: list[dict[str, str]] = []
        self.parameters: list[Any] = []
        counting = self

        @strawberry.type
        class Query:
            ok: bool = True

        @strawberry.type
        class Subscription:
            @strawberry.subscription
            async def count(self, info: Info[Any, Any], to: int) -> AsyncGenerator[int, None]:
                counting.headers.append(dict(info.context["request"].headers))
                counting.parameters.append(info.context["connection_params"])
                try:
                    number = 0
                    while to == 0 or number < to:
                        number += 1
                        yield number
                        if to == 0:
                            await asyncio.Event().wait()
                finally:
                    counting.closed.set()

        self.app = GraphQL(strawberry.Schema(Query, subscription=Subscription))


def asked(seconds: float = 5.0, to: int = 3, **headers: str) -> SubgraphRequest:
    deadline = asyncio.get_running_loop().time() + seconds
    return SubgraphRequest(COUNT, {"to": to}, headers, deadline)


async def events(subgraph: HttpSubgraph, request: SubgraphRequest) -> list[Any]:
    return [response.data async for response in subgraph.subscribe(request)]


async def test_events_come_in_order_and_headers_go_with_upgrade_and_init() -> None:
    counting = Counting()
    async with served(counting.app) as port:
        subgraph = HttpSubgraph("counting", f"http://127.0.0.1:{port}/graphql")
        request = asked(to=3, **{"x-router-actor": "signed", "x-odd": "a\r\nb: c"})
        assert await events(subgraph, request) == [{"count": 1}, {"count": 2}, {"count": 3}]
    assert counting.headers[0]["x-router-actor"] == "signed"
    assert "b" not in counting.headers[0]
    assert counting.parameters[0]["x-router-actor"] == "signed"


async def test_closing_ends_the_stream_at_the_subgraph() -> None:
    counting = Counting()
    async with served(counting.app) as port:
        subgraph = HttpSubgraph("counting", f"http://127.0.0.1:{port}/graphql")
        stream = subgraph.subscribe(asked(to=0))
        assert (await anext(stream)).data == {"count": 1}
        waiting = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)
        waiting.cancel()
        async with asyncio.timeout(5):
            await counting.closed.wait()


async def test_an_operation_that_is_not_valid_is_refused() -> None:
    async with served(Counting().app) as port:
        subgraph = HttpSubgraph("counting", f"http://127.0.0.1:{port}/graphql")
        bad = SubgraphOperation("subscription { nothing }", None, OperationKind.SUBSCRIPTION)
        deadline = asyncio.get_running_loop().time() + 5
        with pytest.raises(SubscriptionRefused) as refused:
            await events(subgraph, SubgraphRequest(bad, None, {}, deadline))
        assert "nothing" in refused.value.errors[0]["message"]


Handler = Callable[[ServerConnection], Awaitable[None]]


@asynccontextmanager
async def websocket(handle: Handler, **more: Any) -> AsyncIterator[HttpSubgraph]:
    """A subgraph at a WebSocket server that says what the test wants, at a path of its own."""
    more = {"subprotocols": [PROTOCOL], **more}
    settings = SubgraphSettings(
        response_bytes_max=1_000,
        connect_timeout_seconds=2,
        subscriptions=SubgraphSubscriptions(path="/ws?x=1"),
    )
    async with serve(handle, "127.0.0.1", 0, **more) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        yield HttpSubgraph("odd", f"http://127.0.0.1:{port}/graphql", settings)


def saying(*messages: Any, acknowledged: bool = True) -> Handler:
    """Acknowledge, take the subscription, say the messages (text as it is), close with 4999."""

    async def handle(connection: ServerConnection) -> None:
        assert connection.request is not None
        assert connection.request.path == "/ws?x=1"
        await connection.recv()
        if acknowledged:
            await connection.send('{"type": "connection_ack"}')
            await connection.recv()
        for message in messages:
            await connection.send(message if isinstance(message, str) else json.dumps(message))
        await connection.close(4999, "enough")

    return handle


NEXT = {"id": "1", "type": "next", "payload": {"data": {"count": 1}}}
LARGE = {"id": "1", "type": "next", "payload": {"data": {"count": "1" * 2_000}}}


@pytest.mark.parametrize(
    ("messages", "error", "words"),
    [
        ([NEXT], SubscriptionInterrupted, "4999: enough"),
        (["nonsense"], SubgraphMalformedResponse, "not JSON"),
        (["[]"], SubgraphMalformedResponse, "no object"),
        ([{"type": "data"}], SubgraphMalformedResponse, "'data'"),
        ([{"type": "next", "payload": 1}], SubgraphMalformedResponse, "a number"),
        ([LARGE], SubgraphResponseTooLarge, "1000 bytes"),
        ([{"type": "error", "payload": {"message": "no"}}], SubscriptionRefused, "refused"),
    ],
)
async def test_what_a_broken_subgraph_says_is_told(
    messages: list[Any], error: type[SubgraphError], words: str
) -> None:
    async with websocket(saying(*messages)) as subgraph:
        with pytest.raises(error, match=words):
            await events(subgraph, asked())


async def test_pings_are_answered_and_are_no_events() -> None:
    pongs = []

    async def handle(connection: ServerConnection) -> None:
        await connection.recv()
        await connection.send('{"type": "ping"}')
        pongs.append(json.loads(await connection.recv()))
        await connection.send('{"type": "connection_ack"}')
        await connection.recv()
        await connection.send('{"type": "pong"}')
        await connection.send(json.dumps(NEXT))
        await connection.send('{"id": "1", "type": "complete"}')
        await connection.wait_closed()

    async with websocket(handle) as subgraph:
        assert await events(subgraph, asked()) == [{"count": 1}]
    assert pongs == [{"type": "pong"}]


async def test_signs_of_life_do_not_wait_for_who_takes_the_events(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("router.transport.websocket.HEARTBEAT_SECONDS", 0.01)
    alive = asyncio.Event()

    async def handle(connection: ServerConnection) -> None:
        await connection.recv()
        await connection.send('{"type": "connection_ack"}')
        await connection.recv()
        for _ in range(20):
            await connection.send(json.dumps(NEXT))
        async for text in connection:
            if json.loads(text) == {"type": "pong"}:
                alive.set()

    async with websocket(handle) as subgraph, aclosing(subgraph.subscribe(asked())) as stream:
        await anext(stream)
        async with asyncio.timeout(5):
            await alive.wait()


async def test_a_subgraph_that_does_not_acknowledge_is_given_up() -> None:
    async def handle(connection: ServerConnection) -> None:
        await connection.wait_closed()

    async with websocket(handle) as subgraph:
        with pytest.raises(SubgraphTimeout):
            await events(subgraph, asked(0.05))


async def test_who_does_not_speak_the_protocol_is_told_so() -> None:
    async with websocket(saying(), subprotocols=None) as subgraph:
        with pytest.raises(SubgraphMalformedResponse, match="does not speak"):
            await events(subgraph, asked())


async def test_redirects_are_not_followed_and_a_status_is_told() -> None:
    async def elsewhere(connection: ServerConnection, request: Any) -> Any:
        response = connection.respond(302, "there")
        response.headers["location"] = "ws://127.0.0.1:1/"
        return response

    async with websocket(saying(), process_request=elsewhere) as subgraph:
        with pytest.raises(SubgraphHttpError, match="302"):
            await events(subgraph, asked())


@pytest.mark.parametrize("over", ["unix", "tls"])
async def test_over_a_unix_socket_or_tls(tmp_path: Path, over: str) -> None:
    async def handle(connection: ServerConnection) -> None:
        await connection.recv()
        await connection.send('{"type": "connection_ack"}')
        await connection.recv()
        await connection.send(json.dumps(NEXT))
        await connection.send('{"id": "1", "type": "complete"}')
        await connection.wait_closed()

    protocols = [PROTOCOL]
    if over == "unix":
        path = tmp_path / "s"
        async with unix_serve(handle, str(path), subprotocols=protocols):
            subgraph = HttpSubgraph("odd", f"unix://{path}?path=/graphql")
            assert await events(subgraph, asked()) == [{"count": 1}]
        return
    certificate_file, key_file = certificate(tmp_path, "server")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate_file, key_file)
    async with serve(handle, "127.0.0.1", 0, subprotocols=protocols, ssl=context) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        url = f"https://127.0.0.1:{port}/graphql"
        trusting = SubgraphSettings(tls=Tls(ca_file=certificate_file))
        subgraph = HttpSubgraph("odd", url, trusting)
        assert await events(subgraph, asked()) == [{"count": 1}]
        with pytest.raises(SubgraphConnectionError, match="not trusted"):
            await events(HttpSubgraph("odd", url), asked())


async def test_a_subgraph_that_is_not_there() -> None:
    with pytest.raises(SubgraphConnectionError, match="refused"):
        await events(HttpSubgraph("gone", "http://127.0.0.1:1/graphql"), asked())

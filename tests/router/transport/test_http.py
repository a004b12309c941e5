"""Subgraphs over HTTP: what they may do to us, and what becomes of it."""

from __future__ import annotations

import asyncio
import gzip
from pathlib import Path
from typing import Any

import pytest

from router.config import SubgraphSettings
from router.planner.plan import OperationKind
from router.transport import (
    HttpSubgraph,
    SubgraphError,
    SubgraphOperation,
    SubgraphRequest,
    SubgraphResponse,
)
from router.transport.errors import (
    SubgraphConnectionClosed,
    SubgraphConnectionError,
    SubgraphHttpError,
    SubgraphMalformedResponse,
    SubgraphOverloaded,
    SubgraphResponseTooLarge,
    SubgraphTimeout,
    SubgraphUrlError,
)
from router.transport.http import header_lines
from tests.support.raw_server import RawServer, raw_server, reply

QUERY = SubgraphOperation("query Q($n:Int){a(n:$n)}", "Q", OperationKind.QUERY)
MUTATION = SubgraphOperation("mutation{a}", None, OperationKind.MUTATION)
OK = reply(b'{"data":{"a":1}}')


async def ask(
    subgraph: HttpSubgraph,
    operation: SubgraphOperation = QUERY,
    *,
    variables: dict[str, Any] | None = None,
    headers: dict[str, str] | None = None,
    seconds: float = 5.0,
) -> SubgraphResponse:
    deadline = asyncio.get_running_loop().time() + seconds
    return await subgraph(SubgraphRequest(operation, variables, headers or {}, deadline))


async def test_request_and_answer_over_one_kept_connection() -> None:
    async def handle(
        server: RawServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
    ) -> None:
        while True:
            await server.read_request(reader)
            writer.write(reply(b'{"data":{"a":1}}', head="Set-Cookie: a=1\r\nSet-Cookie: b=2\r\n"))

    async with raw_server(handle) as server:
        subgraph = HttpSubgraph("s", server.url)
        for _ in range(3):
            response = await ask(subgraph, variables={"n": 7}, headers={"x-request-id": "r1"})
        assert response.data == {"a": 1}
        assert [value for name, value in response.headers if name == "set-cookie"] == ["a=1", "b=2"]
        assert server.connections == 1
        head, _, body = server.requests[0].partition(b"\r\n\r\n")
        assert head.startswith(b"POST /graphql HTTP/1.1\r\nhost: 127.0.0.1:")
        assert b"\r\nx-request-id: r1\r\n" in head
        expected = b'{"query":"query Q($n:Int){a(n:$n)}","operationName":"Q","variables":{"n":7}}'
        assert body == expected
        await subgraph.close()


async def test_over_a_unix_socket(tmp_path: Path) -> None:
    async def handle(
        server: RawServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
    ) -> None:
        await server.read_request(reader)
        writer.write(OK)

    async with raw_server(handle, socket_path=str(tmp_path / "s")) as server:
        subgraph = HttpSubgraph("s", server.url)
        assert (await ask(subgraph)).data == {"a": 1}
        assert server.requests[0].startswith(b"POST /graphql ")
        await subgraph.close()


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (reply(b"<html>", head=""), SubgraphMalformedResponse, "not JSON"),
        (reply(b""), SubgraphMalformedResponse, "empty"),
        (reply(b"[1]"), SubgraphMalformedResponse, "a list"),
        (reply(b'{"data":3}'), SubgraphMalformedResponse, "a number"),
        (reply(b"{}"), SubgraphMalformedResponse, "neither"),
        (reply(b'{"data":{},"errors":{}}'), SubgraphMalformedResponse, "`errors`"),
        (reply(b"no", status="500 Oops"), SubgraphHttpError, "500"),
        (reply(b'{"data":{"a":1}}', status="503 Busy"), SubgraphHttpError, "503"),
        (reply(b"", status="302 Found", head="location: /x\r\n"), SubgraphHttpError, "302"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{", SubgraphConnectionClosed, "middle"),
        (b"", SubgraphConnectionClosed, "without an answer"),
        (b"SSH-2.0-OpenSSH\r\n", SubgraphMalformedResponse, "not HTTP"),
        (reply(b"x" * 2_000), SubgraphResponseTooLarge, "1000"),
        (
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
            + b"3e8\r\n"
            + b"x" * 1000
            + b"\r\n3e8\r\n"
            + b"x" * 1000
            + b"\r\n0\r\n\r\n",
            SubgraphResponseTooLarge,
            "1000",
        ),
        (
            reply(gzip.compress(b"x" * 100_000), head="content-encoding: gzip\r\n"),
            SubgraphResponseTooLarge,
            "1000",
        ),
        (
            reply(gzip.compress(b"{}")[:-4], head="content-encoding: gzip\r\n"),
            SubgraphMalformedResponse,
            "truncated",
        ),
        (reply(b"{}", head="content-encoding: br\r\n"), SubgraphMalformedResponse, "br"),
        (b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 300, SubgraphResponseTooLarge, "64000"),
    ],
)
async def test_bad_answers(answer: bytes, error: type[SubgraphError], words: str) -> None:
    async def handle(
        server: RawServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
    ) -> None:
        await server.read_request(reader)
        writer.write(answer)
        await writer.drain()

    async with raw_server(handle) as server:
        subgraph = HttpSubgraph("s", server.url, SubgraphSettings(response_bytes_max=1000))
        with pytest.raises(error, match=words) as raised:
            await ask(subgraph)
        assert raised.value.service == "s"
        await subgraph.close()


@pytest.mark.parametrize(
    "answer",
    [
        OK,
        reply(gzip.compress(b'{"data":{"a":1}}'), head="content-encoding: gzip\r\n"),
        b"HTTP/1.1 100 Continue\r\n\r\n" + OK,
        b'HTTP/1.1 200 OK\r\n\r\n{"data":{"a":1}}',
        b"HTTP/1.0 200 OK\r\ncontent-length: 16\r\n\r\n" + b'{"data":{"a":1}}',
        b'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n10\r\n{"data":{"a":1}}\r\n0\r\n\r\n',
        reply(b'{"data":{"a":1},"errors":[{"message":"m"}]}', status="500 Oops"),
    ],
)
async def test_good_answers(answer: bytes) -> None:
    async def handle(
        server: RawServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
    ) -> None:
        await server.read_request(reader)
        for at in range(0, len(answer), 7):  # in small pieces
            writer.write(answer[at : at + 7])
            await writer.drain()

    async with raw_server(handle) as server:
        subgraph = HttpSubgraph("s", server.url)
        assert (await ask(subgraph)).data == {"a": 1}
        await subgraph.close()


async def test_one_that_never_answers() -> None:
    async def handle(
        server: RawServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
    ) -> None:
        await server.read_request(reader)
        await reader.read()

    async with raw_server(handle) as server:
        subgraph = HttpSubgraph("s", server.url)
        with pytest.raises(SubgraphTimeout):
            await ask(subgraph, seconds=0.02)
        await subgraph.close()


async def test_nobody_listens() -> None:
    async def handle(*_: Any) -> None: ...

    async with raw_server(handle) as server:
        url = server.url
    subgraph = HttpSubgraph("s", url)
    with pytest.raises(SubgraphConnectionError, match="refused"):
        await ask(subgraph)


@pytest.mark.parametrize(("operation", "answered"), [(QUERY, True), (MUTATION, False)])
async def test_a_kept_connection_that_closes_as_it_is_used(
    operation: SubgraphOperation, answered: bool
) -> None:
    """Queries go out again on a new connection; a mutation may have been carried out already."""

    async def handle(
        server: RawServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
    ) -> None:
        await server.read_request(reader)
        writer.write(OK)
        await server.read_request(reader)
        if number > 1:
            writer.write(OK)

    async with raw_server(handle) as server:
        subgraph = HttpSubgraph("s", server.url)
        await ask(subgraph)
        if answered:
            assert (await ask(subgraph, operation)).data == {"a": 1}
            assert server.connections == 2
        else:
            with pytest.raises(SubgraphConnectionClosed):
                await ask(subgraph, operation)
            assert server.connections == 1
        await subgraph.close()


async def test_a_new_connection_that_closes_is_not_tried_again() -> None:
    async def handle(
        server: RawServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
    ) -> None:
        await server.read_request(reader)

    async with raw_server(handle) as server:
        subgraph = HttpSubgraph("s", server.url)
        with pytest.raises(SubgraphConnectionClosed):
            await ask(subgraph)
        assert server.connections == 1
        await subgraph.close()


async def test_cancelling_closes_the_connection_and_gives_its_place_back() -> None:
    asked = asyncio.Event()

    async def handle(
        server: RawServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
    ) -> None:
        await server.read_request(reader)
        if number == 1:
            asked.set()
            await reader.read()
        else:
            writer.write(OK)

    async with raw_server(handle) as server:
        subgraph = HttpSubgraph("s", server.url, SubgraphSettings(connections_max=1))
        task = asyncio.create_task(ask(subgraph))
        await asked.wait()
        waiting = asyncio.create_task(ask(subgraph))
        task.cancel()
        assert (await waiting).data == {"a": 1}
        assert server.connections == 2
        await subgraph.close()


async def test_connections_and_waiting_are_bounded() -> None:
    release = asyncio.Event()
    asked = asyncio.Event()

    async def handle(
        server: RawServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
    ) -> None:
        while True:
            await server.read_request(reader)
            asked.set()
            await release.wait()
            writer.write(OK)

    async with raw_server(handle) as server:
        settings = SubgraphSettings(connections_max=1, waiting_max=2)
        subgraph = HttpSubgraph("s", server.url, settings)
        first = asyncio.create_task(ask(subgraph))
        await asked.wait()
        others = [asyncio.create_task(ask(subgraph)) for _ in range(3)]
        done, pending = await asyncio.wait(others, return_when=asyncio.FIRST_COMPLETED)
        assert len(done) == 1
        assert isinstance(done.pop().exception(), SubgraphOverloaded)
        release.set()
        answers = await asyncio.gather(first, *pending)
        assert [answer.data for answer in answers] == [{"a": 1}] * 3
        assert server.connections == 1
        await subgraph.close()


async def test_waiting_for_a_connection_ends_at_the_deadline() -> None:
    asked = asyncio.Event()

    async def handle(
        server: RawServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
    ) -> None:
        await server.read_request(reader)
        asked.set()
        await reader.read()

    async with raw_server(handle) as server:
        subgraph = HttpSubgraph("s", server.url, SubgraphSettings(connections_max=1))
        first = asyncio.create_task(ask(subgraph))
        await asked.wait()
        with pytest.raises(SubgraphTimeout):
            await ask(subgraph, seconds=0.01)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        await subgraph.close()


async def test_close_fails_what_is_under_way() -> None:
    asked = asyncio.Event()

    async def handle(
        server: RawServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
    ) -> None:
        await server.read_request(reader)
        asked.set()
        await reader.read()

    async with raw_server(handle) as server:
        subgraph = HttpSubgraph("s", server.url)
        task = asyncio.create_task(ask(subgraph))
        await asked.wait()
        await subgraph.close()
        with pytest.raises(SubgraphConnectionError):
            await task
        with pytest.raises(SubgraphConnectionError, match="shutting down"):
            await ask(subgraph)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:4000/graphql",
        "ftp://h/",
        "http://",
        "http:///graphql",
        "http://h:99999/",
        "unix://?path=/graphql",
    ],
)
def test_addresses_that_cannot_be_called(url: str) -> None:
    with pytest.raises(SubgraphUrlError, match='subgraph "s"'):
        HttpSubgraph("s", url)


def test_a_header_cannot_smuggle_in_another() -> None:
    lines = header_lines({"x-a": "1\r\nx-actor: me", "x-b": "2"})
    assert lines == "x-a: 1  x-actor: me\r\nx-b: 2\r\n"


async def test_a_failed_connection_lets_the_next_in_line_try() -> None:
    """The only place is taken by a connection that is never accepted by TLS."""
    silent = asyncio.Event()

    async def handle(
        server: RawServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
    ) -> None:
        silent.set()
        await reader.read()

    async with raw_server(handle) as server:
        settings = SubgraphSettings(connections_max=1, connect_timeout_seconds=0.05)
        subgraph = HttpSubgraph("s", server.url.replace("http:", "https:"), settings)
        first = asyncio.create_task(ask(subgraph))
        await silent.wait()
        second = asyncio.create_task(ask(subgraph))
        for task in (first, second):
            with pytest.raises(SubgraphConnectionError, match=r"no connection within 0\.05 s"):
                await task
        assert server.connections == 2
        await subgraph.close()

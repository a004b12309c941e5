"""A TCP or unix-socket server that says exactly the bytes a test wants it to say."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter, int], Awaitable[None]]
"""Gets the streams and the number of the connection, from 1."""


@dataclass
class RawServer:
    """Where it listens, and what it was asked."""

    url: str = ""
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0

    async def read_request(self, reader: asyncio.StreamReader) -> bytes:
        """One whole request; raises IncompleteReadError when the client closed instead."""
        head = await reader.readuntil(b"\r\n\r\n")
        length = 0
        for line in head.split(b"\r\n"):
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        request = head + await reader.readexactly(length)
        self.requests.append(request)
        return request


def reply(body: bytes, *, status: str = "200 OK", head: str = "") -> bytes:
    """A whole HTTP answer."""
    lines = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\n{head}"
    return f"{lines}content-length: {len(body)}\r\n\r\n".encode() + body


@asynccontextmanager
async def raw_server(
    handle: Callable[[RawServer, asyncio.StreamReader, asyncio.StreamWriter, int], Awaitable[None]],
    *,
    socket_path: str | None = None,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[RawServer]:
    """Serve until the block ends; open connections are closed then."""
    server = RawServer()
    tasks: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server.connections += 1
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await handle(server, reader, writer, server.connections)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            tasks.discard(task)
            writer.close()

    if socket_path is not None:
        listening = await asyncio.start_unix_server(connected, socket_path)
        server.url = f"unix://{socket_path}?path=/graphql"
    else:
        listening = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls)
        host, port = listening.sockets[0].getsockname()[:2]
        server.url = f"{'https' if tls else 'http'}://{host}:{port}/graphql"
    try:
        yield server
    finally:
        listening.close()
        for task in tuple(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await listening.wait_closed()

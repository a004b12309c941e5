"""A client of streams over HTTP that reads exactly what was sent, as it comes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

WAIT_SECONDS = 10.0
SSE = "text/event-stream"
MULTIPART = "multipart/mixed;subscriptionSpec=1.0, application/json"


@dataclass
class Stream:
    """An HTTP answer whose body is being read."""

    status: int
    headers: dict[str, str]
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    buffer: bytes = b""

    async def until(self, mark: bytes) -> bytes:
        """The body up to the mark, which is left out. Raises IncompleteReadError at its end."""
        while mark not in self.buffer:
            async with asyncio.timeout(WAIT_SECONDS):
                chunk = await self._chunk()
            if not chunk:
                raise asyncio.IncompleteReadError(self.buffer, None)
            self.buffer += chunk
        found, _, self.buffer = self.buffer.partition(mark)
        return found

    async def _chunk(self) -> bytes:
        """What comes next of a body in chunks, or all of another one."""
        length = self.headers.pop("content-length", None)
        if length is not None:
            return await self.reader.readexactly(int(length))
        size = int(await self.reader.readline(), 16)
        chunk = await self.reader.readexactly(size)
        await self.reader.readline()
        return chunk

    async def event(self) -> tuple[str, Any]:
        """The next server-sent event that is no comment: its name and its data, None if empty."""
        while True:
            lines = (await self.until(b"\n\n")).decode().split("\n")
            fields = dict(line.split(": ", 1) for line in lines if not line.startswith(":"))
            if fields:
                return fields["event"], json.loads(fields["data"]) if fields["data"] else None

    async def part(self) -> Any:
        """The next part of a multipart answer, None for the end; heartbeats are `{}`."""
        text = await self.until(b"--")
        if text == b"":
            assert await self.whole() == b"\r\n"
            return None
        if text == b"\r\n":  # before the first one
            await self.until(b"graphql")
            text = await self.until(b"--")
        await self.until(b"graphql")
        head, _, body = text.partition(b"\r\n\r\n")
        assert head.strip().lower() == b"content-type: application/json"
        return json.loads(body)

    async def whole(self) -> bytes:
        """The rest of the body."""
        try:
            await self.until(b"\0")
        except asyncio.IncompleteReadError as end:
            return end.partial
        raise AssertionError("a NUL")


@asynccontextmanager
async def streaming(
    port: int,
    query: str,
    *,
    accept: str = SSE,
    variables: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> AsyncIterator[Stream]:
    """POST an operation; leave the connection at the end of the block."""
    body = json.dumps({"query": query, "variables": dict(variables or {})}).encode()
    lines = {
        "host": "router.test",
        "content-type": "application/json",
        "content-length": str(len(body)),
        "accept": accept,
        **(headers or {}),
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    async with request(port, f"POST /graphql HTTP/1.1\r\n{head}\r\n".encode() + body) as stream:
        yield stream


@asynccontextmanager
async def request(port: int, sent: bytes) -> AsyncIterator[Stream]:
    """Send the bytes of a request and read the head of its answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(sent)
        async with asyncio.timeout(WAIT_SECONDS):
            status = int((await reader.readline()).split()[1])
            headers = {}
            while line := (await reader.readline()).strip():
                name, _, value = line.decode("latin-1").partition(":")
                headers[name.lower()] = value.strip()
        yield Stream(status, headers, reader, writer)
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

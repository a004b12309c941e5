"""One HTTP/1.1 connection that carries one request at a time, parsed by httptools."""

from __future__ import annotations

import asyncio
import zlib
from dataclasses import dataclass
from typing import Final

import httptools

from router.transport.errors import (
    SubgraphConnectionClosed,
    SubgraphError,
    SubgraphMalformedResponse,
    SubgraphResponseTooLarge,
    SubgraphTimeout,
)

HEADERS_MAX: Final = 200
HEADER_BYTES_MAX: Final = 64_000


@dataclass(frozen=True, slots=True)
class HttpReply:
    """A whole answer. Header names are in lower case, in the order they came."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


class HttpConnection(asyncio.Protocol):
    """Send bytes, get a reply. Any fault closes the connection; `reusable` tells when it is not.

    Only one `exchange` may be under way: the pool sees to that.
    """

    __slots__ = (
        "_answered",
        "_body",
        "_body_bytes",
        "_bytes_max",
        "_header_bytes",
        "_headers",
        "_headers_done",
        "_loop",
        "_parser",
        "_reply",
        "_service",
        "_transport",
        "_until_close",
        "idle_since",
        "open",
    )

    def __init__(self, service: str, loop: asyncio.AbstractEventLoop, *, bytes_max: int) -> None:
        self._service = service
        self._loop = loop
        self._bytes_max = bytes_max
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._reply: asyncio.Future[HttpReply] | None = None
        self._answered = False
        self._headers: list[tuple[bytes, bytes]] = []
        self._header_bytes = 0
        self._headers_done = False
        self._until_close = False
        self._body: list[bytes] = []
        self._body_bytes = 0
        self.idle_since = 0.0
        self.open = False

    async def exchange(self, request: bytes, deadline: float) -> HttpReply:
        """Send `request`, return the reply. Raises SubgraphError; cancelling closes.

        SubgraphConnectionClosed with `answered` false is the reuse race: the peer may have closed
        before it saw the request.
        """
        loop = self._loop
        if not self.open or self._transport is None:
            raise SubgraphConnectionClosed(self._service, answered=False)
        reply: asyncio.Future[HttpReply] = loop.create_future()
        self._reply = reply
        self._answered = False
        seconds = deadline - loop.time()
        timer = loop.call_at(deadline, self._expire, seconds)
        self._transport.write(request)
        try:
            return await reply
        except asyncio.CancelledError:
            self.abort()
            raise
        finally:
            timer.cancel()
            self._reply = None

    def abort(self) -> None:
        """Close at once."""
        self.open = False
        if self._transport is not None:
            self._transport.abort()

    def _expire(self, seconds: float) -> None:
        self._fail(SubgraphTimeout(self._service, seconds))

    def _fail(self, error: SubgraphError) -> None:
        reply = self._reply
        if reply is not None and not reply.done():
            reply.set_exception(error)
        self.abort()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self.open = True

    def data_received(self, data: bytes) -> None:
        if self._reply is None or self._reply.done():
            self.abort()  # bytes that nobody asked for
            return
        self._answered = True
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            cause = error.__context__
            if isinstance(cause, SubgraphError):
                self._fail(cause)
            else:
                self._fail(SubgraphMalformedResponse(self._service, f"not HTTP: {error}"))

    def eof_received(self) -> bool:
        return False  # close; connection_lost follows

    def connection_lost(self, exc: Exception | None) -> None:
        self.open = False
        reply = self._reply
        if reply is None or reply.done():
            return
        if exc is None and self._until_close:
            self._finish()
        else:
            reply.set_exception(SubgraphConnectionClosed(self._service, answered=self._answered))

    # httptools callbacks

    def on_message_begin(self) -> None:
        self._headers = []
        self._header_bytes = 0
        self._headers_done = self._until_close = False
        self._body = []
        self._body_bytes = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name, value))
        self._header_bytes += len(name) + len(value)
        if self._header_bytes > HEADER_BYTES_MAX or len(self._headers) > HEADERS_MAX:
            raise SubgraphResponseTooLarge(self._service, HEADER_BYTES_MAX)

    def on_headers_complete(self) -> None:
        self._headers_done = True
        framed = False
        for name, value in self._headers:
            match name.lower():
                case b"content-length":
                    framed = True
                    if int(value) > self._bytes_max:
                        raise SubgraphResponseTooLarge(self._service, self._bytes_max)
                case b"transfer-encoding":
                    framed = True
        self._until_close = not framed

    def on_body(self, data: bytes) -> None:
        self._body.append(data)
        self._body_bytes += len(data)
        if self._body_bytes > self._bytes_max:
            raise SubgraphResponseTooLarge(self._service, self._bytes_max)

    def on_message_complete(self) -> None:
        if self._parser.get_status_code() < 200:  # an interim answer: the real one follows
            return
        if not self._parser.should_keep_alive():
            self.open = False
        self._finish()
        if not self.open and self._transport is not None:
            self._transport.close()

    def _finish(self) -> None:
        reply = self._reply
        if reply is None or reply.done():
            return
        headers = tuple(
            (name.decode("latin-1").lower(), value.decode("latin-1"))
            for name, value in self._headers
        )
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        coding = next((value for name, value in headers if name == "content-encoding"), "identity")
        try:
            if coding != "identity":
                body = inflate(self._service, coding, body, self._bytes_max)
            reply.set_result(HttpReply(self._parser.get_status_code(), headers, body))
        except SubgraphError as error:
            reply.set_exception(error)


def inflate(service: str, coding: str, body: bytes, bytes_max: int) -> bytes:
    """Undo gzip or deflate, but never beyond `bytes_max`. Raises SubgraphError."""
    if coding not in {"gzip", "x-gzip", "deflate"}:
        raise SubgraphMalformedResponse(service, f"content coding {coding!r} was not asked for")
    inflater = zlib.decompressobj(zlib.MAX_WBITS | 32)
    try:
        plain = inflater.decompress(body, bytes_max + 1)
    except zlib.error as error:
        raise SubgraphMalformedResponse(service, f"broken {coding}: {error}") from error
    if len(plain) > bytes_max:
        raise SubgraphResponseTooLarge(service, bytes_max)
    if not inflater.eof:
        raise SubgraphMalformedResponse(service, f"truncated {coding}")
    return plain

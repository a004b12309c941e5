"""GET over HTTP/1.1 connections that are kept: what services ask each other inside."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Mapping
from types import MappingProxyType
from urllib.parse import urlsplit

import httptools

from eventstore.errors import InvalidRead

ANSWER_BYTES_MAX = 256 * 1_048_576
IDLE_CONNECTIONS_MAX = 8

Headers = Mapping[str, str] | Callable[[], Mapping[str, str]]

UNREACHABLE = (OSError, EOFError, httptools.HttpParserError)
"""What `get` raises where there is no answer; TimeoutError is an OSError."""


class HttpClient:
    """Asks below one URL. `headers` may be a function, for credentials that expire."""

    def __init__(
        self, url: str, headers: Headers = MappingProxyType({}), *, accept: str = "application/json"
    ) -> None:
        """Raises InvalidRead for a URL that is none."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise InvalidRead("URL of a service", repr(url), "http://HOST:PORT/PATH")
        self._secure = ssl.create_default_context() if parts.scheme == "https" else None
        self._host = parts.hostname
        self._port = parts.port or (443 if self._secure else 80)
        self._authority, self._path = parts.netloc, parts.path or "/"
        self._headers, self._accept = headers, accept
        self._idle: list[_Connection] = []

    async def get(self, below: str, timeout_seconds: float) -> tuple[int, bytes]:
        """Status and body of what is at the URL with `below` (a path, a query) after it.

        Raises what UNREACHABLE lists.
        """
        async with asyncio.timeout(timeout_seconds):
            return await self._get(self._path + below)

    async def close(self) -> None:
        """Close the connections that are kept."""
        while self._idle:
            self._idle.pop().close()

    async def _get(self, target: str) -> tuple[int, bytes]:
        headers = self._headers() if callable(self._headers) else self._headers
        lines = [f"GET {target} HTTP/1.1", f"Host: {self._authority}", f"Accept: {self._accept}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        request = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
        while self._idle:  # one that was kept may have been closed by the service meanwhile
            kept = self._idle.pop()
            try:
                return await self._ask(kept, request)
            except (OSError, EOFError):
                continue
        reader, writer = await asyncio.open_connection(self._host, self._port, ssl=self._secure)
        return await self._ask(_Connection(reader, writer), request)

    async def _ask(self, connection: _Connection, request: bytes) -> tuple[int, bytes]:
        try:
            answer = await connection.ask(request)
        except BaseException:
            connection.close()
            raise
        if connection.keeps and len(self._idle) < IDLE_CONNECTIONS_MAX:
            self._idle.append(connection)
        else:
            connection.close()
        return answer


class _Connection:
    """One HTTP/1.1 connection: asks, and collects the answer."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self.keeps = False

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """Raises OSError or EOFError when the connection is lost before the answer is complete."""
        answer = _Answer()
        parser = httptools.HttpResponseParser(answer)
        self._writer.write(request)
        await self._writer.drain()
        while not answer.complete:
            data = await self._reader.read(65536)
            if not data:
                raise EOFError("the connection was closed within an answer")
            parser.feed_data(data)
            if answer.size > ANSWER_BYTES_MAX:
                raise OSError(f"an answer of more than {ANSWER_BYTES_MAX} bytes")
        self.keeps = parser.should_keep_alive()
        return parser.get_status_code(), b"".join(answer.parts)

    def close(self) -> None:
        self._writer.close()


class _Answer:
    """What the parser calls."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.size = 0
        self.complete = False

    def on_body(self, body: bytes) -> None:
        self.parts.append(body)
        self.size += len(body)

    def on_message_complete(self) -> None:
        self.complete = True

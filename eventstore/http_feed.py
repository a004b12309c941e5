"""A feed over HTTP: `GET /feed?after=&limit=&wait=&types=` gives a page as JSON lines."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import MappingProxyType
from urllib.parse import quote, urlsplit

import httptools
import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from eventstore.errors import EventStoreError, FeedFailed, ForeignPosition, InvalidRead
from eventstore.feed import WAIT_SECONDS_MAX, Feed, from_lines, to_lines
from eventstore.feed_page import FeedPage

CONTENT_TYPE = "application/jsonl"
ANSWER_SECONDS_MAX = 15.0
"""On top of what the feed was asked to wait."""
ANSWER_BYTES_MAX = 256 * 1_048_576
RETRY_SECONDS_MIN, RETRY_SECONDS_MAX = 0.1, 2.0
IDLE_CONNECTIONS_MAX = 8

Headers = Mapping[str, str] | Callable[[], Mapping[str, str]]


def feed_endpoint(feed: Feed) -> Callable[[Request], Awaitable[Response]]:
    """A Starlette endpoint that serves `feed`. Who may read it is for the caller to guard."""

    async def endpoint(request: Request) -> Response:
        given = request.query_params
        try:
            after = _number(given.get("after", "0"), "after")
            limit = _number(given.get("limit", "1000"), "limit")
            wait = min(_seconds(given.get("wait", "0")), WAIT_SECONDS_MAX)
            types = given["types"].split(",") if given.get("types") else None
            page = await feed.read(after, limit=limit, wait_seconds=wait, types=types)
        except (InvalidRead, ForeignPosition) as error:
            status = 409 if isinstance(error, ForeignPosition) else 400
            return JSONResponse({"code": error.code, "message": str(error)}, status)
        except EventStoreError as error:
            return JSONResponse({"code": error.code, "message": str(error)}, 503)
        return Response(to_lines(page), media_type=CONTENT_TYPE)

    return endpoint


def _number(text: str, what: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 19:
        raise InvalidRead(what, repr(text), "a whole number")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < 3600:
        raise InvalidRead("wait", repr(text), "a number of seconds")
    return seconds


class HttpFeed:
    """The feed of the service `name` at `url`, over connections that are kept.

    A service that does not answer is asked again for `unavailable_seconds`, then FeedFailed is
    raised. `headers` may be a function, for credentials that expire.
    """

    def __init__(
        self,
        url: str,
        name: str,
        headers: Headers = MappingProxyType({}),
        *,
        unavailable_seconds: float = 10.0,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise InvalidRead("feed URL", repr(url), "http://HOST:PORT/feed")
        self.name = name
        self._secure = ssl.create_default_context() if parts.scheme == "https" else None
        self._host = parts.hostname
        self._port = parts.port or (443 if self._secure else 80)
        self._authority, self._path = parts.netloc, parts.path or "/"
        self._headers = headers
        self._unavailable_seconds = unavailable_seconds
        self._idle: list[_Connection] = []

    async def read(
        self,
        after: int,
        *,
        limit: int = 1000,
        wait_seconds: float = 0.0,
        types: Sequence[str] | None = None,
    ) -> FeedPage:
        target = f"{self._path}?after={after}&limit={limit}&wait={wait_seconds:g}"
        if types is not None:
            target += f"&types={quote(','.join(types))}"
        since, pause = time.monotonic(), RETRY_SECONDS_MIN
        while True:
            try:
                async with asyncio.timeout(wait_seconds + ANSWER_SECONDS_MAX):
                    status, body = await self._get(target)
                if status < 500:
                    break
                problem = f"it answered {status}: {body[:200]!r}"
            except (OSError, EOFError, httptools.HttpParserError) as error:  # TimeoutError too
                problem = str(error) or type(error).__name__
            if time.monotonic() - since > self._unavailable_seconds:
                raise FeedFailed(self.name, problem)
            await asyncio.sleep(pause)
            pause = min(pause * 2, RETRY_SECONDS_MAX)
        if status == 409:
            raise ForeignPosition(self.name, after, "so the feed says")
        if status != 200:
            raise FeedFailed(self.name, f"it answered {status}: {body[:200]!r}")
        try:
            return from_lines(body)
        except msgspec.MsgspecError as error:
            raise FeedFailed(self.name, f"its page is malformed: {error}") from error

    async def close(self) -> None:
        """Close the connections that are kept."""
        while self._idle:
            self._idle.pop().close()

    async def _get(self, target: str) -> tuple[int, bytes]:
        headers = self._headers() if callable(self._headers) else self._headers
        lines = [f"GET {target} HTTP/1.1", f"Host: {self._authority}", f"Accept: {CONTENT_TYPE}"]
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

"""A feed over HTTP: `GET /feed?after=&limit=&wait=&types=` gives a page as JSON lines."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from types import MappingProxyType
from urllib.parse import quote

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from eventstore.errors import EventStoreError, FeedFailed, ForeignPosition, InvalidRead
from eventstore.feed import WAIT_SECONDS_MAX, Feed, from_lines, to_lines
from eventstore.feed_page import FeedPage
from eventstore.http_client import UNREACHABLE, Headers, HttpClient

CONTENT_TYPE = "application/jsonl"
ANSWER_SECONDS_MAX = 15.0
"""On top of what the feed was asked to wait."""
RETRY_SECONDS_MIN, RETRY_SECONDS_MAX = 0.1, 2.0


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
        self.name = name
        self._client = HttpClient(url, headers, accept=CONTENT_TYPE)
        self._unavailable_seconds = unavailable_seconds

    async def read(
        self,
        after: int,
        *,
        limit: int = 1000,
        wait_seconds: float = 0.0,
        types: Sequence[str] | None = None,
    ) -> FeedPage:
        target = f"?after={after}&limit={limit}&wait={wait_seconds:g}"
        if types is not None:
            target += f"&types={quote(','.join(types))}"
        since, pause = time.monotonic(), RETRY_SECONDS_MIN
        while True:
            try:
                status, body = await self._client.get(target, wait_seconds + ANSWER_SECONDS_MAX)
                if status < 500:
                    break
                problem = f"it answered {status}: {body[:200]!r}"
            except UNREACHABLE as error:
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
        await self._client.close()

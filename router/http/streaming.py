"""Answers one after another in one HTTP response: server-sent events, or parts of a multipart.

Server-sent events as the "distinct connections mode" of graphql-sse has them; multipart as Apollo's
`multipart/mixed;subscriptionSpec=1.0`: what ends a subscription stands beside `payload`, not in it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import ClassVar, Final, Protocol

from starlette.types import Receive, Send

from router.http.response import RawHeaders, encode
from router.http.subscriptions import Ending, Subscriber

BOUNDARY: Final = b"graphql"


class StreamFormat(Protocol):
    """How answers are framed. Bodies are JSON without line breaks."""

    content_type: ClassVar[bytes]
    heartbeat: ClassVar[bytes]
    start: ClassVar[bytes]

    def event(self, body: bytes) -> bytes:
        """One answer."""
        ...

    def ending(self, ending: Ending) -> bytes:
        """The end of the stream."""
        ...


@dataclass(frozen=True, slots=True)
class ServerSentEvents:
    """`next` events, one `complete` event, comments between them."""

    content_type: ClassVar[bytes] = b"text/event-stream; charset=utf-8"
    heartbeat: ClassVar[bytes] = b":\n\n"
    start: ClassVar[bytes] = b":\n\n"

    def event(self, body: bytes) -> bytes:
        """One answer."""
        return b"event: next\ndata: " + body + b"\n\n"

    def ending(self, ending: Ending) -> bytes:
        """Errors are one more answer. `complete` has data, else browsers do not tell of it."""
        last = self.event(encode({"errors": ending.errors})) if ending.errors else b""
        return last + b"event: complete\ndata: \n\n"


@dataclass(frozen=True, slots=True)
class MultipartParts:
    """Each part is a JSON object that ends with the boundary, so that a client has it whole."""

    content_type: ClassVar[bytes] = b'multipart/mixed;boundary="graphql";subscriptionSpec=1.0'
    start: ClassVar[bytes] = b"\r\n--" + BOUNDARY
    heartbeat: ClassVar[bytes] = b"\r\ncontent-type: application/json\r\n\r\n{}\r\n--" + BOUNDARY

    def event(self, body: bytes) -> bytes:
        """One answer."""
        return self._part(b'{"payload":' + body + b"}") + b"\r\n--" + BOUNDARY

    def ending(self, ending: Ending) -> bytes:
        """Errors that end the stream are no answer: `payload` is null."""
        last = b""
        if ending.errors:
            last = self._part(encode({"payload": None, "errors": ending.errors}))
            last += b"\r\n--" + BOUNDARY
        return last + b"--\r\n"

    def _part(self, json: bytes) -> bytes:
        return b"\r\ncontent-type: application/json\r\n\r\n" + json


def stream_format(accept: bytes) -> StreamFormat | None:
    """The format that the client wants most, the first among equals; None if it names none."""
    best: StreamFormat | None = None
    best_weight = 0.0
    for part in accept.decode("latin-1").lower().split(","):
        kind, *rest = [piece.strip() for piece in part.split(";")]
        parameters = {
            name.strip(): value.strip(' "')
            for name, _, value in (item.partition("=") for item in rest)
        }
        try:
            weight = float(parameters.get("q", "1"))
        except ValueError:
            weight = 0.0
        found: StreamFormat | None = None
        if kind == "text/event-stream":
            found = ServerSentEvents()
        elif kind == "multipart/mixed" and parameters.get("subscriptionspec") == "1.0":
            found = MultipartParts()
        if found is not None and weight > best_weight:
            best, best_weight = found, weight
    return best


def whole_stream(form: StreamFormat, body: bytes) -> bytes:
    """A stream of one answer."""
    return form.start + form.event(body) + form.ending(Ending())


async def stream_answers(
    subscriber: Subscriber,
    form: StreamFormat,
    receive: Receive,
    send: Send,
    headers: RawHeaders,
    *,
    heartbeat_seconds: float,
    rest_seconds_max: float,
) -> Ending | None:
    """Send the subscriber's answers until there are no more; None when the client went before.

    A client that takes nothing holds up `send`, and nobody else: its events wait in the subscriber.
    Once that has ended, it has `rest_seconds_max` to take the rest.
    """
    sending = asyncio.create_task(_send_all(subscriber, form, send, headers, heartbeat_seconds))
    leaving = asyncio.create_task(_gone(receive))
    ended = asyncio.create_task(subscriber.ended.wait())
    first = asyncio.FIRST_COMPLETED
    try:
        await asyncio.wait({sending, leaving, ended}, return_when=first)
        if ended.done():
            await asyncio.wait({sending, leaving}, return_when=first, timeout=rest_seconds_max)
        return sending.result() if sending.done() and not _broken(sending) else None
    finally:
        subscriber.close()
        tasks = (sending, leaving, ended)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _broken(sending: asyncio.Task[Ending]) -> bool:
    """Whether sending failed as the client is gone: servers say so by an OSError."""
    return isinstance(sending.exception(), OSError)


async def _send_all(
    subscriber: Subscriber,
    form: StreamFormat,
    send: Send,
    headers: RawHeaders,
    heartbeat_seconds: float,
) -> Ending:
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": form.start, "more_body": True})
    while True:
        try:
            async with asyncio.timeout(heartbeat_seconds):
                item = await subscriber.next()
        except TimeoutError:
            await send({"type": "http.response.body", "body": form.heartbeat, "more_body": True})
            continue
        if isinstance(item, Ending):
            await send({"type": "http.response.body", "body": form.ending(item)})
            return item
        await send({"type": "http.response.body", "body": form.event(item), "more_body": True})


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass

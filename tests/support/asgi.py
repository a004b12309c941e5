"""Ask an ASGI application without a network."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any


@dataclass
class Reply:
    """An answer. `read` is how many bytes of the request's body were taken."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes
    read: int

    def json(self) -> Any:
        return json.loads(self.body)

    def header(self, name: str) -> str | None:
        """The first value."""
        return next((value for key, value in self.headers if key == name), None)


async def ask(
    app: Any,
    method: str = "POST",
    path: str = "/graphql",
    *,
    json_body: Any = None,
    body: bytes | Iterable[bytes] | None = None,
    headers: dict[str, str] | None = None,
    query_string: str = "",
) -> Reply:
    """One request; a `body` of several parts arrives part by part, without a declared length."""
    sent = {key.lower(): value for key, value in (headers or {}).items()}
    if json_body is not None:
        body = json.dumps(json_body).encode()
        sent.setdefault("content-type", "application/json")
    if isinstance(body, bytes):
        sent.setdefault("content-length", str(len(body)))
        body = [body]
    parts = iter(body if body is not None else [b""])
    pending: list[bytes | None] = [next(parts, b"")]
    read = 0

    async def receive() -> dict[str, Any]:
        nonlocal read
        part = pending.pop()
        if part is None:
            return {"type": "http.disconnect"}
        read += len(part)
        following = next(parts, None)
        pending.append(following)
        return {"type": "http.request", "body": part, "more_body": following is not None}

    messages: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        messages.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": query_string.encode(),
        "headers": [(key.encode(), value.encode("latin-1")) for key, value in sent.items()],
        "client": ("203.0.113.9", 1234),
        "server": ("router.test", 80),
    }
    await app(scope, receive, send)
    start, *rest = messages
    return Reply(
        start["status"],
        [(name.decode(), value.decode("latin-1")) for name, value in start["headers"]],
        b"".join(message.get("body", b"") for message in rest),
        read,
    )


class Socket:
    """A WebSocket to an ASGI application, which runs in a task of the test's loop."""

    def __init__(self, app: Any, *, headers: dict[str, str], protocols: tuple[str, ...]) -> None:
        self._taken: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._given: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        scope = {
            "type": "websocket",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "scheme": "ws",
            "path": "/graphql",
            "raw_path": b"/graphql",
            "root_path": "",
            "query_string": b"",
            "headers": [(key.encode(), value.encode("latin-1")) for key, value in headers.items()],
            "subprotocols": list(protocols),
            "client": ("203.0.113.9", 1234),
            "server": ("service.test", 80),
        }
        self._taken.put_nowait({"type": "websocket.connect"})
        self._running = asyncio.create_task(app(scope, self._taken.get, self._given.put))

    async def event(self) -> dict[str, Any]:
        """What the application did next, as ASGI says it."""
        async with asyncio.timeout(10):
            return await self._given.get()

    async def say(self, message: Any) -> None:
        """Send a message as JSON; a text as it is."""
        text = message if isinstance(message, str) else json.dumps(message)
        await self._taken.put({"type": "websocket.receive", "text": text})

    async def hear(self) -> Any:
        """The next message."""
        event = await self.event()
        assert event["type"] == "websocket.send", event
        return json.loads(event["text"])

    async def closed(self) -> int:
        """The code that the application closes with."""
        event = await self.event()
        assert event["type"] == "websocket.close", event
        code: int = event["code"]
        return code

    async def leave(self) -> None:
        """Close it from this side; the application has ended when this returns."""
        await self._taken.put({"type": "websocket.disconnect", "code": 1001})
        await self._running


@asynccontextmanager
async def socket(
    app: Any,
    *,
    headers: dict[str, str] | None = None,
    protocols: tuple[str, ...] = ("graphql-transport-ws",),
) -> AsyncIterator[Socket]:
    """Connect to `/graphql`; left at the end."""
    opened = Socket(app, headers=headers or {}, protocols=protocols)
    yield opened
    await opened.leave()

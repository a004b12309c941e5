"""Clients over graphql-transport-ws: many operations of any kind on one WebSocket.

The protocol, its messages and close codes, is PROTOCOL.md of https://github.com/enisdenjo/graphql-ws.
Who asks is known by the headers of the upgrade and, as browsers cannot set those, by the payload of
`connection_init`. An operation is answered by a task of its own; one whose client does not read
waits in `send`, and its events where all events wait.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

import orjson
import structlog
from starlette.types import Receive, Scope, Send

from router.http.errors import (
    DeadlineExceeded,
    HeadersTooLarge,
    HttpRefusal,
    Overloaded,
    TooManySubscriptions,
)
from router.http.graphql import GRACE_SECONDS, GraphQLEndpoint
from router.http.headers import request_id
from router.http.operation import Caller, Ready
from router.http.request import GraphQLRequest, read_request
from router.http.response import Answer, encode
from router.http.subscriptions import Ending

SUBPROTOCOL: Final = "graphql-transport-ws"
CLOSE_SECONDS_MAX: Final = 2.0
SILENT_HEARTBEATS_MAX: Final = 3
"""Pings without any word from the client, after which it counts as gone."""
ID_CHARACTERS_MAX: Final = 200
REASON_BYTES_MAX: Final = 123
"""RFC 6455 § 5.5: a close frame has at most 125 bytes, two of them for the code."""

log = structlog.get_logger("router.http")


class _Closed(Exception):
    """The connection is to be closed with this code; None: the client has done so."""

    def __init__(self, code: int | None, reason: str = "") -> None:
        self.code = code
        self.reason = reason.encode()[:REASON_BYTES_MAX].decode(errors="ignore")
        super().__init__(reason)


class WebSocketEndpoint:
    """An ASGI application for WebSockets at the path of `endpoint`."""

    def __init__(self, endpoint: GraphQLEndpoint) -> None:
        self.endpoint = endpoint
        self.stopping = asyncio.Event()
        self.idle = asyncio.Event()
        """Set while there are no connections."""
        self.idle.set()
        self.connections = 0
        endpoint.metrics.websockets.set_function(lambda: self.connections)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        self.connections += 1
        self.idle.clear()
        try:
            await _Connection(self, scope, receive, send).serve()
        finally:
            self.connections -= 1
            if not self.connections:
                self.idle.set()

    def stop(self) -> None:
        """Close all connections once what is under way on them has ended."""
        self.stopping.set()


class _Connection:
    def __init__(
        self, server: WebSocketEndpoint, scope: Scope, receive: Receive, send: Send
    ) -> None:
        self._server = server
        self._endpoint = server.endpoint
        self._config = server.endpoint.config
        self._settings = server.endpoint.config.subscriptions
        self._scope, self._receive, self._send = scope, receive, send
        self._headers: dict[bytes, bytes] = dict(scope["headers"])
        self._request_id = request_id(self._headers)
        self._sending = asyncio.Lock()
        self._acknowledged = False
        self._heard = 0.0
        self._operations: dict[str, asyncio.Task[None]] = {}
        self._ended: set[asyncio.Task[None]] = set()

    async def serve(self) -> None:
        await self._receive()  # websocket.connect
        try:
            self._admit()
        except HttpRefusal as refusal:
            log.info("websocket refused", request_id=self._request_id, code=refusal.code)
            await self._send({"type": "websocket.close", "code": 1008, "reason": str(refusal)})
            return
        offered = self._scope.get("subprotocols", ())
        if SUBPROTOCOL not in offered:
            await self._send({"type": "websocket.accept"})
            await self._close(_Closed(4406, "Subprotocol not acceptable"))
            return
        await self._send({"type": "websocket.accept", "subprotocol": SUBPROTOCOL})
        await self._close(await self._talk())

    def _admit(self) -> None:
        """Raises HttpRefusal."""
        endpoint = self._endpoint
        endpoint.csrf.check_upgrade(
            self._headers, allowed=endpoint.cors.allows(self._headers.get(b"origin"))
        )
        allowed = self._config.limits.header_bytes_max
        if sum(len(name) + len(value) for name, value in self._scope["headers"]) > allowed:
            raise HeadersTooLarge(allowed)
        if self._server.connections > self._settings.connections_max:
            raise Overloaded

    async def _talk(self) -> _Closed:
        """Until somebody wants to close; then no operation is left."""
        watched = [
            asyncio.create_task(watch) for watch in (self._read(), self._keep_alive(), self._stop())
        ]
        try:
            done, _ = await asyncio.wait(watched, return_when=asyncio.FIRST_COMPLETED)
            closed = next(iter(done)).exception()
            if isinstance(closed, _Closed):
                return closed
            if isinstance(closed, OSError):  # what servers raise when a client is gone
                return _Closed(None)
            log.error("websocket failed", request_id=self._request_id, exc_info=closed)
            return _Closed(1011, "Internal server error")
        finally:
            tasks = [*watched, *self._operations.values(), *self._ended]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _close(self, closed: _Closed) -> None:
        if closed.code is not None:
            message = {"type": "websocket.close", "code": closed.code, "reason": closed.reason}
            with suppress(OSError):  # TimeoutError is one: who does not read does not hear of it
                async with asyncio.timeout(CLOSE_SECONDS_MAX):
                    await self._send(message)

    # What ends a connection; each raises _Closed.

    async def _read(self) -> None:
        try:
            async with asyncio.timeout(self._settings.init_seconds):
                while not self._acknowledged:
                    await self._take(await self._message())
        except TimeoutError:
            raise _Closed(4408, "Connection initialisation timeout") from None
        while True:
            await self._take(await self._message())

    async def _keep_alive(self) -> None:
        loop, seconds = asyncio.get_running_loop(), self._settings.heartbeat_seconds
        self._heard = loop.time()
        while True:
            await asyncio.sleep(seconds)
            if loop.time() - self._heard > seconds * (SILENT_HEARTBEATS_MAX + 0.5):
                raise _Closed(1001, "No sign of life")
            if self._acknowledged:
                with suppress(TimeoutError):  # who does not read holds up pings, not this watch
                    async with asyncio.timeout(seconds):
                        await self._say(b'{"type":"ping"}')

    async def _stop(self) -> None:
        await self._server.stopping.wait()
        operations = tuple(self._operations.values())
        if operations:
            await asyncio.wait(operations)
        raise _Closed(1001, "The server is shutting down")

    # Messages

    async def _message(self) -> Mapping[str, Any]:
        received = await self._receive()
        if received["type"] == "websocket.disconnect":
            raise _Closed(None)
        self._heard = asyncio.get_running_loop().time()
        text = received.get("text")
        raw = text.encode() if text is not None else received.get("bytes") or b""
        allowed = self._config.limits.body_bytes_max
        if len(raw) > allowed:
            raise _Closed(1009, f"A message may have at most {allowed} bytes")
        try:
            message = orjson.loads(raw)
        except orjson.JSONDecodeError:
            raise _Closed(4400, "A message is not JSON") from None
        if not isinstance(message, dict):
            raise _Closed(4400, "A message is no object")
        return message

    async def _take(self, message: Mapping[str, Any]) -> None:
        match message:
            case {"type": "connection_init"}:
                await self._initialise(message.get("payload"))
            case {"type": "ping"}:
                await self._say(b'{"type":"pong"}')
            case {"type": "pong"}:
                pass
            case {"type": "subscribe", "id": str(name), "payload": payload}:
                await self._subscribe(name, payload)
            case {"type": "complete", "id": str(name)}:
                task = self._operations.pop(name, None)
                if task is not None:
                    task.cancel()
            case {"type": str(kind)}:
                raise _Closed(4400, f"Not a message of this protocol: {kind[:40]}")
            case _:
                raise _Closed(4400, "A message has no type")

    async def _initialise(self, payload: Any) -> None:
        if self._acknowledged:
            raise _Closed(4429, "Too many initialisation requests")
        if payload is not None and not isinstance(payload, dict):
            raise _Closed(4400, "The payload of connection_init is no object")
        self._add_headers(payload or {})
        try:
            await self._caller()
        except HttpRefusal as refusal:
            raise _Closed(4403, f"Forbidden: {refusal}") from None
        self._acknowledged = True
        await self._say(b'{"type":"connection_ack"}')

    def _add_headers(self, payload: Mapping[str, Any]) -> None:
        """Those that may be given here, flat or under `headers`."""
        nested = payload.get("headers")
        given = {**payload, **(nested if isinstance(nested, dict) else {})}
        lower = {name.lower(): value for name, value in given.items() if isinstance(value, str)}
        for name in self._settings.init_headers:
            value = lower.get(name.lower())
            if value is not None:
                if len(value) > self._config.limits.header_bytes_max:
                    raise _Closed(4400, f"`{name}` in connection_init is too long")
                self._headers[name.lower().encode("latin-1")] = value.encode("latin-1", "replace")

    async def _subscribe(self, name: str, payload: Any) -> None:
        if not self._acknowledged:
            raise _Closed(4401, "Unauthorized")
        if not name or len(name) > ID_CHARACTERS_MAX:
            raise _Closed(4400, f"An id has 1 to {ID_CHARACTERS_MAX} characters")
        if name in self._operations:
            raise _Closed(4409, f"Subscriber for {name} already exists")
        try:
            request = read_request(payload, self._config.limits.variables_depth_max)
        except HttpRefusal as refusal:
            raise _Closed(4400, str(refusal)) from None
        allowed = self._settings.per_connection_max
        if len(self._operations) >= allowed:
            await self._say_last(name, Ending((TooManySubscriptions(allowed).as_error(),)))
            return
        task = asyncio.create_task(self._operate(name, request))
        self._operations[name] = task
        self._ended.add(task)
        task.add_done_callback(self._ended.discard)

    # Operations

    async def _operate(self, name: str, request: GraphQLRequest) -> None:
        """Answer one operation; its id is free again before the client hears of its end."""
        own = asyncio.current_task()
        try:
            ending = await self._answer(name, request)
        except HttpRefusal as refusal:
            ending = Ending((refusal.as_error(),))
        except OSError:
            return
        except Exception as error:
            log.error("request failed", request_id=self._request_id, exc_info=error)
            ending = Ending((self._endpoint.subscriptions.internal_error(error),))
        if self._operations.get(name) is own:
            del self._operations[name]
        with suppress(OSError):  # the client is gone; the reader will say so
            await self._say_last(name, ending)

    async def _say_last(self, name: str, ending: Ending) -> None:
        self._endpoint.metrics.count_errors(ending.errors)
        last: dict[str, Any] = {"id": name, "type": "complete"}
        if ending.errors:
            last |= {"type": "error", "payload": ending.errors}
        await self._say(encode(last))

    async def _answer(self, name: str, request: GraphQLRequest) -> Ending:
        endpoint = self._endpoint
        caller = await self._caller()
        pipeline = endpoint.pipeline
        ready = await pipeline.ready(request, by_get=False)
        if isinstance(ready, Ready) and ready.streams and caller.query_plan != "dry-run":
            subscriber = endpoint.subscriptions.subscribe(pipeline, ready, caller)
            try:
                while not isinstance(item := await subscriber.next(), Ending):
                    await self._next(name, item)
            finally:
                subscriber.close()
            return item
        answer = ready if isinstance(ready, Answer) else await self._execute(ready, caller)
        if not answer.executed:
            return Ending(tuple(answer.body["errors"]))
        await self._next(name, encode(answer.body))
        return Ending()

    async def _execute(self, ready: Ready, caller: Caller) -> Answer:
        """A query or a mutation: it counts, and is limited, as one that came by itself."""
        started = time.perf_counter()
        endpoint, seconds = self._endpoint, self._config.deadline_seconds
        if endpoint.in_flight >= self._config.limits.concurrent_requests_max:
            raise Overloaded
        endpoint.enter()
        try:
            async with asyncio.timeout(seconds + GRACE_SECONDS):
                answer = await endpoint.pipeline.execute(ready, caller)
        except TimeoutError:
            raise DeadlineExceeded(seconds) from None
        finally:
            endpoint.leave()
        errors, seconds = answer.body.get("errors", ()), time.perf_counter() - started
        endpoint.metrics.answered(200, seconds)
        endpoint.metrics.count_errors(errors)
        codes = [str(error.get("extensions", {}).get("code", "NONE")) for error in errors]
        endpoint.log_request(self._request_id, "WEBSOCKET", 200, seconds, codes)
        return answer

    async def _caller(self) -> Caller:
        """Asked for at each operation: a token that was good may have expired."""
        client = self._scope.get("client")
        return await self._endpoint.callers.caller(
            self._headers, client=client[0] if client else None, request_id=self._request_id
        )

    async def _next(self, name: str, body: bytes) -> None:
        head = b'{"id":' + orjson.dumps(name) + b',"type":"next","payload":'
        await self._say(head + body + b"}")

    async def _say(self, message: bytes) -> None:
        async with self._sending:
            await self._send({"type": "websocket.send", "text": message.decode()})

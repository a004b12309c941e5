"""graphql-transport-ws: subscriptions (and other operations) of a service over a WebSocket.

The protocol of https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md. Operations run by
`Service.subscribe`, which records and masks as requests are; strawberry's own handler would pass
that by. The caller is who the upgrade's headers say: what a client writes in `connection_init` is
believed no more than the body of a request.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, Any

import msgspec
import orjson
import structlog
from starlette.types import Message, Receive, Scope, Send

if TYPE_CHECKING:
    from subgraphs.shared.service import Service

log = structlog.get_logger("subgraphs.graphql_ws")

PROTOCOL = "graphql-transport-ws"
PATH = "/graphql"
INIT_SECONDS_MAX = 10.0
SILENCE_SECONDS_MAX = 30.0
"""A client that has said nothing for so long is asked; as long again without a word, it is gone."""
MESSAGE_BYTES_MAX = 2_000_000
OPERATIONS_MAX = 100
"""Of one connection at a time."""
FAILED = {"message": "internal error, see the service's log", "extensions": {"code": "INTERNAL"}}
REASON_BYTES_MAX = 123
"""RFC 6455 § 5.5: what fits into a close frame beside its code."""


class _Payload(msgspec.Struct):
    query: str
    variables: dict[str, Any] | None = None
    operationName: str | None = None  # noqa: N815 - the name in the protocol


class _Message(msgspec.Struct):
    type: str
    id: str = ""
    payload: msgspec.Raw = msgspec.Raw(b"null")


class _Closed(Exception):
    """The client is gone, or must be: `code` closes the connection, None says that it is closed."""

    def __init__(self, code: int | None = None, reason: str = "") -> None:
        self.code, self.reason = code, reason
        super().__init__(code, reason)


_message = msgspec.json.Decoder(_Message).decode
_payload = msgspec.json.Decoder(_Payload).decode


async def serve_socket(service: Service[Any], scope: Scope, receive: Receive, send: Send) -> None:
    """One connection, until either side closes it; its operations end with it."""
    await receive()  # websocket.connect
    if PROTOCOL not in scope["subprotocols"]:
        await send({"type": "websocket.close", "code": 4406, "reason": f"speak {PROTOCOL}"})
        return
    await send({"type": "websocket.accept", "subprotocol": PROTOCOL})
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    connection = _Connection(service, headers, receive, send)
    try:
        await connection.serve()
    except _Closed as closed:
        if closed.code is not None:
            reason = closed.reason.encode()[:REASON_BYTES_MAX].decode(errors="ignore")
            await send({"type": "websocket.close", "code": closed.code, "reason": reason})
    finally:
        await connection.end()


class _Connection:
    def __init__(
        self, service: Service[Any], headers: dict[str, str], receive: Receive, send: Send
    ) -> None:
        self._service, self._headers = service, headers
        self._receive, self._send = receive, send
        self._operations: dict[str, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._event: asyncio.Task[Message] | None = None

    async def serve(self) -> None:
        try:
            async with asyncio.timeout(INIT_SECONDS_MAX):
                message = await self._next()
                while message.type == "ping":
                    await self._say({"type": "pong"})
                    message = await self._next()
        except TimeoutError:
            raise _Closed(4408, "Connection initialisation timeout") from None
        if message.type != "connection_init":
            raise _Closed(4401, "Unauthorized")
        await self._say({"type": "connection_ack"})
        while True:
            if not await self._speaks():
                with suppress(TimeoutError):  # it may not take what is sent, either
                    async with asyncio.timeout(SILENCE_SECONDS_MAX):
                        await self._say({"type": "ping"})
                if not await self._speaks():
                    raise _Closed(1001, "no sign of life")
            await self._take(await self._next())

    async def end(self) -> None:
        """Cancel what runs, and wait until it has let go of what it holds."""
        tasks: list[asyncio.Task[Any]] = [*self._tasks]
        if self._event is not None:
            tasks.append(self._event)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _speaks(self) -> bool:
        """Whether something comes before the client has been silent for too long."""
        done, _ = await asyncio.wait({self._coming()}, timeout=SILENCE_SECONDS_MAX)
        return bool(done)

    def _coming(self) -> asyncio.Task[Message]:
        """What comes next: a task, since a wait that is given up must not lose what then comes."""
        if self._event is None:
            self._event = asyncio.create_task(self._received())
        return self._event

    async def _received(self) -> Message:
        return await self._receive()

    async def _take(self, message: _Message) -> None:
        match message.type:
            case "subscribe":
                await self._begin(message)
            case "complete":
                if (task := self._operations.pop(message.id, None)) is not None:
                    task.cancel()
            case "ping":
                await self._say({"type": "pong"})
            case "pong":
                pass
            case "connection_init":
                raise _Closed(4429, "Too many initialisation requests")
            case other:
                raise _Closed(4400, f"unknown message type {other[:40]!r}")

    async def _begin(self, message: _Message) -> None:
        try:
            payload = _payload(message.payload)
        except msgspec.DecodeError as error:
            raise _Closed(4400, f"`subscribe` has no GraphQL request: {error}") from None
        if not message.id:
            raise _Closed(4400, "`subscribe` has no id")
        if message.id in self._operations:
            raise _Closed(4409, f"Subscriber for {message.id} already exists")
        if len(self._operations) >= OPERATIONS_MAX:
            text = (
                f"a connection has {OPERATIONS_MAX} operations at a time: end one, or open another"
            )
            refusal = {"message": text, "extensions": {"code": "TOO_MANY_SUBSCRIPTIONS"}}
            await self._say({"type": "error", "id": message.id, "payload": [refusal]})
            return
        task = asyncio.create_task(self._run(message.id, payload))
        self._operations[message.id] = task
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, id_: str, payload: _Payload) -> None:
        answers = self._service.subscribe(
            payload.query, payload.variables, payload.operationName, self._headers
        )
        try:
            async with aclosing(answers):
                async for answer in answers:
                    if "data" not in answer:
                        end = {"type": "error", "id": id_, "payload": answer["errors"]}
                        break
                    await self._say({"type": "next", "id": id_, "payload": answer})
                else:
                    end = {"type": "complete", "id": id_}
        except _Closed:
            return
        except Exception:
            log.exception("subscription failed", service=self._service.name)
            end = {"type": "error", "id": id_, "payload": [FAILED]}
        finally:  # before the last message: then the id may be used again, or is already
            if self._operations.get(id_) is asyncio.current_task():
                del self._operations[id_]
        with suppress(_Closed):  # reading will tell
            await self._say(end)

    async def _next(self) -> _Message:
        event = await asyncio.shield(self._coming())
        self._event = None
        if event["type"] == "websocket.disconnect":
            raise _Closed
        text = event.get("text")
        if text is None:
            raise _Closed(4400, "messages are text")
        if len(text) > MESSAGE_BYTES_MAX:
            raise _Closed(4400, f"a message has at most {MESSAGE_BYTES_MAX} characters")
        try:
            return _message(text)
        except msgspec.DecodeError as error:
            raise _Closed(4400, f"not a message of {PROTOCOL}: {error}") from None

    async def _say(self, message: dict[str, Any]) -> None:
        """Raises _Closed when the client is gone."""
        try:
            await self._send({"type": "websocket.send", "text": orjson.dumps(message).decode()})
        except (OSError, RuntimeError):  # as servers say it
            raise _Closed from None

"""Subscriptions over graphql-transport-ws, one WebSocket for each.

The protocol is PROTOCOL.md of https://github.com/enisdenjo/graphql-ws. A WebSocket of its own lets
each subscription have the headers of whoever asked for it, and ends with it.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator, Mapping
from contextlib import suppress
from typing import Any, Final

import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import (
    ConnectionClosed,
    InvalidStatus,
    WebSocketException,
)
from websockets.typing import Subprotocol

from router.transport.address import Address
from router.transport.errors import (
    SubgraphConnectionError,
    SubgraphError,
    SubgraphHttpError,
    SubgraphMalformedResponse,
    SubgraphResponseTooLarge,
    SubgraphTimeout,
    SubscriptionInterrupted,
    SubscriptionRefused,
)
from router.transport.pool import reason_of
from router.transport.response import response_from_value
from router.transport.subgraph import SubgraphRequest, SubgraphResponse

SUBPROTOCOL: Final = Subprotocol("graphql-transport-ws")
MESSAGES_WAITING_MAX: Final = 4
"""Messages read ahead; beyond, the subgraph is held up by TCP."""
PING_SECONDS: Final = 15.0
PONG_SECONDS_MAX: Final = 60.0
"""A subgraph that is gone without a word is noticed by its silence. Longer than one event takes to
be completed, as nothing is read meanwhile, pongs neither."""
HEARTBEAT_SECONDS: Final = 15.0
CLOSE_SECONDS_MAX: Final = 2.0
BAD_RESPONSE: Final = 4004
TOO_BIG: Final = 1009


class _Connect(connect):
    """Redirects are not followed: headers would go where they are not meant to."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


class WebSocketStream:
    """Opens streams at one address."""

    def __init__(
        self,
        service: str,
        address: Address,
        *,
        connect_timeout_seconds: float,
        message_bytes_max: int,
        tls: ssl.SSLContext | None,
    ) -> None:
        self.service = service
        self._address = address
        self._connect_timeout_seconds = connect_timeout_seconds
        self._bytes_max = message_bytes_max
        self._tls = tls

    async def subscribe(self, request: SubgraphRequest) -> AsyncGenerator[SubgraphResponse, None]:
        """Raises SubscriptionRefused, SubscriptionInterrupted and other SubgraphErrors."""
        connection = await self._connect(request)
        code = 1000
        beating = asyncio.create_task(_show_life(connection))
        try:
            try:
                await self._begin(connection, request)
                while True:
                    message = await self._receive(connection)
                    match message.get("type"):
                        case "next":
                            yield response_from_value(self.service, message.get("payload"))
                        case "error":
                            raise SubscriptionRefused(self.service, _errors(message))
                        case "complete":
                            return
                        case kind:
                            raise self._unexpected(kind)
            except ConnectionClosed as closed:
                raise self._broken(closed) from closed
            except SubgraphMalformedResponse:
                code = BAD_RESPONSE
                raise
        finally:
            beating.cancel()
            await self._end(connection, code)

    async def _connect(self, request: SubgraphRequest) -> ClientConnection:
        address, loop = self._address, asyncio.get_running_loop()
        started = loop.time()
        until = min(request.deadline, started + self._connect_timeout_seconds)
        where: dict[str, Any] = {"ssl": self._tls} if self._tls is not None else {}
        if address.socket_path is not None:
            where |= {"unix": True, "path": address.socket_path}
        try:
            async with asyncio.timeout_at(until):
                return await _Connect(
                    f"{'wss' if address.secure else 'ws'}://{address.authority}{address.target}",
                    subprotocols=[SUBPROTOCOL],
                    additional_headers=request.headers,
                    user_agent_header=None,
                    compression=None,
                    proxy=None,
                    open_timeout=None,
                    ping_interval=PING_SECONDS,
                    ping_timeout=PONG_SECONDS_MAX,
                    close_timeout=CLOSE_SECONDS_MAX,
                    max_size=self._bytes_max,
                    max_queue=MESSAGES_WAITING_MAX,
                    **where,
                )
        except TimeoutError:
            raise SubgraphConnectionError(
                self.service, f"no WebSocket within {until - started:.3g} s"
            ) from None
        except InvalidStatus as error:
            raise SubgraphHttpError(self.service, error.response.status_code) from error
        except WebSocketException as error:
            reason = f"its answer is no WebSocket's ({error})"
            raise SubgraphConnectionError(self.service, reason) from error
        except OSError as error:
            raise SubgraphConnectionError(self.service, reason_of(error)) from error

    async def _begin(self, connection: ClientConnection, request: SubgraphRequest) -> None:
        """The headers go into `connection_init` too, for servers that do not see the upgrade."""
        if connection.subprotocol != SUBPROTOCOL:
            raise SubgraphMalformedResponse(
                self.service, f"its WebSocket does not speak {SUBPROTOCOL}"
            )
        started = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout_at(request.deadline):
                await _send(connection, {"type": "connection_init", "payload": request.headers})
                message = await self._receive(connection)
        except TimeoutError:
            raise SubgraphTimeout(self.service, request.deadline - started) from None
        if message.get("type") != "connection_ack":
            raise self._unexpected(message.get("type"))
        body = orjson.Fragment(request.body())
        await _send(connection, {"id": "1", "type": "subscribe", "payload": body})

    async def _receive(self, connection: ClientConnection) -> Mapping[str, Any]:
        """The next message that is not only a sign of life. Raises ConnectionClosed."""
        while True:
            text = await connection.recv(decode=False)
            try:
                message = orjson.loads(text)
            except orjson.JSONDecodeError:
                raise SubgraphMalformedResponse(self.service, "a message is not JSON") from None
            match message:
                case {"type": "ping"}:
                    await _send(connection, {"type": "pong"})
                case {"type": "pong"}:
                    pass
                case dict():
                    return message
                case _:
                    raise SubgraphMalformedResponse(self.service, "a message is no object")

    async def _end(self, connection: ClientConnection, code: int) -> None:
        """Say so and hang up; the subgraph may have done that already."""
        with suppress(ConnectionClosed, TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS_MAX):
                await _send(connection, {"id": "1", "type": "complete"})
        await connection.close(code)

    def _unexpected(self, kind: Any) -> SubgraphMalformedResponse:
        return SubgraphMalformedResponse(
            self.service, f"a message of type {str(kind)[:40]!r} was not expected"
        )

    def _broken(self, closed: ConnectionClosed) -> SubgraphError:
        if closed.sent is not None and closed.sent.code == TOO_BIG:
            return SubgraphResponseTooLarge(self.service, self._bytes_max)
        if closed.rcvd is None:
            return SubscriptionInterrupted(self.service, "the connection was lost")
        reason = f": {closed.rcvd.reason}" if closed.rcvd.reason else ""
        return SubscriptionInterrupted(
            self.service, f"it closed the WebSocket with {closed.rcvd.code}{reason}"
        )


async def _show_life(connection: ClientConnection) -> None:
    """Pongs that nobody asked for, which the protocol allows: a ping of the subgraph may lie behind
    events that a slow client has not made room for.
    """
    with suppress(ConnectionClosed):
        while True:
            await asyncio.sleep(HEARTBEAT_SECONDS)
            await _send(connection, {"type": "pong"})


async def _send(connection: ClientConnection, message: Mapping[str, Any]) -> None:
    await connection.send(orjson.dumps(message).decode())


def _errors(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Those of an `error` message: some servers send one that is no list."""
    payload = message.get("payload")
    found = payload if isinstance(payload, list) and payload else [payload]
    return [error if isinstance(error, dict) else {"message": error} for error in found]

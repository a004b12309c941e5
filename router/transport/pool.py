"""Keep-alive connections to one address: the last one used is used first."""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from typing import Final

from router.transport.address import Address
from router.transport.connection import HttpConnection, HttpReply
from router.transport.errors import (
    SubgraphConnectionClosed,
    SubgraphConnectionError,
    SubgraphOverloaded,
    SubgraphTimeout,
)

FRESH_SECONDS: Final = 1.0
"""A request that must not be sent twice only takes a connection idle for less than this."""


class HttpPool:
    """At most `connections_max` connections, at most `waiting_max` requests waiting for one.

    It belongs to the event loop that first uses it.
    """

    def __init__(
        self,
        service: str,
        address: Address,
        *,
        connections_max: int,
        waiting_max: int,
        connect_timeout_seconds: float,
        keepalive_seconds: float,
        response_bytes_max: int,
        tls: ssl.SSLContext | None,
    ) -> None:
        self.service = service
        self.address = address
        self.connections_max = connections_max
        self.waiting_max = waiting_max
        self.connect_timeout_seconds = connect_timeout_seconds
        self.keepalive_seconds = keepalive_seconds
        self.response_bytes_max = response_bytes_max
        self._tls = tls
        self._idle: list[HttpConnection] = []
        self._taken: set[HttpConnection] = set()
        self._connecting = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._closed = False

    @property
    def connections(self) -> int:
        """Open connections, and those being opened."""
        return len(self._idle) + len(self._taken) + self._connecting

    async def exchange(self, request: bytes, deadline: float, *, replayable: bool) -> HttpReply:
        """Send `request` and return the reply.

        A replayable request that meets a connection closed under it before any byte of an answer
        goes out again on a new one, once. Raises SubgraphError.
        """
        loop = asyncio.get_running_loop()
        connection, reused = await self._acquire(
            loop, deadline, idle_max=self.keepalive_seconds if replayable else FRESH_SECONDS
        )
        try:
            return await connection.exchange(request, deadline)
        except SubgraphConnectionClosed as error:
            if not (reused and replayable) or error.answered:
                raise
        finally:
            self._release(loop, connection)
        self._drop_idle()  # its neighbours were most likely closed with it
        connection, _ = await self._acquire(loop, deadline, idle_max=0.0)
        try:
            return await connection.exchange(request, deadline)
        finally:
            self._release(loop, connection)

    async def _acquire(
        self, loop: asyncio.AbstractEventLoop, deadline: float, *, idle_max: float
    ) -> tuple[HttpConnection, bool]:
        while True:
            if self._closed:
                raise SubgraphConnectionError(self.service, "the router is shutting down")
            oldest = loop.time() - idle_max
            while self._idle:
                connection = self._idle.pop()
                if connection.open and connection.idle_since > oldest:
                    self._taken.add(connection)
                    return connection, True
                connection.abort()
            if self.connections < self.connections_max:
                return await self._connect(loop, deadline), False
            await self._wait(loop, deadline)

    async def _wait(self, loop: asyncio.AbstractEventLoop, deadline: float) -> None:
        """Until a connection is given back; first come, first served."""
        if len(self._waiting) >= self.waiting_max:
            raise SubgraphOverloaded(self.service, self.waiting_max)
        turn: asyncio.Future[None] = loop.create_future()
        self._waiting.append(turn)
        started = loop.time()
        try:
            async with asyncio.timeout_at(deadline):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                self._wake()  # our turn came, but we cannot take it
            elif turn in self._waiting:
                self._waiting.remove(turn)
            if isinstance(error, TimeoutError):
                raise SubgraphTimeout(self.service, deadline - started) from None
            raise

    async def _connect(self, loop: asyncio.AbstractEventLoop, deadline: float) -> HttpConnection:
        self._connecting += 1
        started = loop.time()
        until = min(deadline, started + self.connect_timeout_seconds)
        connection = None
        try:
            async with asyncio.timeout_at(until):
                connection = await self._open(loop)
        except TimeoutError:
            raise SubgraphConnectionError(
                self.service, f"no connection within {until - started:.3g} s"
            ) from None
        except OSError as error:
            raise SubgraphConnectionError(self.service, reason_of(error)) from error
        finally:
            self._connecting -= 1
            if connection is None:
                self._wake()  # the place it was to take is free
            else:
                self._taken.add(connection)
        return connection

    async def _open(self, loop: asyncio.AbstractEventLoop) -> HttpConnection:
        address = self.address

        def protocol() -> HttpConnection:
            return HttpConnection(self.service, loop, bytes_max=self.response_bytes_max)

        if address.socket_path is not None:
            _, connection = await loop.create_unix_connection(protocol, address.socket_path)
        else:
            _, connection = await loop.create_connection(
                protocol,
                address.host,
                address.port,
                ssl=self._tls,
                server_hostname=address.host if self._tls is not None else None,
            )
        return connection

    def _release(self, loop: asyncio.AbstractEventLoop, connection: HttpConnection) -> None:
        self._taken.discard(connection)
        if connection.open and not self._closed:
            connection.idle_since = loop.time()
            self._idle.append(connection)
        else:
            connection.abort()
        self._wake()

    def _wake(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return

    def _drop_idle(self) -> None:
        for connection in self._idle:
            connection.abort()
        self._idle.clear()

    async def close(self) -> None:
        """Close all connections; requests under way fail."""
        self._closed = True
        self._drop_idle()
        for connection in tuple(self._taken):
            connection.abort()
        while self._waiting:
            self._wake()


def reason_of(error: OSError) -> str:
    """Words for a failed connection, without the address (it may be internal)."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({error.verify_message})"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed ({error.reason or 'no reason given'})"
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    if isinstance(error, FileNotFoundError):
        return "its socket does not exist"
    return error.strerror or type(error).__name__

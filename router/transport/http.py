"""A subgraph over HTTP/1.1; its subscriptions come over a WebSocket."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from router.config import SubgraphSettings
from router.planner.plan import OperationKind
from router.transport.address import parse_address, ssl_context, target_of
from router.transport.pool import HttpPool
from router.transport.response import response_from_http
from router.transport.subgraph import SubgraphRequest, SubgraphResponse

if TYPE_CHECKING:
    from router.transport.websocket import WebSocketStream


class HttpSubgraph:
    """POSTs operations to `url` over a pool of kept connections. Redirects are not followed.

    Raises SubgraphUrlError when made with an address that cannot be called.
    """

    def __init__(self, name: str, url: str, settings: SubgraphSettings | None = None) -> None:
        settings = settings if settings is not None else SubgraphSettings()
        address = parse_address(name, url)
        tls = ssl_context(name, settings.tls) if address.secure else None
        self.name = name
        self.url = url
        self._head = (
            f"POST {address.target} HTTP/1.1\r\nhost: {address.authority}\r\n"
            "content-type: application/json\r\n"
            "accept: application/graphql-response+json, application/json;q=0.9\r\n"
        )
        self._pool = HttpPool(
            name,
            address,
            connections_max=settings.connections_max,
            waiting_max=settings.waiting_max,
            connect_timeout_seconds=settings.connect_timeout_seconds,
            keepalive_seconds=settings.keepalive_seconds,
            response_bytes_max=settings.response_bytes_max,
            tls=tls,
        )
        self._settings, self._address, self._tls = settings, address, tls
        self._stream: WebSocketStream | None = None

    async def __call__(self, request: SubgraphRequest) -> SubgraphResponse:
        """Raises SubgraphError."""
        body = request.body()
        head = f"{self._head}{header_lines(request.headers)}content-length: {len(body)}\r\n\r\n"
        reply = await self._pool.exchange(
            head.encode("latin-1", "replace") + body,
            request.deadline,
            replayable=request.operation.kind is OperationKind.QUERY,
        )
        return response_from_http(self.name, reply.status, reply.headers, reply.body)

    def subscribe(self, request: SubgraphRequest) -> AsyncGenerator[SubgraphResponse, None]:
        """Raises SubgraphError."""
        if self._stream is None:
            self._stream = self._open_stream()
        return self._stream.subscribe(
            SubgraphRequest(
                request.operation,
                request.variables,
                {name: _one_line(value) for name, value in request.headers.items()},
                request.deadline,
            )
        )

    def _open_stream(self) -> WebSocketStream:
        from router.transport.websocket import WebSocketStream  # costs other starts 90 ms

        address, target = self._address, self._settings.subscriptions.path
        if target is not None:
            path, _, query = target.partition("?")
            address = replace(address, target=target_of(path, query))
        return WebSocketStream(
            self.name,
            address,
            connect_timeout_seconds=self._settings.connect_timeout_seconds,
            message_bytes_max=self._settings.response_bytes_max,
            tls=self._tls,
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._pool.close()


def header_lines(headers: Mapping[str, str]) -> str:
    """Header lines, each ended; a value that would break out of its line loses its line breaks."""
    if not headers:
        return ""
    lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    if lines.count("\n") == len(headers) == lines.count("\r") and "\0" not in lines:
        return lines
    return "".join(
        [f"{_one_line(name)}: {_one_line(value)}\r\n" for name, value in headers.items()]
    )


def _one_line(text: str) -> str:
    return text.replace("\r", " ").replace("\n", " ").replace("\0", " ")

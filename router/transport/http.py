"""A subgraph over HTTP/1.1."""

from __future__ import annotations

from collections.abc import Mapping

from router.config import SubgraphSettings
from router.planner.plan import OperationKind
from router.transport.address import parse_address, ssl_context
from router.transport.pool import HttpPool
from router.transport.response import response_from_http
from router.transport.subgraph import SubgraphRequest, SubgraphResponse


class HttpSubgraph:
    """POSTs operations to `url` over a pool of kept connections. Redirects are not followed.

    Raises SubgraphUrlError when made with an address that cannot be called.
    """

    def __init__(self, name: str, url: str, settings: SubgraphSettings | None = None) -> None:
        settings = settings if settings is not None else SubgraphSettings()
        address = parse_address(name, url)
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
            tls=ssl_context(name, settings.tls) if address.secure else None,
        )

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

"""The subgraphs of a router, each behind sharing, retries and a circuit breaker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Any, TypeAlias

from router.config import RouterConfig, SubgraphSettings
from router.executor.sharing import SharedSubgraph
from router.planner.plan import OperationKind
from router.transport.errors import SubgraphConnectionError, SubgraphError, SubgraphTimeout
from router.transport.resilient import ResilientSubgraph
from router.transport.subgraph import (
    Subgraph,
    SubgraphOperation,
    SubgraphRequest,
    SubgraphResponse,
)

Observe: TypeAlias = Callable[[str, str, float], None]
"""Told the service, the outcome (`ok`, `errors`, or an error code) and the seconds of each call."""


def _ignore(service: str, outcome: str, seconds: float) -> None:
    return None


class _Line:
    """The way to one subgraph."""

    __slots__ = ("direct", "headers", "shared", "timeout_seconds")

    def __init__(
        self,
        name: str,
        transport: Subgraph,
        settings: SubgraphSettings,
        not_shared: frozenset[str],
    ) -> None:
        self.direct: Subgraph = ResilientSubgraph(
            name, transport, retry=settings.retry, breaker=settings.breaker
        )
        self.shared: Subgraph = (
            SharedSubgraph(name, self.direct, not_shared=not_shared)
            if settings.share_identical
            else self.direct
        )
        self.headers = {key.lower(): value for key, value in settings.headers.items()}
        self.timeout_seconds = settings.timeout_seconds


class Subgraphs:
    """Calls subgraphs by name, as `SubgraphCaller` says. `transports` are closed with it."""

    def __init__(
        self,
        transports: Mapping[str, Subgraph],
        config: RouterConfig,
        *,
        observe: Observe = _ignore,
    ) -> None:
        not_shared = frozenset(name.lower() for name in config.headers.not_shared)
        self._lines = {
            name: _Line(name, transport, config.subgraph(name), not_shared)
            for name, transport in transports.items()
        }
        self._kept_headers = frozenset(name.lower() for name in config.headers.response)
        self._observe = observe

    async def __call__(
        self,
        service: str,
        operation: SubgraphOperation,
        variables: dict[str, Any] | None,
        headers: Mapping[str, str],
        deadline: float,
    ) -> SubgraphResponse:
        """Raises SubgraphError. The answer has only those headers that go to the client."""
        line = self._lines.get(service)
        if line is None:
            raise SubgraphConnectionError(service, "the router knows no way to it")
        started = asyncio.get_running_loop().time()
        until = min(deadline, started + line.timeout_seconds)
        outcome = "cancelled"
        try:
            if until <= started:
                raise SubgraphTimeout(service, 0.0)
            if line.headers:
                headers = {**headers, **line.headers}
            request = SubgraphRequest(operation, variables, headers, until)
            way = line.shared if operation.kind is OperationKind.QUERY else line.direct
            response = await way(request)
            outcome = "errors" if response.errors else "ok"
        except SubgraphError as error:
            outcome = error.code
            raise
        finally:
            self._observe(service, outcome, asyncio.get_running_loop().time() - started)
        if response.headers:
            kept = self._kept_headers
            response.headers = tuple([item for item in response.headers if item[0] in kept])
        return response

    def subscribe(
        self,
        service: str,
        operation: SubgraphOperation,
        variables: dict[str, Any] | None,
        headers: Mapping[str, str],
        deadline: float,
    ) -> AsyncGenerator[SubgraphResponse, None]:
        """A stream of answers, to be opened before `deadline`. Raises SubgraphError."""
        line = self._lines.get(service)
        if line is None:
            raise SubgraphConnectionError(service, "the router knows no way to it")
        until = min(deadline, asyncio.get_running_loop().time() + line.timeout_seconds)
        if line.headers:
            headers = {**headers, **line.headers}
        return line.direct.subscribe(SubgraphRequest(operation, variables, headers, until))

    async def close(self) -> None:
        """Close all transports."""
        for line in self._lines.values():
            await line.direct.close()

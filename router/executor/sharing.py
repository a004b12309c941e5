"""Identical queries in flight are sent once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import TypeAlias

from router.transport.errors import SubgraphError, SubgraphTimeout
from router.transport.in_process import copy_json
from router.transport.subgraph import Subgraph, SubgraphRequest, SubgraphResponse

SharingKey: TypeAlias = tuple[bytes, tuple[tuple[str, str], ...]]
"""Body, and the headers that may change the answer."""


class _Flight:
    """A request under way and those who wait for the same answer."""

    __slots__ = ("waiting",)

    def __init__(self) -> None:
        self.waiting: list[asyncio.Future[SubgraphResponse | None]] = []


class SharedSubgraph:
    """Lets identical requests wait for the one that is under way already.

    Only for queries: the caller sees to that. `not_shared` are headers that do not make a request
    another one. Each receiver gets data of its own, as it will merge into it. When the one who sent
    is cancelled, the next one sends; one who waits keeps to its own deadline.
    """

    def __init__(self, name: str, inner: Subgraph, *, not_shared: frozenset[str]) -> None:
        self.name = name
        self.inner = inner
        self._not_shared = not_shared
        self._flights: dict[SharingKey, _Flight] = {}
        self.shared = 0

    async def __call__(self, request: SubgraphRequest) -> SubgraphResponse:
        """Raises what the one request raised."""
        key = (
            request.body(),
            tuple(item for item in request.headers.items() if item[0] not in self._not_shared),
        )
        while (flight := self._flights.get(key)) is not None:
            response = await self._wait(flight, request)
            if response is not None:
                self.shared += 1
                return response
        flight = self._flights[key] = _Flight()
        try:
            response = await self.inner(request)
        except SubgraphError as error:
            self._land(key, flight, error)
            raise
        except BaseException:
            self._land(key, flight, None)
            raise
        self._land(key, flight, response)
        return response

    def subscribe(self, request: SubgraphRequest) -> AsyncGenerator[SubgraphResponse, None]:
        """As `inner`: subscriptions are shared whole, where clients ask for them."""
        return self.inner.subscribe(request)

    async def _wait(self, flight: _Flight, request: SubgraphRequest) -> SubgraphResponse | None:
        """The answer, or None when the sender gave up."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        answer: asyncio.Future[SubgraphResponse | None] = loop.create_future()
        flight.waiting.append(answer)
        try:
            async with asyncio.timeout_at(request.deadline):
                return await answer
        except TimeoutError:
            raise SubgraphTimeout(self.name, request.deadline - started) from None

    def _land(
        self, key: SharingKey, flight: _Flight, outcome: SubgraphResponse | SubgraphError | None
    ) -> None:
        """Before anybody runs who might change the data, give everyone a copy of their own."""
        if self._flights.get(key) is flight:
            del self._flights[key]
        for answer in flight.waiting:
            if answer.done():
                continue
            if isinstance(outcome, SubgraphError):
                answer.set_exception(outcome)
            else:
                answer.set_result(_own(outcome) if outcome is not None else None)

    async def close(self) -> None:
        """Close what is inside."""
        await self.inner.close()


def _own(response: SubgraphResponse) -> SubgraphResponse | None:
    """The same answer with data of its own; None for data nested too deeply to be copied."""
    try:
        data = copy_json(response.data)
    except RecursionError:
        return None
    return SubgraphResponse(
        data,
        response.errors,
        response.extensions,
        response.headers,
        response.status,
    )

"""Retries with backoff, within a budget, and a circuit breaker, around any subgraph."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Callable

from router.config import Breaker, Retry
from router.planner.plan import OperationKind
from router.transport.breaker import CircuitBreaker
from router.transport.errors import SubgraphCircuitOpen, SubgraphError, SubgraphHttpError
from router.transport.subgraph import (
    Subgraph,
    SubgraphRequest,
    SubgraphResponse,
)


class RetryBudget:
    """Each request earns `ratio` of a retry, up to `burst`; a retry costs one."""

    def __init__(self, ratio: float, burst: float) -> None:
        self.ratio, self.burst = ratio, burst
        self._tokens = burst

    def earn(self) -> None:
        """Note a request."""
        if self._tokens < self.burst:
            self._tokens = min(self.burst, self._tokens + self.ratio)

    def spend(self) -> bool:
        """Take a retry, if one is left."""
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True


class ResilientSubgraph:
    """Asks `inner` again when a query failed in a way that may pass; mutations go once.

    `sleep` and `jitter` (0 to 1) are given by tests.
    """

    def __init__(
        self,
        name: str,
        inner: Subgraph,
        *,
        retry: Retry | None,
        breaker: Breaker | None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.name = name
        self.inner = inner
        self.retry = retry
        self.breaker = CircuitBreaker(breaker) if breaker is not None else None
        self._budget = RetryBudget(retry.budget_ratio, retry.budget_burst) if retry else None
        self._sleep = sleep
        self._jitter = jitter

    async def __call__(self, request: SubgraphRequest) -> SubgraphResponse:
        """Raises the SubgraphError of the last attempt, or SubgraphCircuitOpen."""
        if self._budget is not None:
            self._budget.earn()
        attempt = 1
        while True:
            try:
                return await self._once(request)
            except SubgraphError as error:
                pause = self._pause(request, error, attempt)
                if pause is None:
                    raise
            await self._sleep(pause)
            attempt += 1

    def subscribe(self, request: SubgraphRequest) -> AsyncGenerator[SubgraphResponse, None]:
        """As `inner`: a stream is opened once, and says nothing of the subgraph's health in time
        for the breaker, as its first event may be hours away.
        """
        return self.inner.subscribe(request)

    async def _once(self, request: SubgraphRequest) -> SubgraphResponse:
        breaker = self.breaker
        if breaker is None:
            return await self.inner(request)
        now = asyncio.get_running_loop().time
        if not breaker.allow(now()):
            raise SubgraphCircuitOpen(self.name)
        try:
            response = await self.inner(request)
        except SubgraphError as error:
            if error.counts:
                breaker.record(now(), failed=_at_fault(error))
            else:
                breaker.abandon()
            raise
        except BaseException:
            breaker.abandon()
            raise
        breaker.record(now(), failed=False)
        return response

    def _pause(self, request: SubgraphRequest, error: SubgraphError, attempt: int) -> float | None:
        """Seconds to wait before the next attempt; None when there is none."""
        retry, budget = self.retry, self._budget
        if retry is None or budget is None or attempt >= retry.attempts_max:
            return None
        if request.operation.kind is not OperationKind.QUERY or not _may_pass(error):
            return None
        pause = min(retry.backoff_seconds_max, retry.backoff_seconds * 2 ** (attempt - 1))
        pause *= 0.5 + self._jitter() / 2
        if asyncio.get_running_loop().time() + pause >= request.deadline:
            return None
        return pause if budget.spend() else None

    async def close(self) -> None:
        """Close what is inside."""
        await self.inner.close()


def _may_pass(error: SubgraphError) -> bool:
    return error.may_retry if isinstance(error, SubgraphHttpError) else error.retryable


def _at_fault(error: SubgraphError) -> bool:
    """Client errors (4xx) are no reason to leave a subgraph alone."""
    return not isinstance(error, SubgraphHttpError) or error.status >= 500

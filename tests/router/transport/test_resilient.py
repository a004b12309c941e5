"""Retries, their budget, and the circuit breaker."""

from __future__ import annotations

import asyncio

import pytest

from router.config import Breaker, Retry
from router.planner.plan import OperationKind
from router.transport import (
    ResilientSubgraph,
    SubgraphOperation,
    SubgraphRequest,
    SubgraphResponse,
)
from router.transport.breaker import CircuitBreaker, CircuitState
from router.transport.errors import (
    SubgraphCircuitOpen,
    SubgraphConnectionError,
    SubgraphError,
    SubgraphHttpError,
    SubgraphTimeout,
)
from router.transport.response import RETRYABLE_STATUSES

QUERY = SubgraphOperation("{a}", None, OperationKind.QUERY)
MUTATION = SubgraphOperation("mutation{a}", None, OperationKind.MUTATION)
UNREACHABLE = SubgraphConnectionError("s", "refused")


class Failing:
    """Fails as told, then answers."""

    def __init__(self, *failures: SubgraphError) -> None:
        self.failures = list(failures)
        self.calls = 0

    async def __call__(self, request: SubgraphRequest) -> SubgraphResponse:
        self.calls += 1
        if self.failures:
            raise self.failures.pop(0)
        return SubgraphResponse({"a": 1}, [])

    async def close(self) -> None: ...


class Pauses:
    """Stands for sleeping; keeps how long."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


async def ask(subgraph: ResilientSubgraph, operation: SubgraphOperation = QUERY) -> object:
    deadline = asyncio.get_running_loop().time() + 60
    return (await subgraph(SubgraphRequest(operation, None, {}, deadline))).data


def resilient(inner: Failing, pauses: Pauses, retry: Retry | None = None) -> ResilientSubgraph:
    return ResilientSubgraph(
        "s", inner, retry=retry or Retry(), breaker=None, sleep=pauses, jitter=lambda: 1.0
    )


async def test_a_query_is_tried_again_with_growing_pauses() -> None:
    inner, pauses = Failing(UNREACHABLE, UNREACHABLE), Pauses()
    assert await ask(resilient(inner, pauses)) == {"a": 1}
    assert pauses.seconds == [0.05, 0.1]


async def test_attempts_are_bounded() -> None:
    inner, pauses = Failing(*[UNREACHABLE] * 9), Pauses()
    with pytest.raises(SubgraphConnectionError):
        await ask(resilient(inner, pauses))
    assert inner.calls == 3


async def test_a_mutation_is_sent_once() -> None:
    inner, pauses = Failing(UNREACHABLE), Pauses()
    with pytest.raises(SubgraphConnectionError):
        await ask(resilient(inner, pauses), MUTATION)
    assert inner.calls == 1


@pytest.mark.parametrize("status", [400, 404, 500, 503])
async def test_only_statuses_that_may_pass_are_tried_again(status: int) -> None:
    inner = Failing(SubgraphHttpError("s", status, retryable=status in RETRYABLE_STATUSES))
    with_retry = resilient(inner, Pauses())
    if status == 503:
        assert await ask(with_retry) == {"a": 1}
    else:
        with pytest.raises(SubgraphHttpError):
            await ask(with_retry)


async def test_a_timeout_is_not_tried_again() -> None:
    inner = Failing(SubgraphTimeout("s", 1.0))
    with pytest.raises(SubgraphTimeout):
        await ask(resilient(inner, Pauses()))
    assert inner.calls == 1


async def test_no_pause_beyond_the_deadline() -> None:
    inner, pauses = Failing(UNREACHABLE), Pauses()
    subgraph = resilient(inner, pauses, Retry(backoff_seconds=1.0))
    deadline = asyncio.get_running_loop().time() + 0.5
    with pytest.raises(SubgraphConnectionError):
        await subgraph(SubgraphRequest(QUERY, None, {}, deadline))
    assert pauses.seconds == []


async def test_retries_are_a_share_of_requests() -> None:
    """Ten failing queries after the burst is used up cause two retries, not twenty."""
    inner, pauses = Failing(*[UNREACHABLE] * 100), Pauses()
    subgraph = resilient(inner, pauses, Retry(budget_burst=1.0, budget_ratio=0.2))
    for _ in range(10):
        with pytest.raises(SubgraphConnectionError):
            await ask(subgraph)
    assert inner.calls - 10 == 2


def test_the_breaker_opens_probes_and_closes() -> None:
    breaker = CircuitBreaker(Breaker(requests_min=4, open_seconds=2.0))
    for failed in (False, True, False):
        assert breaker.allow(10.0)
        breaker.record(10.0, failed=failed)
    assert breaker.state is CircuitState.CLOSED
    breaker.record(10.5, failed=True)
    assert breaker.state is CircuitState.OPEN
    assert not breaker.allow(12.0)
    assert breaker.allow(12.6)
    assert not breaker.allow(12.6), "one probe at a time"
    breaker.record(12.7, failed=True)
    assert not breaker.allow(12.8)
    assert breaker.allow(14.8)
    breaker.record(14.9, failed=False)
    assert breaker.state is CircuitState.CLOSED
    assert breaker.allow(14.9)


def test_a_probe_that_was_cancelled_lets_another_through() -> None:
    breaker = CircuitBreaker(Breaker(requests_min=1, open_seconds=1.0))
    breaker.record(0.0, failed=True)
    assert breaker.allow(2.0)
    breaker.abandon()
    assert breaker.allow(2.0)


def test_old_failures_are_forgotten() -> None:
    breaker = CircuitBreaker(Breaker(requests_min=2, window_seconds=5.0))
    breaker.record(0.0, failed=True)
    breaker.record(20.0, failed=True)
    assert breaker.state is CircuitState.CLOSED


async def test_an_open_circuit_asks_nobody() -> None:
    inner = Failing(*[UNREACHABLE] * 3)
    subgraph = ResilientSubgraph(
        "s", inner, retry=None, breaker=Breaker(requests_min=3, open_seconds=60.0)
    )
    for _ in range(3):
        with pytest.raises(SubgraphConnectionError):
            await ask(subgraph)
    with pytest.raises(SubgraphCircuitOpen):
        await ask(subgraph)
    assert inner.calls == 3


async def test_refusals_of_the_client_do_not_open_the_circuit() -> None:
    inner = Failing(*[SubgraphHttpError("s", 400)] * 5)
    subgraph = ResilientSubgraph("s", inner, retry=None, breaker=Breaker(requests_min=3))
    for _ in range(5):
        with pytest.raises(SubgraphHttpError):
            await ask(subgraph)
    assert await ask(subgraph) == {"a": 1}

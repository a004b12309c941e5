"""Subgraphs in this process."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from router.planner.plan import OperationKind
from router.transport import InProcessSubgraph, SubgraphOperation, SubgraphRequest
from router.transport.errors import (
    SubgraphCallFailed,
    SubgraphMalformedResponse,
    SubgraphTimeout,
)

QUERY = SubgraphOperation("{a}", "Q", OperationKind.QUERY)


async def ask(call: Any, variables: dict[str, Any] | None = None, *, seconds: float = 5.0) -> Any:
    deadline = asyncio.get_running_loop().time() + seconds
    request = SubgraphRequest(QUERY, variables, {"x": "1"}, deadline)
    return await InProcessSubgraph("s", call)(request)


async def test_the_callee_may_change_its_variables() -> None:
    variables = {"r": [{"__typename": "A", "k": {"id": "1"}}]}

    async def call(
        query: str, given: dict[str, Any], name: str | None, headers: Mapping[str, str]
    ) -> dict[str, Any]:
        assert (query, name, headers) == ("{a}", "Q", {"x": "1"})
        assert given == variables
        given["r"][0].pop("__typename")
        given["r"][0]["k"].clear()
        return {"data": {"a": 1}}

    assert (await ask(call, variables)).data == {"a": 1}
    assert variables == {"r": [{"__typename": "A", "k": {"id": "1"}}]}


async def test_what_it_raises_is_not_shown() -> None:
    async def call(*_: Any) -> dict[str, Any]:
        raise ValueError("password=hunter2")

    with pytest.raises(SubgraphCallFailed) as raised:
        await ask(call)
    assert "hunter2" not in str(raised.value)


async def test_its_own_timeout_is_no_deadline_of_ours() -> None:
    async def call(*_: Any) -> dict[str, Any]:
        raise TimeoutError

    with pytest.raises(SubgraphCallFailed):
        await ask(call)


async def test_one_that_never_returns() -> None:
    async def call(*_: Any) -> dict[str, Any]:
        await asyncio.Event().wait()
        return {}

    with pytest.raises(SubgraphTimeout):
        await ask(call, seconds=0.01)


@pytest.mark.parametrize("value", [None, [], {"data": []}, {}])
async def test_malformed_answers(value: Any) -> None:
    async def call(*_: Any) -> Any:
        return value

    with pytest.raises(SubgraphMalformedResponse):
        await ask(call)

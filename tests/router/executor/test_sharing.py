"""Identical queries in flight."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from router.config import Headers, RouterConfig, SubgraphSettings
from router.executor import Subgraphs
from router.planner.plan import OperationKind
from router.transport import InProcessSubgraph, SubgraphOperation, SubgraphResponse
from router.transport.errors import SubgraphCallFailed, SubgraphTimeout

QUERY = SubgraphOperation("query($x:Int){a(x:$x)}", None, OperationKind.QUERY)
MUTATION = SubgraphOperation("mutation{a}", None, OperationKind.MUTATION)


class Held:
    """A subgraph that answers when it is let go."""

    def __init__(self, *, fails: bool = False) -> None:
        self.calls = 0
        self.called = asyncio.Event()
        self.go = asyncio.Event()
        self.fails = fails
        self.data: dict[str, Any] | None = None

    async def __call__(
        self, query: str, variables: dict[str, Any], name: str | None, headers: Mapping[str, str]
    ) -> dict[str, Any]:
        self.calls += 1
        self.called.set()
        await self.go.wait()
        if self.fails:
            raise ValueError
        return {"data": self.data or {"a": {"list": [1]}}}


def ask(
    subgraphs: Subgraphs,
    operation: SubgraphOperation = QUERY,
    *,
    x: int = 1,
    seconds: float = 5.0,
    **headers: str,
) -> asyncio.Task[SubgraphResponse]:
    deadline = asyncio.get_running_loop().time() + seconds
    return asyncio.create_task(subgraphs("s", operation, {"x": x}, headers, deadline))


def line(held: Held, config: RouterConfig | None = None) -> Subgraphs:
    return Subgraphs({"s": InProcessSubgraph("s", held)}, config or RouterConfig())


async def until_idle() -> None:
    """Let every task that can run do so."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_one_request_and_data_of_ones_own() -> None:
    held = Held()
    subgraphs = line(held)
    tasks = [ask(subgraphs) for _ in range(3)]
    await until_idle()
    held.go.set()
    answers = await asyncio.gather(*tasks)
    assert held.calls == 1
    first, *others = [answer.data for answer in answers]
    assert first is not None
    first["a"]["list"].append(2)
    assert others == [{"a": {"list": [1]}}] * 2
    others[0]["a"]["list"].append(3)  # type: ignore[index]
    assert others[1] == {"a": {"list": [1]}}


@pytest.mark.parametrize("other", ["variables", "header", "mutation", "off"])
async def test_what_differs_is_sent_again(other: str) -> None:
    held = Held()
    settings = SubgraphSettings(share_identical=other != "off")
    subgraphs = line(held, RouterConfig(all_subgraphs=settings))
    operation = MUTATION if other == "mutation" else QUERY
    tasks = [
        ask(subgraphs, operation, x=1, authorization="a"),
        ask(
            subgraphs,
            operation,
            x=2 if other == "variables" else 1,
            authorization="b" if other == "header" else "a",
        ),
    ]
    await until_idle()
    held.go.set()
    await asyncio.gather(*tasks)
    assert held.calls == 2


async def test_ids_of_requests_do_not_make_them_different() -> None:
    held = Held()
    subgraphs = line(held, RouterConfig(headers=Headers(not_shared=("rid",))))
    tasks = [ask(subgraphs, rid="1"), ask(subgraphs, rid="2")]
    await until_idle()
    held.go.set()
    await asyncio.gather(*tasks)
    assert held.calls == 1


async def test_when_the_sender_is_cancelled_the_next_one_sends() -> None:
    held = Held()
    subgraphs = line(held)
    sender = ask(subgraphs)
    await held.called.wait()
    others = [ask(subgraphs) for _ in range(2)]
    await until_idle()
    sender.cancel()
    await until_idle()
    held.go.set()
    for other in others:
        assert (await other).data == {"a": {"list": [1]}}
    assert held.calls == 2


async def test_failure_is_shared_and_the_next_request_is_new() -> None:
    held = Held(fails=True)
    subgraphs = line(held)
    tasks = [ask(subgraphs) for _ in range(2)]
    await until_idle()
    held.go.set()
    for task in tasks:
        with pytest.raises(SubgraphCallFailed):
            await task
    assert held.calls == 1
    held.fails = False
    assert (await ask(subgraphs)).data == {"a": {"list": [1]}}


async def test_data_too_deep_to_copy_is_asked_for_again() -> None:
    held = Held()
    subgraphs = line(held)
    deep: Any = []
    for _ in range(5_000):
        deep = [deep]
    held.data = {"a": deep}
    tasks = [ask(subgraphs) for _ in range(2)]
    await until_idle()
    held.go.set()
    for task in tasks:
        assert (await task).data is held.data
    assert held.calls == 2


async def test_one_who_waits_keeps_to_its_own_deadline() -> None:
    held = Held()
    subgraphs = line(held)
    sender = ask(subgraphs)
    await held.called.wait()
    with pytest.raises(SubgraphTimeout):
        await ask(subgraphs, seconds=0.01)
    held.go.set()
    assert (await sender).data == {"a": {"list": [1]}}

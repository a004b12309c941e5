"""From plan nodes to coroutine functions, once per plan."""

from __future__ import annotations

import asyncio
from typing import assert_never

from router.executor.entities import compile_entity_fetch
from router.executor.fetch import compile_root_fetch
from router.executor.state import ExecutionState, Run
from router.planner.plan import (
    Condition,
    Fetch,
    Flatten,
    Parallel,
    PlanNode,
    Sequence,
    Subscription,
)


def compile_node(node: PlanNode, interfaces: frozenset[str] = frozenset()) -> Run:
    """A function that runs the node on a state. `interfaces` are the names of all interfaces.

    Of a `Subscription` only `rest` is run, on the data of one event: opening the stream is another
    matter.
    """
    match node:
        case Fetch(entities=()):
            return compile_root_fetch(node, interfaces)
        case Fetch():
            return compile_entity_fetch(node, interfaces)
        case Flatten(path=path, node=fetch):
            return compile_root_fetch(fetch, interfaces, path)
        case Sequence(nodes=nodes):
            return _sequence(tuple(compile_node(child, interfaces) for child in nodes))
        case Parallel(nodes=nodes):
            return _parallel(tuple(compile_node(child, interfaces) for child in nodes))
        case Condition():
            return _condition(node, interfaces)
        case Subscription(rest=rest):
            return compile_node(rest, interfaces) if rest is not None else _nothing
        case _:
            assert_never(node)


async def _nothing(state: ExecutionState) -> None:
    return None


def _sequence(runs: tuple[Run, ...]) -> Run:
    async def run(state: ExecutionState) -> None:
        for step in runs:
            await step(state)

    return run


def _parallel(runs: tuple[Run, ...]) -> Run:
    """All but the first become tasks; the first runs here, which saves one."""
    first, *others = runs

    async def run(state: ExecutionState) -> None:
        tasks = [asyncio.create_task(other(state)) for other in others]
        try:
            await first(state)
            for task in tasks:
                await task
        except BaseException:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            raise

    return run


def _condition(node: Condition, interfaces: frozenset[str]) -> Run:
    variable = node.variable
    yes = compile_node(node.if_clause, interfaces) if node.if_clause is not None else _nothing
    no = compile_node(node.else_clause, interfaces) if node.else_clause is not None else _nothing

    async def run(state: ExecutionState) -> None:
        await (yes if state.conditions.get(variable) else no)(state)

    return run

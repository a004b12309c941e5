"""Join steps that do the same below different types of one place."""

from __future__ import annotations

from collections.abc import Callable, Hashable

from router.planner.fetch_graph import FetchGraph, Step
from router.planner.plan import Path, TypeFilter
from router.planner.positions import plain_path


def join_types(
    graph: FetchGraph,
    possible_at: Callable[[Path], frozenset[str]],
    signature: Callable[[Step], Hashable],
) -> None:
    """Unite paths that differ in one type filter; filters that let every type pass are dropped.

    Selections spread over object types end in such steps. `signature` is equal for steps that ask
    for and send the same; `possible_at` gives the types at a path without filters.
    """
    buckets: dict[Hashable, list[Step]] = {}
    for step in graph.in_order():
        if any(isinstance(element, TypeFilter) for element in step.path):
            key = (step.subgraph, step.wave, plain_path(step.path), signature(step))
            buckets.setdefault(key, []).append(step)
    for steps in buckets.values():
        kept: list[Step] = []
        for step in steps:
            for other in kept:
                united = _united(other.path, step.path)
                if united is not None:
                    other.path = united
                    graph.replace(step, other)
                    break
            else:
                kept.append(step)
    for step in graph.steps.values():
        step.path = _without_idle_filters(step.path, possible_at)


def _united(one: Path, other: Path) -> Path | None:
    """Both paths as one, if they differ in one filter only."""
    if len(one) != len(other):
        return None
    different = [
        index for index, pair in enumerate(zip(one, other, strict=True)) if pair[0] != pair[1]
    ]
    if not different:
        return one
    left, right = one[different[0]], other[different[0]]
    if len(different) > 1 or not (isinstance(left, TypeFilter) and isinstance(right, TypeFilter)):
        return None
    types = TypeFilter(tuple(sorted({*left.types, *right.types})))
    return (*one[: different[0]], types, *one[different[0] + 1 :])


def _without_idle_filters(path: Path, possible_at: Callable[[Path], frozenset[str]]) -> Path:
    result: list[object] = []
    for index, element in enumerate(path):
        if isinstance(element, TypeFilter):
            possible = possible_at(plain_path(path[:index]))
            if possible and possible.issubset(element.types):
                continue
        result.append(element)
    return tuple(result)  # type: ignore[arg-type]

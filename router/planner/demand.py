"""When a request is wanted: the conditions of @skip and @include, seen from whole requests."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, TypeAlias

from router.planner.fetch_graph import FetchGraph, Tree
from router.planner.passes import Request
from router.planner.plan import Condition, PlanNode
from router.planner.selection import Conditions

Demand: TypeAlias = frozenset[Conditions]
"""Conjunctions one of which must hold. The empty conjunction always holds."""

ALWAYS: Final[Demand] = frozenset(((),))
VARIABLES_MAX: Final = 4
"""A request that hangs on more variables than this is sent always."""


def demands(graph: FetchGraph, requests: list[Request]) -> list[Demand]:
    """For each request, when something it brings is used: by the client, or by another step."""
    wanted: dict[int, Demand] = {}
    order = graph.in_order()
    for step in reversed(order):
        own: set[Conditions] = set(wanted.get(step.id, frozenset()))
        for tree in step.trees.values():
            own.update(_of_tree(tree))
        demand = _simplified(_both(own, step.under))
        wanted[step.id] = demand
        for before in step.after:
            wanted[before.id] = wanted.get(before.id, frozenset()) | demand
    return [
        _simplified(one for step in request.steps for one in wanted[step.id])
        for request in requests
    ]


def _both(demand: Iterable[Conditions], under: Iterable[Conditions]) -> Iterable[Conditions]:
    """What must hold for one of each; without `under` nothing more than the demand."""
    places = list(_simplified(under)) or [()]
    return {
        tuple(sorted({*one, *place}))
        for one in _simplified(demand)
        for place in places
        if not any((variable, not value) in place for variable, value in one)
    }


def _of_tree(tree: Tree) -> Iterable[Conditions]:
    for branch in tree.fields.values():
        if not branch.field.helper:
            yield branch.field.conditions
    for cast in tree.casts.values():
        yield from _of_tree(cast)
    if not tree.fields and not tree.casts:
        yield ()


def _simplified(demand: Iterable[Conditions]) -> Demand:
    """Without conjunctions that imply another; ALWAYS where too many variables matter."""
    found = set(demand)
    kept = {
        one for one in found if not any(other != one and set(other) <= set(one) for other in found)
    }
    variables = {variable for one in kept for variable, _ in one}
    if len(variables) > VARIABLES_MAX:
        return ALWAYS
    if any(_opposite(one, other) for one in kept for other in kept):
        return ALWAYS
    return frozenset(kept)


def _opposite(one: Conditions, other: Conditions) -> bool:
    return len(one) == len(other) == 1 and one[0][0] == other[0][0] and one[0][1] != other[0][1]


def guarded(node: PlanNode, demand: Demand) -> PlanNode:
    """`node` under the conditions of its demand."""
    return _guarded(node, demand) or node


def _guarded(node: PlanNode, demand: Demand) -> PlanNode | None:
    if not demand:
        return None
    if () in demand:
        return node
    variable = min(variable for one in demand for variable, _ in one)
    clauses = {wanted: _guarded(node, _given(demand, variable, wanted)) for wanted in (True, False)}
    return Condition(variable, clauses[True], clauses[False])


def _given(demand: Demand, variable: str, value: bool) -> Demand:
    """What remains to hold once the variable has the value."""
    return frozenset(
        tuple(pair for pair in one if pair[0] != variable)
        for one in demand
        if (variable, not value) not in one
    )

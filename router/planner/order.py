"""From requests and what they wait for to a tree of sequences and parallels."""

from __future__ import annotations

from collections.abc import Callable

from router.planner.passes import Request
from router.planner.plan import Parallel, PlanNode, Sequence


def ordered(requests: list[Request], node: Callable[[Request], PlanNode]) -> PlanNode | None:
    """The tree: independent parts side by side, each part's first requests before its others."""
    parts = [_part(part, node) for part in _independent(requests)]
    if not parts:
        return None
    return parts[0] if len(parts) == 1 else Parallel(tuple(parts))


def _part(requests: list[Request], node: Callable[[Request], PlanNode]) -> PlanNode:
    inside = set(requests)
    first = [one for one in requests if not one.after & inside]
    started = set(first)
    head: PlanNode = node(first[0]) if len(first) == 1 else Parallel(tuple(map(node, first)))
    rest = ordered([one for one in requests if one not in started], node)
    if rest is None:
        return head
    tail = rest.nodes if isinstance(rest, Sequence) else (rest,)
    return Sequence((head, *tail))


def _independent(requests: list[Request]) -> list[list[Request]]:
    """Groups of which none waits for another, in the order of their first request."""
    inside = set(requests)
    leader = {one: one for one in requests}

    def find(one: Request) -> Request:
        while leader[one] is not one:
            leader[one] = leader[leader[one]]
            one = leader[one]
        return one

    for request in requests:
        for before in request.after & inside:
            leader[find(request)] = find(before)
    groups: dict[Request, list[Request]] = {}
    for request in requests:
        groups.setdefault(find(request), []).append(request)
    return list(groups.values())

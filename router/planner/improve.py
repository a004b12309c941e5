"""Drafts of a plan: a first one, and attempts to do with fewer requests.

The first draft takes each leaf's cheapest path as it comes. A request it chose among several may
turn out to be worth doing without, once the others are known: each is left out in turn, and a draft
that is better is kept. The budget is counted in attempts and steps, so that plans do not depend on
the machine; the clock only ends what would take too long.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from router.planner.choice import Choice
from router.planner.config import PlannerConfig
from router.planner.fetch_graph import FetchGraph
from router.planner.passes import Request, batch, join_types, merge_siblings
from router.planner.query_graph import Node, QueryGraph
from router.planner.selection import Selection
from router.planner.text import signature

Avoided: TypeAlias = frozenset[tuple[int, int]]
"""(subgraph, wave) of requests to do without where possible."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A fetch graph, its requests, and which of them were chosen among several."""

    fetches: FetchGraph
    requests: list[Request]
    optional: list[tuple[int, int]]

    @property
    def cost(self) -> tuple[int, int, int]:
        """Steps one after another, requests, entity calls: fewer is better, in this order."""
        depth = max((request.wave for request in self.requests), default=0)
        return depth, len(self.requests), len(self.fetches.steps)


def best_draft(
    graph: QueryGraph,
    selection: Selection,
    roots: tuple[Node, ...],
    config: PlannerConfig,
    clock: Callable[[], float],
) -> Draft:
    """The best draft found within the budget. Raises Unreachable, PlanTooLarge."""
    avoided: Avoided = frozenset()
    best = _draft(graph, selection, roots, config, avoided)
    if not best.optional or len(best.requests) < 2:
        return best
    end = clock() + config.improvement_seconds_max
    attempts = min(
        config.improvement_attempts_max,
        config.improvement_steps_max // max(1, len(best.fetches.steps)),
    )
    tried: set[tuple[int, int]] = set()
    while attempts > 0 and clock() < end:
        request = next((one for one in best.optional if one not in tried), None)
        if request is None:
            break
        attempts -= 1
        tried.add(request)
        draft = _draft(graph, selection, roots, config, avoided | {request})
        if draft.cost < best.cost:
            best, avoided = draft, avoided | {request}
            tried = set(avoided)
    return best


def _draft(
    graph: QueryGraph,
    selection: Selection,
    roots: tuple[Node, ...],
    config: PlannerConfig,
    avoided: Avoided,
) -> Draft:
    choice = Choice(graph, selection.type, roots, config.fetches_max)
    choice.paths.avoided = avoided
    fetches = choice.run(selection)
    merge_siblings(fetches)
    join_types(
        fetches,
        choice.positions.possible_at,
        lambda step: signature(graph.supergraph, step),
    )
    requests = batch(fetches, config.batch_calls_max)
    optional = [
        (request.steps[0].subgraph, request.wave)
        for request in sorted(requests, key=lambda one: len(one.steps))
        if all(step.id in choice.optional for step in request.steps)
    ]
    return Draft(fetches, requests, optional)

"""Group steps into requests: entity steps of one subgraph that can run together are one request."""

from __future__ import annotations

from dataclasses import dataclass, field

from router.planner.fetch_graph import FetchGraph, Step


@dataclass(slots=True, eq=False)
class Request:
    """Steps sent to one subgraph together, and the requests they wait for."""

    steps: list[Step]
    wave: int
    after: set[Request] = field(default_factory=set)


def batch(graph: FetchGraph, calls_max: int) -> list[Request]:
    """The requests of the plan, each behind those it waits for.

    A step joins a request of its wave, or of a later one if what waits for the step comes later
    still: the plan gets no deeper. Waves only grow along the way, so requests never form a circle.
    """
    requests: list[Request] = []
    of: dict[int, Request] = {}
    latest: dict[int, int] = {}
    for step in reversed(graph.in_order()):
        last = latest.get(step.id, 1 << 30)
        request = next((one for one in requests if _fits(step, one, last, calls_max)), None)
        if request is None:
            request = Request([], step.wave)
            requests.append(request)
        request.steps.append(step)
        of[step.id] = request
        for before in step.after:
            latest[before.id] = min(latest.get(before.id, 1 << 30), request.wave - 1)
    for request in requests:
        request.steps.sort(key=lambda step: step.id)
        request.after = {of[before.id] for step in request.steps for before in step.after}
    requests.sort(key=lambda request: (request.wave, request.steps[0].id))
    return requests


def _fits(step: Step, request: Request, last: int, calls_max: int) -> bool:
    first = request.steps[0]
    return (
        first.subgraph == step.subgraph
        and step.wave <= request.wave <= last
        and bool(step.inputs and first.inputs)
        and not (step.context or first.context)
        and len(request.steps) < calls_max
    )

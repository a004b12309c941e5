"""The causation tree of one order over all services, asked of the journal."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from lonja.demo import operations
from lonja.demo.client import Client

PAGES_MAX = 100


@dataclass(slots=True)
class Step:
    """An event, and what it led to. `milliseconds` since the first event of the tree."""

    service: str
    type: str
    stream: str
    actor: str
    milliseconds: float
    led_to: list[Step] = field(default_factory=list)


async def trace_of(client: Client, token: str, order_id: str) -> Step | None:
    """The tree under the customer's command; None where the journal knows nothing (yet)."""
    data = await client.ask(operations.HISTORY, {"id": order_id}, token=token)
    history = ((data["node"] or {}).get("history") or {}).get("edges") or []
    if not history:
        return None
    correlation, events, after = history[0]["node"]["correlationId"], [], None
    for _ in range(PAGES_MAX):
        variables = {"correlation": correlation, "after": after}
        page = (await client.ask(operations.TRACE, variables, token=token))["correlation"]
        events += [edge["node"] for edge in page["edges"]]
        if not page["pageInfo"]["hasNextPage"]:
            break
        after = page["pageInfo"]["endCursor"]
    return _tree(events)


def _tree(events: list[dict[str, Any]]) -> Step | None:
    """Each event under the one that caused it; those without a cause here under the first."""
    events.sort(key=lambda event: str(event["recordedAt"]))
    if not events:
        return None
    start = datetime.fromisoformat(events[0]["recordedAt"])
    steps = {}
    for event in events:
        since = datetime.fromisoformat(event["recordedAt"]) - start
        steps[event["id"]] = Step(
            event["service"],
            event["type"],
            event["streamId"],
            event["actor"]["kind"],
            since.total_seconds() * 1000,
        )
    root = next(iter(steps.values()))
    for event in events[1:]:
        parent = steps.get(event["causationId"] or "", root)
        step = steps[event["id"]]
        (root if parent is step else parent).led_to.append(step)
    return root

"""The causation tree of one order, asked of the journal."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from lonja.demo import operations
from lonja.demo.client import Client
from lonja.trace import Step, Traced, tree_of

PAGES_MAX = 100


async def trace_of(client: Client, token: str, order_id: str) -> Step | None:
    """Everything of the correlation in which the order was placed; None if the journal has none."""
    data = await client.ask(operations.HISTORY, {"id": order_id}, token=token)
    history = ((data["node"] or {}).get("history") or {}).get("edges") or []
    if not history:
        return None
    correlation = history[0]["node"]["correlationId"]
    nodes: list[dict[str, Any]] = []
    after = None
    for _ in range(PAGES_MAX):
        variables = {"correlation": correlation, "after": after}
        page = (await client.ask(operations.TRACE, variables, token=token))["correlation"]
        nodes += [edge["node"] for edge in page["edges"]]
        if not page["pageInfo"]["hasNextPage"]:
            break
        after = page["pageInfo"]["endCursor"]
    return tree_of(
        Traced(
            node["id"],
            node["service"],
            node["type"],
            node["streamId"],
            node["actor"]["kind"],
            node["causationId"],
            datetime.fromisoformat(node["recordedAt"]),
        )
        for node in nodes
    )

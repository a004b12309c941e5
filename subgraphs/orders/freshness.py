"""Waiting until the local copies are as new as what the client has seen.

A client that has just changed a price sends the receipt's position back in `x-read-position`; what
it asks of orders next is then decided on a copy that has that price.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from subgraphs.shared.graphql.context import RequestContext

WAIT_SECONDS_MAX = 2.0
SOURCES = ("products", "shipping")

WaitFor = Callable[[str, int, float], Awaitable[bool]]


class Freshness:
    """`wait_for` (source, position, seconds) tells whether the copy of that source is there."""

    def __init__(self, wait_for: WaitFor) -> None:
        self._wait_for = wait_for

    async def follow(self, context: RequestContext[Any]) -> None:
        """Wait, bounded; if the copy is not there in time the answer says so and goes on."""
        for source in SOURCES:
            position = context.read_positions.get(source)
            if position is None:
                continue
            if not await self._wait_for(source, position, WAIT_SECONDS_MAX):
                context.stale = {
                    "service": "orders",
                    "position": f"{source}:{position}",
                    "waitedSeconds": WAIT_SECONDS_MAX,
                }

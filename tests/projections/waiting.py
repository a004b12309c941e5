"""Waiting for a condition, bounded."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

WAIT_SECONDS_MAX = 10.0


async def until(condition: Callable[[], bool], seconds: float = WAIT_SECONDS_MAX) -> None:
    """Return when the condition holds. Raises TimeoutError if it does not in time."""
    async with asyncio.timeout(seconds):
        while not await asyncio.to_thread(condition):  # noqa: ASYNC110
            await asyncio.sleep(0.01)

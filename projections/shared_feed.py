"""One reading of a feed for all reactors of a service that follow it.

Reactors that are at the same position share one request, and one that comes later gets the page
that was read; none waits for another. Pages are immutable, so keeping a few of them is safe.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterable

from eventstore.feed import Feed
from eventstore.feed_page import FeedPage

PAGE_EVENTS_MAX = 256
PAGES_KEPT_MAX = 8


class SharedFeed:
    """`read` gives the page that follows a position, with the events of `types` and no others."""

    def __init__(self, feed: Feed, types: Iterable[str]) -> None:
        self.feed, self.types = feed, tuple(sorted(set(types)))
        self.head = 0
        self._kept: OrderedDict[int, FeedPage] = OrderedDict()
        self._reading: dict[int, asyncio.Task[FeedPage]] = {}

    async def read(self, after: int, *, wait_seconds: float) -> FeedPage:
        """As `Feed.read`: waits for what follows `after`, raises what the feed raises."""
        kept = self._kept.get(after)
        if kept is not None:
            return kept
        task = self._reading.get(after)
        if task is None:
            task = asyncio.create_task(self._read(after, wait_seconds))
            self._reading[after] = task
            task.add_done_callback(lambda done: self._end(after, done))
        return await asyncio.shield(task)

    async def close(self) -> None:
        """Give up the requests under way."""
        tasks = list(self._reading.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _read(self, after: int, wait_seconds: float) -> FeedPage:
        page = await self.feed.read(
            after, limit=PAGE_EVENTS_MAX, wait_seconds=wait_seconds, types=self.types
        )
        self.head = max(self.head, page.head)
        if page.position > after:
            self._kept[after] = page
            while len(self._kept) > PAGES_KEPT_MAX:
                self._kept.popitem(last=False)
        return page

    def _end(self, after: int, done: asyncio.Task[FeedPage]) -> None:
        self._reading.pop(after, None)
        if not done.cancelled():
            done.exception()  # seen by whoever waited; nobody may be left

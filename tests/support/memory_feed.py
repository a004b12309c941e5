"""A feed that a test writes: the events of a service that does not run."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import msgspec

from eventstore import Actor, FeedEvent, FeedPage, Metadata

AT = datetime(2026, 1, 1, tzinfo=UTC)


class MemoryFeed:
    """The Feed protocol over a list. `publish` appends; readers that wait are woken."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.events: list[FeedEvent] = []
        self._more = asyncio.Condition()

    async def publish(
        self,
        type: str,  # noqa: A002
        data: Mapping[str, Any],
        *,
        stream: str = "any_1",
        correlation_id: str = "cor_1",
    ) -> FeedEvent:
        """Append an event and give it back."""
        [event] = await self.publish_all([(type, data, stream)], correlation_id=correlation_id)
        return event

    async def publish_all(
        self, events: Sequence[tuple[str, Mapping[str, Any], str]], *, correlation_id: str = "cor_1"
    ) -> list[FeedEvent]:
        """Append several at once, as (type, data, stream)."""
        made: list[FeedEvent] = []
        async with self._more:
            for type_name, data, stream in events:
                version = sum(event.stream == stream for event in self.events) + 1
                event = FeedEvent(
                    position=len(self.events) + 1,
                    id=uuid4(),
                    stream=stream,
                    version=version,
                    type=type_name,
                    type_version=1,
                    data=msgspec.json.encode(data),
                    metadata=Metadata(
                        actor=Actor("service", self.name),
                        command_id=str(uuid4()),
                        correlation_id=correlation_id,
                        occurred_at=AT,
                    ),
                    recorded_at=AT,
                )
                self.events.append(event)
                made.append(event)
            self._more.notify_all()
        return made

    async def repeat(self, event: FeedEvent) -> None:
        """Deliver an event a second time, under its id, as another position of the feed."""
        async with self._more:
            again = msgspec.structs.replace(event, position=len(self.events) + 1)
            self.events.append(again)
            self._more.notify_all()

    async def read(
        self,
        after: int,
        *,
        limit: int = 1000,
        wait_seconds: float = 0.0,
        types: Sequence[str] | None = None,
    ) -> FeedPage:
        """A page, as every feed gives it."""
        if len(self.events) <= after and wait_seconds > 0:
            async with self._more:
                try:
                    async with asyncio.timeout(wait_seconds):
                        await self._more.wait_for(lambda: len(self.events) > after)
                except TimeoutError:
                    pass
        page = self.events[after : after + limit]
        chosen = [event for event in page if types is None or event.type in types]
        return FeedPage(chosen, after + len(page), len(self.events))

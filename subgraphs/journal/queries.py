"""The root queries of the journal."""

from __future__ import annotations

import asyncio
from datetime import datetime
from uuid import UUID

import strawberry

from subgraphs.journal.reads import NEWEST, OLDEST, Where
from subgraphs.journal.schema import (
    STUBS,
    Info,
    RecordedEvent,
    is_auditor,
    load_event,
    require_auditor,
)
from subgraphs.shared.errors import InvalidPage, Refusal
from subgraphs.shared.graphql import Connection, Node, build_schema, field
from subgraphs.shared.ids import prefix_of
from subgraphs.shared.paging import read_page

NODES_MAX = 100
WAIT_SECONDS_MAX = 2.0


@strawberry.input
class EventWhere:
    service: list[str] | None = None
    type: list[str] | None = None
    stream_id: strawberry.ID | None = None
    actor_id: strawberry.ID | None = None
    correlation_id: strawberry.ID | None = None
    since: datetime | None = None
    until: datetime | None = None

    def conditions(self) -> Where:
        """In the words of the table."""
        return Where(
            service=self.service,
            type=self.type,
            stream=_text(self.stream_id),
            actor_id=_text(self.actor_id),
            correlation_id=_text(self.correlation_id),
            since=self.since,
            until=self.until,
        )


@strawberry.type
class Query:
    @field("Anything by its id: its kind is in the id. That it exists, its owner knows.")
    async def node(self, info: Info, id: strawberry.ID) -> Node | None:  # noqa: A002
        return await _node(info, str(id))

    @field("Up to 100, in the order asked for.")
    async def nodes(self, info: Info, ids: list[strawberry.ID]) -> list[Node | None]:
        if len(ids) > NODES_MAX:
            raise InvalidPage(f"{len(ids)} ids: ask for {NODES_MAX} at a time")
        return list(await asyncio.gather(*(_node(info, str(id_)) for id_ in ids)))

    @field("For auditors, as all that follows.")
    async def event(self, info: Info, id: strawberry.ID) -> RecordedEvent | None:  # noqa: A002
        require_auditor(info)
        await _caught_up(info)
        return await load_event(info, str(id))

    @field("The events of all services, newest first.")
    async def event_log(
        self, info: Info, first: int, after: str | None = None, where: EventWhere | None = None
    ) -> Connection[RecordedEvent]:
        require_auditor(info)
        page = read_page(first, after, NEWEST)
        await _caught_up(info)
        conditions = (where or EventWhere()).conditions()
        rows = await info.context.resources.reads.page(page, conditions)
        return Connection[RecordedEvent].of(rows, page, NEWEST, RecordedEvent.of)

    @field("How it came to an event: the first cause first, the event last; 200 at most.")
    async def causation_chain(self, info: Info, event_id: strawberry.ID) -> list[RecordedEvent]:
        require_auditor(info)
        await _caught_up(info)
        try:
            key = str(UUID(str(event_id)))
        except ValueError:
            return []
        return [RecordedEvent.of(row) for row in await info.context.resources.reads.causes(key)]

    @field("Everything that one intent of a client led to, in all services, oldest first.")
    async def correlation(
        self,
        info: Info,
        id: strawberry.ID,  # noqa: A002
        first: int,
        after: str | None = None,
    ) -> Connection[RecordedEvent]:
        require_auditor(info)
        page = read_page(first, after, OLDEST)
        await _caught_up(info)
        rows = await info.context.resources.reads.page(page, Where(correlation_id=str(id)))
        return Connection[RecordedEvent].of(rows, page, OLDEST, RecordedEvent.of)


async def _node(info: Info, node_id: str) -> Node | None:
    try:
        stub = STUBS.get(prefix_of(node_id))
    except Refusal:
        return await load_event(info, node_id) if is_auditor(info) else None
    return None if stub is None else stub(id=strawberry.ID(node_id))


async def _caught_up(info: Info) -> None:
    """Wait, bounded, until the positions that the client names have been copied; say if not."""
    follower = info.context.resources.follower
    for service, position in info.context.read_positions.items():
        if not follower.follows(service):
            continue
        if not await follower.wait_for(service, position, WAIT_SECONDS_MAX):
            info.context.stale = {
                "service": "journal",
                "position": f"{service}:{position}",
                "waitedSeconds": WAIT_SECONDS_MAX,
            }
            return


def _text(value: strawberry.ID | None) -> str | None:
    return None if value is None else str(value)


SCHEMA = build_schema(operator="journal", query=Query, types=list(STUBS.values()))

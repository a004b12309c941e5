"""The root queries of the journal."""

from __future__ import annotations

import asyncio
from functools import partial
from uuid import UUID

import strawberry

from subgraphs.journal.audit import AuditQuery
from subgraphs.journal.export_schema import ExportQuery
from subgraphs.journal.live import Subscription
from subgraphs.journal.mutations import Mutation
from subgraphs.journal.reads import NEWEST, OLDEST, Where
from subgraphs.journal.schema import (
    STUBS,
    AuditRead,
    Info,
    RecordedEvent,
    is_auditor,
    load_event,
    require_auditor,
)
from subgraphs.journal.waiting import caught_up, own_log_copied
from subgraphs.journal.where import AuditReadWhere, EventWhere, text
from subgraphs.shared import events
from subgraphs.shared.errors import InvalidPage, Refusal
from subgraphs.shared.graphql import Connection, Node, build_schema, field
from subgraphs.shared.ids import prefix_of
from subgraphs.shared.paging import read_page
from subgraphs.shared.reading import asked

NODES_MAX = 100


@strawberry.type
class Query(AuditQuery, ExportQuery):
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
        await caught_up(info)
        return await load_event(info, str(id))

    @field(
        "The events of all services, newest first. What auditors read is left out unless `type` "
        "names it: `auditReads` lists that."
    )
    async def event_log(
        self, info: Info, first: int, after: str | None = None, where: EventWhere | None = None
    ) -> Connection[RecordedEvent]:
        require_auditor(info)
        page = read_page(first, after, NEWEST)
        await caught_up(info)
        conditions = (where or EventWhere()).conditions()
        rows = await info.context.resources.reads.page(page, conditions)
        return Connection[RecordedEvent].of(rows, page, NEWEST, partial(RecordedEvent.of, info))

    @field("How it came to an event: the first cause first, the event last; 200 at most.")
    async def causation_chain(self, info: Info, event_id: strawberry.ID) -> list[RecordedEvent]:
        require_auditor(info)
        await caught_up(info)
        try:
            key = str(UUID(str(event_id)))
        except ValueError:
            return []
        rows = await info.context.resources.reads.causes(key)
        return [RecordedEvent.of(info, row) for row in rows]

    @field("Who read what of the log, in which service, newest first.")
    async def audit_reads(
        self, info: Info, first: int, after: str | None = None, where: AuditReadWhere | None = None
    ) -> Connection[AuditRead]:
        require_auditor(info)
        page = read_page(first, after, NEWEST)
        await own_log_copied(info)
        await caught_up(info)
        wanted = where or AuditReadWhere()
        conditions = Where(
            type=[events.AuditRead.TYPE],
            actor_id=text(wanted.reader_id),
            person_id=text(wanted.person_id),
            since=wanted.since,
            until=wanted.until,
        )
        rows = await info.context.resources.reads.page(page, conditions)
        return Connection[AuditRead].of(rows, page, NEWEST, AuditRead.of)

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
        await caught_up(info)
        rows = await info.context.resources.reads.page(page, Where(correlation_id=str(id)))
        return Connection[RecordedEvent].of(rows, page, OLDEST, partial(RecordedEvent.of, info))


async def _node(info: Info, node_id: str) -> Node | None:
    try:
        stub = STUBS.get(prefix_of(node_id))
    except Refusal:
        if not is_auditor(info):
            return None
        asked(info)
        return await load_event(info, node_id)
    return None if stub is None else stub(id=strawberry.ID(node_id))


SCHEMA = build_schema(
    operator="journal",
    query=Query,
    mutation=Mutation,
    subscription=Subscription,
    types=list(STUBS.values()),
)

"""The live tail of the log, for auditors: recorded as it is read, before it is shown."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import strawberry
import structlog

from eventstore import EventStoreError
from subgraphs.journal.reads import Row, Where
from subgraphs.journal.schema import Info, RecordedEvent, require_auditor
from subgraphs.journal.tail import RETRY_SECONDS, RETRY_SECONDS_MAX, Positions, cursor_text
from subgraphs.journal.where import EventWhere
from subgraphs.shared.errors import InvalidPage, RequestError
from subgraphs.shared.events import AuditRead
from subgraphs.shared.graphql import subscription
from subgraphs.shared.reading import READS_PREFIX, Reading, asked, record_reads
from subgraphs.shared.service import NOT_RECORDED

log = structlog.get_logger("subgraphs.journal")


class ReadNotRecorded(RequestError):
    """Nothing is shown of which no trace would be left."""

    code = "READ_NOT_RECORDED"

    def __init__(self) -> None:
        super().__init__(NOT_RECORDED)


@strawberry.type
class Subscription:
    @subscription(
        "The events of all services as they come, those after a cursor first. For auditors. "
        "What auditors read is left out: `auditReads` lists it."
    )
    async def event_log(
        self, info: Info, where: EventWhere | None = None, after: str | None = None
    ) -> AsyncGenerator[RecordedEvent, None]:
        require_auditor(info)
        wanted = (where or EventWhere()).conditions()
        of_types, of_stream = wanted.type or (), wanted.stream or ""
        if AuditRead.TYPE in of_types or of_stream.startswith(READS_PREFIX):
            raise InvalidPage(
                f"`{AuditRead.TYPE}` has no live tail, since each look at it would be another one: "
                "ask `auditReads`"
            )
        at = await info.context.resources.tail.start(after)
        try:
            await _record(info)
        except EventStoreError:
            raise ReadNotRecorded from None
        return _follow(info, at, wanted)


async def _follow(info: Info, at: Positions, where: Where) -> AsyncGenerator[RecordedEvent, None]:
    """A batch is recorded as a whole, then shown event by event."""
    tail, pause = info.context.resources.tail, RETRY_SECONDS
    while True:
        batch = await tail.next(at, where)
        asked(info)
        events = [_event(info, *each) for each in zip(batch.rows, batch.cursors, strict=True)]
        try:
            await _record(info)
        except EventStoreError as error:
            log.warning("tail not recorded", reason=str(error))
            await asyncio.sleep(pause)
            pause = min(2 * pause, RETRY_SECONDS_MAX)
            continue
        pause = RETRY_SECONDS
        for event, cursor in zip(events, batch.cursors, strict=True):
            if tail.erasures != batch.erasures:  # what follows is read anew, without who was erased
                break
            at = cursor
            yield event
        else:
            at = batch.end


def _event(info: Info, row: Row, cursor: Positions) -> RecordedEvent:
    event = RecordedEvent.of(info, row)
    event.cursor = cursor_text(cursor)
    return event


async def _record(info: Info) -> None:
    """Append what was asked and seen; from here on it counts anew. Raises EventStoreError."""
    context = info.context
    reading, context.reading = context.reading, Reading()
    await record_reads(context.resources.store, [reading.event()], context.metadata())

"""Copies every service's events, private ones included, into one table: what auditors search.

A table of its own, not a projection: its sources are the logs of others. Rows and checkpoint are
written in one transaction; a row that is there already is left alone, so replicas may follow at the
same time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import msgspec
import psycopg
import structlog

from eventstore import EventStore, EventStoreError, Feed, FeedEvent
from subgraphs.journal.personal import Personal, client_of, sealed, split
from subgraphs.journal.redaction import redact, without_nul

log = structlog.get_logger("subgraphs.journal")

BATCH_EVENTS_MAX = 500
WAIT_SECONDS = 10.0
LINGER_SECONDS = 0.1
"""How long more events are waited for after a short page: larger pages cost less."""
RETRY_SECONDS_FIRST = 0.2
RETRY_SECONDS_MAX = 5.0

TABLES = """
DO $$ BEGIN  -- copied anew: what was kept before could not be forgotten
    IF EXISTS (SELECT FROM information_schema.columns WHERE table_schema = 'public'
               AND table_name = 'journal_events' AND column_name = 'ip') THEN
        DROP TABLE public.journal_events;
        DELETE FROM public.journal_checkpoints;
    END IF;
END $$;
CREATE TABLE IF NOT EXISTS public.journal_events (
    service text NOT NULL,
    position bigint NOT NULL,
    id uuid NOT NULL,
    stream text NOT NULL,
    version bigint NOT NULL,
    type text NOT NULL,
    type_version integer NOT NULL,
    data jsonb NOT NULL,
    redacted text[] NOT NULL,
    subject text,
    sealed text,
    actor_kind text NOT NULL,
    actor_id text NOT NULL,
    on_behalf_of text,
    client_of text,
    client text,
    reason text,
    command_id text NOT NULL,
    correlation_id text NOT NULL,
    causation_id text,
    occurred_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL,
    PRIMARY KEY (service, position)
);
ALTER TABLE public.journal_events ADD COLUMN IF NOT EXISTS unreadable text;
CREATE UNIQUE INDEX IF NOT EXISTS journal_events_by_id ON public.journal_events (id);
CREATE INDEX IF NOT EXISTS journal_events_by_stream ON public.journal_events (stream, version);
CREATE INDEX IF NOT EXISTS journal_events_by_time ON public.journal_events (recorded_at, id);
CREATE INDEX IF NOT EXISTS journal_events_by_correlation
    ON public.journal_events (correlation_id, recorded_at, id);
CREATE INDEX IF NOT EXISTS journal_events_by_cause
    ON public.journal_events (causation_id, recorded_at, id);
CREATE INDEX IF NOT EXISTS journal_events_by_actor
    ON public.journal_events (actor_id, recorded_at, id);
CREATE INDEX IF NOT EXISTS journal_events_by_type
    ON public.journal_events (type, recorded_at, id);
CREATE TABLE IF NOT EXISTS public.journal_checkpoints (
    service text PRIMARY KEY,
    position bigint NOT NULL
);
"""

_COLUMNS = {
    "service": "text",
    "position": "bigint",
    "id": "uuid",
    "stream": "text",
    "version": "bigint",
    "type": "text",
    "type_version": "integer",
    "data": "jsonb",
    "redacted": "text[]",
    "subject": "text",
    "sealed": "text",
    "actor_kind": "text",
    "actor_id": "text",
    "on_behalf_of": "text",
    "client_of": "text",
    "client": "text",
    "reason": "text",
    "command_id": "text",
    "correlation_id": "text",
    "causation_id": "text",
    "occurred_at": "timestamptz",
    "recorded_at": "timestamptz",
    "unreadable": "text",
}
_COPY = f"""
WITH copied AS (
    INSERT INTO public.journal_events ({", ".join(_COLUMNS)})
    SELECT {", ".join(_COLUMNS)} FROM jsonb_to_recordset(%(rows)s::jsonb)
        AS told ({", ".join(f"{name} {type_}" for name, type_ in _COLUMNS.items())})
    ON CONFLICT (service, position) DO NOTHING
)
INSERT INTO public.journal_checkpoints VALUES (%(service)s, %(position)s) ON CONFLICT (service)
DO UPDATE SET position = greatest(journal_checkpoints.position, excluded.position)
"""
"""Rows and checkpoint in one statement. A page is one parameter: the database takes its rows apart,
not the event loop.
"""


class Follower:
    """Follows all feeds, each at its own pace. `feeds` is read when it starts; `store` has the keys
    that personal data is sealed with.
    """

    def __init__(self, conninfo: str, feeds: Mapping[str, Feed], store: EventStore) -> None:
        self._conninfo, self._feeds, self._store = conninfo, feeds, store
        self._tasks: list[asyncio.Task[None]] = []
        self._positions: dict[str, int] = {}
        self._moved = asyncio.Condition()

    def positions(self) -> dict[str, int]:
        """How far each service's log has been copied."""
        return dict(self._positions)

    def follows(self, service: str) -> bool:
        """Whether this service's log is copied."""
        return service in self._feeds

    async def start(self) -> None:
        """Begin to follow; `positions` are known from then on. Raises psycopg.Error."""
        async with await psycopg.AsyncConnection.connect(self._conninfo) as connection:
            self._positions = {name: await _checkpoint(connection, name) for name in self._feeds}
        self._tasks = [
            asyncio.create_task(self._follow(name, feed), name=f"journal.{name}")
            for name, feed in self._feeds.items()
        ]

    async def stop(self) -> None:
        """Stop; what was copied stays, and the rest comes at the next start."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []

    async def wait_for(self, service: str, position: int, timeout_seconds: float) -> bool:
        """Whether the copy of a service's log has come this far within the time."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_seconds), self._moved:
                await self._moved.wait_for(lambda: self._positions.get(service, 0) >= position)
        return self._positions.get(service, 0) >= position

    async def beyond(self, positions: Mapping[str, int]) -> None:
        """Return once the copy of some log has come further than `positions`, as given before."""
        async with self._moved:
            await self._moved.wait_for(lambda: self._positions != positions)

    async def _follow(self, name: str, feed: Feed) -> None:
        pause = RETRY_SECONDS_FIRST
        while True:
            try:
                async with await psycopg.AsyncConnection.connect(
                    self._conninfo, autocommit=True, application_name=f"journal {name}"
                ) as connection:
                    await self._move(name, await _checkpoint(connection, name))
                    while True:
                        await self._copy(connection, name, feed)
                        pause = RETRY_SECONDS_FIRST
            except (EventStoreError, psycopg.Error, OSError) as error:
                log.warning("journal waits", service=name, reason=str(error), seconds=pause)
            await asyncio.sleep(pause)
            pause = min(RETRY_SECONDS_MAX, pause * 2)

    async def _copy(self, connection: psycopg.AsyncConnection[Any], name: str, feed: Feed) -> None:
        """Copy one page; wait for events where there are none."""
        page = await feed.read(
            self._positions[name], limit=BATCH_EVENTS_MAX, wait_seconds=WAIT_SECONDS
        )
        if page.position == self._positions[name]:
            return
        rows = msgspec.json.encode(await self._rows(name, page.events)).decode()
        await connection.execute(
            _COPY.encode(), {"rows": rows, "service": name, "position": page.position}
        )
        await self._move(name, page.position)
        if len(page.events) < BATCH_EVENTS_MAX:
            await asyncio.sleep(LINGER_SECONDS)

    async def _rows(self, name: str, events: Sequence[FeedEvent]) -> list[dict[str, Any]]:
        made = [_row(name, event) for event in events]
        columns = await sealed(
            self._store, [(name, row["position"], personal) for row, personal in made]
        )
        return [row | more for (row, _), more in zip(made, columns, strict=True)]

    async def _move(self, name: str, position: int) -> None:
        async with self._moved:
            self._positions[name] = position
            self._moved.notify_all()


async def _checkpoint(connection: psycopg.AsyncConnection[Any], name: str) -> int:
    cursor = await connection.execute(
        "SELECT position FROM public.journal_checkpoints WHERE service = %s", (name,)
    )
    row = await cursor.fetchone()
    return 0 if row is None else int(row[0])


def _row(service: str, event: FeedEvent) -> tuple[dict[str, Any], Personal]:
    """The row without what is personal, and that."""
    metadata = event.metadata
    data, redacted = redact(event.data)
    values = None
    if event.subject and event.personal and event.unreadable is None:
        data, values = split(data, event.personal)
    client, address = client_of(metadata)
    row = {
        "service": service,
        "position": event.position,
        "id": event.id,
        "stream": event.stream,
        "version": event.version,
        "type": event.type,
        "type_version": event.type_version,
        "data": msgspec.Raw(data),
        "redacted": redacted,
        "actor_kind": metadata.actor.kind,
        "actor_id": metadata.actor.id,
        "on_behalf_of": metadata.actor.on_behalf_of,
        "reason": metadata.reason and without_nul(metadata.reason),
        "command_id": metadata.command_id,
        "correlation_id": metadata.correlation_id,
        "causation_id": metadata.causation_id,
        "occurred_at": metadata.occurred_at,
        "recorded_at": event.recorded_at,
        "unreadable": event.unreadable,
    }
    subject = event.subject if event.personal else None
    return row, Personal(subject, values, client, address)

"""What reactors keep in their service's database: checkpoints, and what is parked.

All of it goes over the one connection that also holds the locks of the reactors: who lost the
lock lost the connection, and can move no checkpoint.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

import msgspec
import psycopg
from psycopg.rows import class_row

from eventstore.feed_page import FeedEvent
from projections.errors import CheckpointAhead

REACTOR_LOCK_CLASS = 0x4C4C
LISTED_MAX = 10_000

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(FeedEvent)


@dataclass(frozen=True, slots=True)
class ParkedStream:
    """A stream of one reactor, and why its messages wait."""

    reactor: str
    source: str
    stream: str
    error: str
    traceback: str
    attempts: int
    parked_at: datetime
    redrive: bool
    messages: int
    first_position: int

    @property
    def id(self) -> str:
        """One stream of one reactor."""
        return f"{self.reactor}:{self.source}:{self.stream}"


class Inbox:
    """An open connection; one statement at a time, whoever calls."""

    def __init__(self, connection: psycopg.AsyncConnection[Any]) -> None:
        self._connection = connection
        self._turn = asyncio.Lock()

    @classmethod
    async def connect(cls, conninfo: str, service: str) -> Self:
        """Raises psycopg.OperationalError."""
        return cls(
            await psycopg.AsyncConnection.connect(
                conninfo,
                autocommit=True,
                connect_timeout=5,
                application_name=f"reactors {service}"[:63],
                options="-c statement_timeout=30000",
            )
        )

    async def close(self) -> None:
        await self._connection.close()

    async def own(self, reactor: str) -> bool:
        """Become the one process that runs this reactor, while the connection lives."""
        rows = await self._run(
            "SELECT pg_try_advisory_lock(%s, hashtext(%s))", (REACTOR_LOCK_CLASS, reactor)
        )
        return rows[0][0] is True

    async def checkpoint(self, reactor: str, source: str) -> int:
        """The position up to which all messages are done."""
        await self._run(
            "INSERT INTO projections.reactor_checkpoints (reactor, source) VALUES (%s, %s)"
            " ON CONFLICT DO NOTHING",
            (reactor, source),
        )
        rows = await self._run(
            "SELECT position FROM projections.reactor_checkpoints"
            " WHERE reactor = %s AND source = %s",
            (reactor, source),
        )
        return int(rows[0][0])

    async def move(self, reactor: str, source: str, position: int) -> None:
        """Keep how far all messages are done."""
        await self._run(
            "UPDATE projections.reactor_checkpoints SET position = %s,"
            " updated_at = clock_timestamp() WHERE reactor = %s AND source = %s",
            (position, reactor, source),
        )

    async def parked(self, reactor: str, source: str) -> set[str]:
        """The streams that are parked."""
        rows = await self._run(
            "SELECT stream FROM projections.parked_streams WHERE reactor = %s AND source = %s",
            (reactor, source),
        )
        return {row[0] for row in rows}

    async def park(
        self, reactor: str, source: str, event: FeedEvent, error: str, traceback: str
    ) -> None:
        """Park the stream of an event whose reaction failed, the event first."""
        async with self._turn, self._connection.transaction():
            await self._connection.execute(
                "INSERT INTO projections.parked_streams (reactor, source, stream, error, traceback)"
                " VALUES (%(reactor)s, %(source)s, %(stream)s, %(error)s, %(traceback)s)"
                " ON CONFLICT (reactor, source, stream) DO UPDATE SET error = %(error)s,"
                " traceback = %(traceback)s, redrive = false,"
                " attempts = parked_streams.attempts + 1",
                {
                    "reactor": reactor,
                    "source": source,
                    "stream": event.stream,
                    "error": error,
                    "traceback": traceback,
                },
            )
            await self._connection.execute(*_add(reactor, source, event))

    async def park_behind(self, reactor: str, source: str, event: FeedEvent) -> None:
        """Let an event wait behind those of its stream that are parked."""
        await self._run(*_add(reactor, source, event))

    async def waiting(
        self, reactor: str, source: str, stream: str, *, limit: int
    ) -> list[FeedEvent]:
        """The first parked events of a stream, in order; `personal` ones without their data."""
        rows = await self._run(
            "SELECT message FROM projections.parked_messages WHERE reactor = %s AND source = %s"
            " AND stream = %s ORDER BY position LIMIT %s",
            (reactor, source, stream, limit),
        )
        return [_decoder.decode(row[0]) for row in rows]

    async def done(self, reactor: str, source: str, position: int) -> None:
        """A parked event has been reacted to."""
        await self._run(
            "DELETE FROM projections.parked_messages"
            " WHERE reactor = %s AND source = %s AND position = %s",
            (reactor, source, position),
        )

    async def unpark(self, reactor: str, source: str, stream: str) -> None:
        """None of the stream's events waits any more."""
        await self._run(
            "DELETE FROM projections.parked_streams"
            " WHERE reactor = %s AND source = %s AND stream = %s",
            (reactor, source, stream),
        )

    async def redrives(self) -> list[tuple[str, str, str]]:
        """Reactor, source and stream of what is to be redriven."""
        return await self._run(
            "SELECT reactor, source, stream FROM projections.parked_streams WHERE redrive"
            " ORDER BY parked_at, stream LIMIT 100",
            (),
        )

    async def ask_redrive(self, reactor: str | None = None, stream: str | None = None) -> int:
        """Ask whoever runs the reactors to react to parked events again; how many streams."""
        rows = await self._run(
            "UPDATE projections.parked_streams SET redrive = true"
            " WHERE (%(reactor)s::text IS NULL OR reactor = %(reactor)s)"
            " AND (%(stream)s::text IS NULL OR stream = %(stream)s) RETURNING stream",
            {"reactor": reactor, "stream": stream},
        )
        return len(rows)

    async def skip(self, reactor: str, stream: str) -> tuple[str, int] | None:
        """Give up the message that failed, the first that waits; those behind it are redriven.
        Returns its source and position, None if nothing waits.
        """
        async with self._turn, self._connection.transaction():
            found = await self._connection.execute(
                "DELETE FROM projections.parked_messages m USING ("
                " SELECT source, position FROM projections.parked_messages"
                "  WHERE reactor = %(reactor)s AND stream = %(stream)s"
                "  ORDER BY source, position LIMIT 1) first"
                " WHERE m.reactor = %(reactor)s AND m.source = first.source"
                " AND m.position = first.position RETURNING m.source, m.position",
                {"reactor": reactor, "stream": stream},
            )
            skipped: tuple[str, int] | None = await found.fetchone()
            if skipped is not None:
                await self._connection.execute(
                    "UPDATE projections.parked_streams SET redrive = true"
                    " WHERE reactor = %s AND source = %s AND stream = %s",
                    (reactor, skipped[0], stream),
                )
        return skipped

    async def listed(
        self,
        reactor: str | None = None,
        *,
        limit: int = LISTED_MAX,
        after: tuple[str, str] | None = None,
    ) -> list[ParkedStream]:
        """What is parked, of one reactor or all, longest first: `limit` at most, beyond the time
        and the id of another.
        """
        time, id_ = after or (None, None)
        async with (
            self._turn,
            self._connection.cursor(row_factory=class_row(ParkedStream)) as found,
        ):
            await found.execute(
                "SELECT s.*, count(m.position) AS messages,"
                " coalesce(min(m.position), 0) AS first_position"
                " FROM projections.parked_streams s"
                " LEFT JOIN projections.parked_messages m USING (reactor, source, stream)"
                " WHERE (%(reactor)s::text IS NULL OR s.reactor = %(reactor)s)"
                " AND (%(time)s::text IS NULL OR (s.parked_at, concat_ws(':', s.reactor, s.source,"
                "  s.stream)) > (%(time)s::timestamptz, %(id)s::text))"
                " GROUP BY s.reactor, s.source, s.stream"
                " ORDER BY s.parked_at, concat_ws(':', s.reactor, s.source, s.stream)"
                " LIMIT %(limit)s",
                {"reactor": reactor, "time": time, "id": id_, "limit": limit},
            )
            return await found.fetchall()

    async def _run(self, sql: str, params: Sequence[Any] | Mapping[str, Any]) -> list[Any]:
        async with self._turn:
            cursor = await self._connection.execute(sql.encode(), params)
            return await cursor.fetchall() if cursor.description else []


def _add(reactor: str, source: str, event: FeedEvent) -> tuple[str, tuple[Any, ...]]:
    return (
        "INSERT INTO projections.parked_messages (reactor, source, stream, position, message)"
        " VALUES (%s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
        (reactor, source, event.stream, event.position, _encoder.encode(_kept(event))),
    )


def _kept(event: FeedEvent) -> FeedEvent:
    """An event without what is personal: a table cannot forget it, and the feed has it still."""
    metadata = msgspec.structs.replace(event.metadata, client=None)
    data = b"{}" if event.personal else event.data
    return msgspec.structs.replace(event, metadata=metadata, data=data)


def refuse_ahead(reactor: str, position: int, head: int) -> None:
    """Raises CheckpointAhead when a checkpoint is beyond the end of the feed."""
    if position > head:
        raise CheckpointAhead(f"reactor {reactor}", position, head)

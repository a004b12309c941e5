"""What `eventsourcing` keeps beside the log: snapshots, a cache that may be deleted at any time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

import psycopg
from eventsourcing.persistence import StoredEvent

from eventstore.read import Conditions
from eventstore.recorders import LogAggregateRecorder, library_errors
from eventstore.store import EventStore


class SideTableRecorder(LogAggregateRecorder):
    """Keeps stored events that are no events in a table of their own, by stream and version."""

    def __init__(
        self, store: EventStore, to_originator_id: Callable[[str], UUID | str], purpose: str
    ) -> None:
        super().__init__(store, to_originator_id)
        self.table = f'{self.schema}."{purpose}"'

    def create_table(self) -> None:
        """Make the table where it is missing."""
        self.store.reading_sync(
            lambda c: c.execute(
                f"CREATE TABLE IF NOT EXISTS {self.table} ("
                'stream text COLLATE "C", version bigint, type text NOT NULL, '
                "payload bytea NOT NULL, PRIMARY KEY (stream, version))"
            )
        )

    @library_errors()
    def insert_events(
        self, stored_events: Sequence[StoredEvent], **kwargs: Any
    ) -> Sequence[int] | None:
        rows = [
            (str(e.originator_id), e.originator_version, e.topic, e.state) for e in stored_events
        ]

        def insert(connection: psycopg.Connection[Any]) -> None:
            with connection.transaction(), connection.cursor() as cursor:
                cursor.executemany(
                    f"INSERT INTO {self.table} VALUES (%s, %s, %s, %s)".encode(), rows
                )

        if rows:
            self.store.reading_sync(insert)
        return None

    @library_errors()
    def select_events(
        self,
        originator_id: UUID | str,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> Sequence[StoredEvent]:
        where = Conditions()
        where.add("stream = %s", str(originator_id))
        sql = f"SELECT stream, version, type, payload FROM {self.table} WHERE "
        rows = self._select(sql, where, gt, lte, desc=desc, limit=limit)
        return [
            StoredEvent(self.to_originator_id(stream), version, topic, state)
            for stream, version, topic, state in rows
        ]

"""Read models made twice, event by event and by batches, to see that they are the same."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import count
from typing import Any
from uuid import UUID

import psycopg

from eventstore import Actor, Event, Metadata, Recorded
from projections import Projection

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
ACTOR = Actor("user", "usr_1")
Tables = dict[str, list[tuple[Any, ...]]]


def projected(
    conninfo: str, projection: Projection, events: Sequence[Recorded[Any]], *, batch: int
) -> Tables:
    """The rows of all tables after these events, folded `batch` at a time (1: applied singly)."""
    handled = [event for event in events if event.type in projection.types]
    with psycopg.connect(conninfo) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE SCHEMA projected_in_a_test")
        cursor.execute("SET search_path = projected_in_a_test, public")
        cursor.execute(projection.tables.encode())
        for start in range(0, len(handled), batch):
            part = handled[start : start + batch]
            if batch == 1:
                projection.apply(part[0], cursor)
            else:
                projection.fold(part, cursor)
        rows: Tables = {}
        for table in re.findall(r"CREATE TABLE (\w+)", projection.tables):
            cursor.execute(f"SELECT * FROM {table} ORDER BY 1, 2".encode())
            rows[table] = cursor.fetchall()
        connection.rollback()
    return rows


def shown(conninfo: str, projection: Projection) -> Tables:
    """The rows of the live build."""
    with psycopg.connect(conninfo, options="-c search_path=read_models,public") as connection:
        return {
            table: connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2".encode()).fetchall()
            for table in re.findall(r"CREATE TABLE (\w+)", projection.tables)
        }


class Log:
    """Events as a store would record them, all at one time."""

    def __init__(self) -> None:
        self.events: list[Recorded[Any]] = []
        self._positions = count(1)
        self._versions: dict[str, int] = {}

    def append(self, stream: str, events: Sequence[Event]) -> None:
        for event in events:
            position = next(self._positions)
            version = self._versions[stream] = self._versions.get(stream, 0) + 1
            self.events.append(
                Recorded(
                    position=position,
                    stream=stream,
                    version=version,
                    id=UUID(int=position),
                    type=event.TYPE,
                    type_version=event.TYPE_VERSION,
                    event=event,
                    metadata=Metadata(
                        actor=ACTOR,
                        command_id="cmd_1",
                        correlation_id="cor_1",
                        occurred_at=AT,
                    ),
                    recorded_at=AT,
                )
            )

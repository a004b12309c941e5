"""How far a log is sealed, and where single events stand in it."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg

from eventstore.audit.seal import last_seal
from eventstore.layout import Layout


@dataclass(frozen=True, slots=True)
class Status:
    """`events` is the log's last position, `sealed` the last that a seal covers (0 for none)."""

    events: int
    sealed: int
    seals: int
    sealed_at: datetime | None
    key_id: str | None


@dataclass(frozen=True, slots=True)
class EventHash:
    """The leaf of an event, in hexadecimal, and the number of the seal that covers it."""

    id: UUID
    hash: str
    seal: int | None


def status(connection: psycopg.Connection[Any], layout: Layout) -> Status:
    """The last seal against the end of the log."""
    row = connection.execute(f"SELECT position FROM {layout.schema}.log".encode()).fetchone()
    events = row[0] if row is not None else 0
    seal = last_seal(connection, layout)
    if seal is None:
        return Status(events, 0, 0, None, None)
    header = seal.read()
    return Status(events, header.last, header.number, header.sealed_at, seal.key_id)


def hashes(
    connection: psycopg.Connection[Any], layout: Layout, ids: Sequence[UUID]
) -> list[EventHash]:
    """Those of the events that there are, in no order."""
    schema = layout.schema
    found = connection.execute(
        f"SELECT id, leaf, position FROM {schema}.events WHERE id = ANY(%s)".encode(),
        [list(ids)],
        binary=True,
    ).fetchall()
    if not found:
        return []
    positions = [position for _, _, position in found]
    seals = connection.execute(
        f"SELECT last, number FROM {schema}.seals "
        "WHERE last >= %s AND first <= %s ORDER BY number".encode(),
        [min(positions), max(positions)],
    ).fetchall()

    def seal_of(position: int) -> int | None:
        place = bisect_left(seals, position, key=lambda seal: seal[0])
        return seals[place][1] if place < len(seals) else None

    return [EventHash(id_, leaf.hex(), seal_of(position)) for id_, leaf, position in found]

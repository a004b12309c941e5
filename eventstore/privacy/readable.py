"""Whether what a log says of persons can be read: what no hash tells, since keys are not hashed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psycopg

from eventstore.errors import Unreadable
from eventstore.layout import Layout
from eventstore.privacy.privacy import Privacy, Sealed
from eventstore.privacy.sealing import PREFIX
from eventstore.types import EventTypes

PAGE_EVENTS = 1000


@dataclass(frozen=True, slots=True)
class Readable:
    """How many sealed events there are and how many of them do not open, with the first of those:
    its position and why.
    """

    sealed: int
    unreadable: int
    position: int | None = None
    fault: Unreadable | None = None


def readable(
    connection: psycopg.Connection[Any],
    layout: Layout,
    privacy: Privacy,
    types: EventTypes,
    *,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> Readable:
    """Open every sealed payload of the log. What is of persons who were erased is not unreadable.

    Raises what concerns all persons: WrongMasterKey, NoKeyring.
    """
    sql = (
        f"SELECT position, stream, type, type_version, payload FROM {layout.schema}.events "
        "WHERE position > %s AND type = ANY(%s) "
        "AND starts_with(payload::text, %s) "
        "ORDER BY position LIMIT %s"
    ).encode()
    head = connection.execute(f"SELECT position FROM {layout.schema}.log".encode()).fetchall()[0][0]
    sealed = unreadable = after = 0
    position, first = None, None
    cursor = connection.cursor(binary=True)
    layout.prepare_cursor(cursor)
    given = [sorted(types.personal_names), PREFIX.decode(), PAGE_EVENTS]
    while rows := cursor.execute(sql, [after, *given]).fetchall():
        found = privacy.open(connection, [Sealed(*row[1:]) for row in rows])
        for row, payload in zip(rows, found, strict=True):
            sealed += 1
            if isinstance(payload, Unreadable):
                unreadable += 1
                if first is None:
                    position, first = row[0], payload
            elif isinstance(payload, Exception):
                raise payload
        after = rows[-1][0]
        progress(after, head)
    progress(head, head)
    return Readable(sealed, unreadable, position, first)

"""Reading the log: what may be asked, the SQL that asks it, and rows made into events.

Pages are read by key (`position > last`), never by offset, so a page costs the same everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
import psycopg
from psycopg.sql import Literal

from eventstore.errors import InvalidRead, MalformedEvent
from eventstore.event import Event, Metadata, Recorded
from eventstore.layout import Layout
from eventstore.types import EventTypes

PAGE_EVENTS_MAX = 10_000
STREAM_EVENTS_MAX = 100_000
SLICE_EVENTS = 250
POSITION_MAX = 2**63 - 1
TEXTS_MAX = 1_000
"""Types or tags of one query."""

COLUMNS = "position, stream, version, id, type, type_version, payload, metadata, recorded_at, tags"

Raw = tuple[int, str, int, UUID, str, int, bytes, bytes, datetime, list[str]]
"""A row of `COLUMNS`: an event as it is stored."""

Decode = Callable[[Iterable[Raw]], list[Recorded[Any]]]


@dataclass(frozen=True, slots=True)
class Query:
    """Which events of the log: those after `after` (backwards: before it) that match everything
    given. `tags` must all be there.
    """

    after: int = 0
    limit: int = 1000
    types: Sequence[str] | None = None
    backwards: bool = False
    up_to: int | None = None
    correlation_id: str | None = None
    actor_id: str | None = None
    tags: Sequence[str] = ()
    since: datetime | None = None
    until: datetime | None = None

    def __post_init__(self) -> None:
        check_number("position", self.after, 0, POSITION_MAX)
        check_number("limit", self.limit, 1, PAGE_EVENTS_MAX)
        if self.up_to is not None:
            check_number("up_to", self.up_to, 0, POSITION_MAX)
        check_texts("types", self.types or ())
        check_texts("tags", self.tags)
        for what, text in (("correlation id", self.correlation_id), ("actor id", self.actor_id)):
            if text is not None:
                check_text(what, text)
        for what, time in (("since", self.since), ("until", self.until)):
            if time is not None and (not isinstance(time, datetime) or time.tzinfo is None):
                raise InvalidRead(what, repr(time), "a time with its zone")


@dataclass(slots=True)
class Conditions:
    """SQL conditions that must all hold, with their parameters."""

    parts: list[str] = field(default_factory=list)
    params: list[Any] = field(default_factory=list)

    def add(self, condition: str, *params: Any) -> None:
        self.parts.append(condition)
        self.params.extend(params)


def log_query(layout: Layout, query: Query) -> tuple[str, list[Any]]:
    """SQL for a page of the log, in the order asked for."""
    where = Conditions()
    if query.backwards:
        where.add("position < %s", query.after or POSITION_MAX)
    else:
        where.add("position > %s", query.after)
    if query.up_to is not None:
        where.add("position <= %s", query.up_to)
    if query.types is not None:
        where.add("type = ANY(%s)", list(query.types))
    if query.correlation_id is not None:
        where.add("metadata ->> 'correlation_id' = %s", query.correlation_id)
    if query.actor_id is not None:
        where.add("metadata -> 'actor' ->> 'id' = %s", query.actor_id)
    if query.tags:  # in the text: how rare they are decides which index is the right one
        tags = Literal(list(query.tags)).as_string().replace("%", "%%")
        where.add(f"tags <> '{{}}' AND tags @> {tags}")
    if query.since is not None:
        where.add(f"position > (SELECT {layout.schema}.position_before(%s))", query.since)
    if query.until is not None:
        where.add(f"position <= (SELECT {layout.schema}.position_before(%s))", query.until)
    order = "DESC" if query.backwards else "ASC"
    return (
        f"SELECT {COLUMNS} FROM {layout.schema}.events WHERE {' AND '.join(where.parts)} "
        f"ORDER BY position {order} LIMIT %s",
        [*where.params, query.limit],
    )


def stream_query(
    layout: Layout,
    stream: str,
    *,
    after_version: int,
    up_to_version: int | None,
    limit: int,
    backwards: bool,
) -> tuple[str, list[Any]]:
    """SQL for the events of one stream. Its row in `streams` says which partitions to look into."""
    check_text("stream", stream)
    check_number("after_version", after_version, 0, POSITION_MAX)
    check_number("limit", limit, 1, STREAM_EVENTS_MAX)
    where = Conditions()
    where.add("stream = %s", stream)
    where.add("position BETWEEN (SELECT first FROM span) AND (SELECT last FROM span)")
    where.add("version > %s", after_version)
    if up_to_version is not None:
        check_number("up_to_version", up_to_version, 0, POSITION_MAX)
        where.add("version <= %s", up_to_version)
    order = "DESC" if backwards else "ASC"
    return (
        "WITH span AS MATERIALIZED (SELECT first_position AS first, position AS last "
        f"FROM {layout.schema}.streams WHERE stream = %s) "
        f"SELECT {COLUMNS} FROM {layout.schema}.events WHERE {' AND '.join(where.parts)} "
        f"ORDER BY version {order} LIMIT %s",
        [stream, *where.params, limit],
    )


def id_query(layout: Layout) -> str:
    return f"SELECT {COLUMNS} FROM {layout.schema}.events WHERE id = %s"


def fetch(
    cursor: psycopg.Cursor[Any], sql: str, params: Sequence[Any], *, prepare: bool = True
) -> list[Raw]:
    """All rows of a query, JSON as bytes if `layout.prepare` was given the connection. Without
    `prepare` it is planned for what it says this time.
    """
    return cursor.execute(sql, params, binary=True, prepare=prepare).fetchall()


def fetch_slices(
    cursor: psycopg.Cursor[Any], sql: str, params: Sequence[Any], *, prepare: bool = True
) -> Iterator[list[Raw]]:
    """The same, in slices: rows that are decoded, and let go, while they are in the processor's
    cache cost half of those that are not.
    """
    cursor.execute(sql, params, binary=True, prepare=prepare)
    while rows := cursor.fetchmany(SLICE_EVENTS):
        yield rows


def decoder(types: EventTypes) -> Decode:
    """Rows to typed events, upcast. Raises UnknownEventType and MalformedEvent."""
    decode_metadata = msgspec.json.Decoder(Metadata).decode
    current = types.decoders()

    def decode(rows: Iterable[Raw]) -> list[Recorded[Event]]:
        last, metadata = b"", None
        events: list[Recorded[Event]] = []
        append = events.append
        for position, stream, version, id_, name, type_version, payload, raw, time, tags in rows:
            decode_payload = current.get((name, type_version))
            try:
                if decode_payload is not None:
                    event = decode_payload(payload)
                else:
                    event = types.decode(name, type_version, payload)
                    type_version = event.TYPE_VERSION
                if metadata is None or raw != last:  # one append's events share it
                    last, metadata = raw, decode_metadata(raw)
            except msgspec.MsgspecError as error:
                raise MalformedEvent(name, type_version, f"at {position}: {error}") from error
            append(
                Recorded(
                    position,
                    stream,
                    version,
                    id_,
                    name,
                    type_version,
                    event,
                    metadata,
                    time,
                    tuple(tags) if tags else (),
                )
            )
        return events

    return decode


def check_number(what: str, found: object, least: int, most: int) -> None:
    """Raises InvalidRead unless `found` is an integer between the two."""
    if type(found) is not int or not least <= found <= most:
        raise InvalidRead(what, repr(found), f"a whole number from {least} to {most}")


def check_text(what: str, found: object) -> None:
    """Raises InvalidRead unless `found` is text that PostgreSQL can be asked for."""
    if not isinstance(found, str):
        raise InvalidRead(what, repr(found), "text")
    if "\x00" in found:
        raise InvalidRead(what, repr(found), "text without NUL characters")
    try:
        found.encode()
    except UnicodeEncodeError:
        raise InvalidRead(what, ascii(found), "valid Unicode") from None


def check_texts(what: str, found: object) -> None:
    """Raises InvalidRead unless `found` is a sequence of such texts, not too many."""
    if isinstance(found, str) or not isinstance(found, Collection):
        raise InvalidRead(what, repr(found), "several texts")
    if len(found) > TEXTS_MAX:
        raise InvalidRead(f"number of {what}", len(found), f"at most {TEXTS_MAX}")
    for text in found:
        check_text(what, text)

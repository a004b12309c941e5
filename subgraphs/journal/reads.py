"""Queries over the copied events."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby, islice
from operator import itemgetter
from typing import Any

from psycopg.types.json import Jsonb

from eventstore import EventStore
from projections import ReadModels
from subgraphs.journal import numbers
from subgraphs.journal.events import LogVerified
from subgraphs.journal.personal import opened
from subgraphs.shared.events import AuditRead
from subgraphs.shared.paging import Keyset, Page

CHAIN_MAX = 200
"""How many causes of an event are followed back."""

NEWEST = Keyset("recorded_at", "id", descending=True, cast="timestamptz", id_cast="uuid")
OLDEST = Keyset("recorded_at", "id", cast="timestamptz", id_cast="uuid")
BY_VERSION = Keyset("version", "version", cast="bigint", id_cast="bigint")

Row = Mapping[str, Any]

TABLES = f"""
CREATE INDEX IF NOT EXISTS journal_reads_by_person ON public.journal_events
    USING gin ((data->'persons')) WHERE type = '{AuditRead.TYPE}';
CREATE INDEX IF NOT EXISTS journal_events_by_subject
    ON public.journal_events (subject, recorded_at, id) WHERE subject IS NOT NULL;
{numbers.TABLES}"""


@dataclass(frozen=True, slots=True)
class Where:
    """What events must be like; None is any. `subject_id` is whom an event has personal fields of,
    `person_id` whom an auditor read about (`audit.read`), `number` what it has of numbers.NUMBERS.
    """

    service: Sequence[str] | None = None
    type: Sequence[str] | None = None
    stream: str | None = None
    actor_id: str | None = None
    correlation_id: str | None = None
    subject_id: str | None = None
    person_id: str | None = None
    number: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def given(self) -> dict[str, Any]:
        """The conditions that there are, by name."""
        return {name: value for name in _CONDITIONS if (value := getattr(self, name)) is not None}

    def matches(self, row: Row) -> bool:
        """Whether a row is like that: what the table is asked for, of a row that was read."""
        return all(_MATCHES[name](row, value) for name, value in self.given().items())


ANY = Where()

_CONDITIONS = {
    "service": "service = ANY(%(service)s)",
    "type": "type = ANY(%(type)s)",
    "stream": "stream = %(stream)s",
    "actor_id": "(actor_id = %(actor_id)s OR on_behalf_of = %(actor_id)s)",
    "correlation_id": "correlation_id = %(correlation_id)s",
    "subject_id": "subject = %(subject_id)s",
    "person_id": "data->'persons' @> to_jsonb(%(person_id)s::text)",
    "number": numbers.CONDITION,
    "since": "recorded_at >= %(since)s",
    "until": "recorded_at < %(until)s",
}

_MATCHES: dict[str, Callable[[Row, Any], bool]] = {
    "service": lambda row, services: row["service"] in services,
    "type": lambda row, types: row["type"] in types,
    "stream": lambda row, stream: row["stream"] == stream,
    "actor_id": lambda row, actor: actor in (row["actor_id"], row["on_behalf_of"]),
    "correlation_id": lambda row, correlation: row["correlation_id"] == correlation,
    "subject_id": lambda row, subject: row["subject"] == subject,
    "person_id": lambda row, person: person in row["data"].get("persons", ()),
    "number": lambda row, number: numbers.has_number(row["data"], number),
    "since": lambda row, since: row["recorded_at"] >= _aware(since),
    "until": lambda row, until: row["recorded_at"] < _aware(until),
}
"""Each of `_CONDITIONS`, of a row."""

_UP_TO = "position <= (%(up_to)s::jsonb ->> service)::bigint"
NO_READS = f"type <> '{AuditRead.TYPE}'"


def _matching(where: Where) -> tuple[str, dict[str, Any]]:
    """The SQL condition of what is given, and its parameters."""
    given = where.given()
    conditions = ["TRUE", *(_CONDITIONS[name] for name in given)]
    if where.type is None and where.stream is None and where.correlation_id is None:
        conditions.append(NO_READS)
    lists = ("service", "type")
    return " AND ".join(conditions), {
        name: list(value) if name in lists else value for name, value in given.items()
    }


def _aware(time: datetime) -> datetime:
    """Times without a zone are UTC, as PostgreSQL takes them here."""
    return time if time.tzinfo is not None else time.replace(tzinfo=UTC)


class JournalReads:
    """Rows by key for loaders, and pages of lists. `store` has the keys to what is personal."""

    def __init__(self, reads: ReadModels, store: EventStore) -> None:
        self._reads, self._store = reads, store

    async def _fetch(self, query: str, params: Any) -> list[dict[str, Any]]:
        """Rows of copied events, with what is personal in them."""
        return await opened(self._store, await self._reads.fetch(query, params))

    async def page(self, page: Page, where: Where) -> list[dict[str, Any]]:
        """Events that match every given condition. Of `audit.read` there is one for each page that
        an auditor looks at: they are left out where nothing asks for them.
        """
        conditions, params = _matching(where)
        return await self._fetch(
            f"SELECT * FROM public.journal_events WHERE {page.condition} AND {conditions}"
            f" ORDER BY {page.order} LIMIT {page.limit}",
            {**page.params, **params},
        )

    async def events(self, ids: Sequence[str]) -> dict[str, Row]:
        """Events by id."""
        rows = await self._fetch(
            "SELECT * FROM public.journal_events WHERE id = ANY(%s::uuid[])", (list(ids),)
        )
        return {str(row["id"]): row for row in rows}

    async def consequences(self, ids: Sequence[str]) -> dict[str, list[Row]]:
        """Events that each of these led to directly, oldest first."""
        rows = await self._fetch(
            "SELECT * FROM public.journal_events WHERE causation_id = ANY(%s)"
            " ORDER BY recorded_at, id",
            (list(ids),),
        )
        found: dict[str, list[Row]] = {}
        for row in rows:
            found.setdefault(row["causation_id"], []).append(row)
        return found

    async def causes(self, event_id: str) -> list[dict[str, Any]]:
        """The event's causes and itself, the first cause first; at most CHAIN_MAX.

        Causes are found by the index of ids; one that is a command's id ends the chain.
        """
        return await self._fetch(
            """
            WITH RECURSIVE chain AS (
                SELECT events.*, 0 AS distance FROM public.journal_events AS events
                WHERE id = %(id)s::uuid
                UNION ALL
                SELECT events.*, distance + 1 FROM chain
                JOIN public.journal_events AS events ON events.id = CASE
                    WHEN chain.causation_id ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
                    THEN chain.causation_id::uuid END
                WHERE distance < %(most)s
            )
            SELECT * FROM chain ORDER BY distance DESC
            """,
            {"id": event_id, "most": CHAIN_MAX - 1},
        )

    async def histories(self, streams: Sequence[str], page: Page) -> dict[str, list[Row]]:
        """The same page of each stream's events, in order."""
        rows = await self._fetch(
            f"""
            SELECT found.* FROM unnest(%(streams)s::text[]) AS asked (stream)
            CROSS JOIN LATERAL (
                SELECT * FROM public.journal_events
                WHERE stream = asked.stream AND {page.condition}
                ORDER BY {page.order} LIMIT {page.limit}
            ) AS found
            """,
            {**page.params, "streams": list(streams)},
        )
        found: dict[str, list[Row]] = {}
        for row in rows:
            found.setdefault(row["stream"], []).append(row)
        return found

    async def customers_of(self, order_ids: Sequence[str]) -> dict[str, str]:
        """Whose order each is, as its first event says."""
        rows = await self._reads.fetch(
            "SELECT stream, data->>'customer_id' AS customer_id FROM public.journal_events"
            " WHERE stream = ANY(%s) AND version = 1 AND type = 'order.placed'",
            (list(order_ids),),
        )
        return {row["stream"]: row["customer_id"] for row in rows}

    async def services_of(self, stream: str) -> list[str]:
        """The services that have such a stream: one, as a rule."""
        rows = await self._reads.fetch(
            "SELECT DISTINCT service FROM public.journal_events WHERE stream = %s ORDER BY service",
            (stream,),
        )
        return [row["service"] for row in rows]

    async def payloads(self, service: str, stream: str, version: int) -> dict[int, dict[str, Any]]:
        """Payloads of a stream's events up to a version, by their versions, in order."""
        rows = await self._fetch(
            "SELECT * FROM public.journal_events"
            " WHERE service = %s AND stream = %s AND version <= %s ORDER BY version",
            (service, stream, version),
        )
        return {row["version"]: row["data"] for row in rows}

    async def last_verified(self) -> dict[str, Row]:
        """The last `log.verified` about each service's log."""
        rows = await self._fetch(
            "SELECT DISTINCT ON (data->>'service') * FROM public.journal_events"
            " WHERE type = %s ORDER BY data->>'service', recorded_at DESC",
            (LogVerified.TYPE,),
        )
        return {row["data"]["service"]: row for row in rows}

    async def between(
        self, after: Mapping[str, int], up_to: Mapping[str, int], where: Where, limit: int
    ) -> list[dict[str, Any]]:
        """The first `limit` events that match, of what was copied from one position of each service
        to another: each service's in its order, all by the time they were recorded at. A service
        that `after` does not name is read from its beginning. Of `audit.read` there is none.
        """
        conditions, params = _matching(where)
        rows = await self._reads.fetch(
            f"""
            SELECT found.* FROM jsonb_each_text(%(up_to)s) AS log (name, head)
            CROSS JOIN LATERAL (
                SELECT * FROM public.journal_events
                WHERE service = log.name AND position <= log.head::bigint
                    AND position > coalesce((%(after)s::jsonb ->> log.name)::bigint, 0)
                    AND {conditions} AND {NO_READS}
                ORDER BY position LIMIT %(limit)s
            ) AS found ORDER BY service, position
            """,
            {
                **params,
                "after": Jsonb(dict(after)),
                "up_to": Jsonb(dict(up_to)),
                "limit": limit,
            },
        )
        logs = [list(log) for _, log in groupby(rows, itemgetter("service"))]
        merged = heapq.merge(*logs, key=itemgetter("recorded_at"))
        return await opened(self._store, list(islice(merged, limit)))

    async def exported(
        self, where: Where, up_to: Mapping[str, int], after: tuple[str, int], limit: int
    ) -> list[dict[str, Any]]:
        """Events that match, up to a position of each service, in the order of exports: by service
        and position, from after one of them on.
        """
        conditions, params = _matching(where)
        return await self._fetch(
            f"SELECT * FROM public.journal_events WHERE {conditions} AND {_UP_TO}"
            " AND (service, position) > (%(after_service)s, %(after_position)s)"
            " ORDER BY service, position LIMIT %(limit)s",
            {
                **params,
                "up_to": Jsonb(dict(up_to)),
                "after_service": after[0],
                "after_position": after[1],
                "limit": limit,
            },
        )

    async def count(self, where: Where, up_to: Mapping[str, int]) -> int:
        """How many events an export has."""
        conditions, params = _matching(where)
        rows = await self._reads.fetch(
            f"SELECT count(*) AS events FROM public.journal_events WHERE {conditions} AND {_UP_TO}",
            {**params, "up_to": Jsonb(dict(up_to))},
        )
        return int(rows[0]["events"])

    async def ids_at(self, positions: Mapping[str, int]) -> dict[str, str]:
        """The id of the last event up to a position, of each service that has any."""
        rows = await self._reads.fetch(
            "SELECT asked.service, found.id FROM jsonb_each_text(%s) AS asked (service, position)"
            " CROSS JOIN LATERAL (SELECT id FROM public.journal_events AS events"
            " WHERE events.service = asked.service AND position <= asked.position::bigint"
            " ORDER BY position DESC LIMIT 1) AS found",
            (Jsonb(dict(positions)),),
        )
        return {row["service"]: str(row["id"]) for row in rows}

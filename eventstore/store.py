"""The event store of one service: append, read, follow.

    types = EventTypes([OrderPlaced, OrderPaid])
    async with EventStore(conninfo, types, name="orders") as store:
        await store.append(Append("ord_1", [OrderPlaced(...)], NO_STREAM), metadata=metadata)
        async for page in store.tail(0):
            ...

Coroutines and threads may use one store at once; what ends in `_sync` is for threads.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from types import TracebackType
from typing import Any, Self, TypeVar
from uuid import UUID

import msgspec
import psycopg
from uuid_utils import uuid7

from eventstore.append import Append, Appended, Effect, Idempotency, Unless
from eventstore.background import Background
from eventstore.committer import Committer, Ticket
from eventstore.connections import Connections
from eventstore.decide import Known, Request, replay
from eventstore.errors import (
    EventStoreError,
    ForeignPosition,
    InvalidRead,
    StoreUnavailable,
)
from eventstore.event import Metadata, Recorded
from eventstore.layout import PARTITION_EVENTS, THREADS, Layout, connect
from eventstore.position import position_of, receipt
from eventstore.privacy.keyring import Keyring
from eventstore.privacy.persons import Persons
from eventstore.privacy.privacy import Privacy
from eventstore.read import (
    POSITION_MAX,
    STREAM_EVENTS_MAX,
    Query,
    Raw,
    check_number,
    check_text,
    decoder,
    fetch,
    fetch_slices,
    id_query,
    log_query,
    stream_query,
)
from eventstore.recent import Recent
from eventstore.record import Id
from eventstore.request import make_request
from eventstore.retention import PRUNE_SECONDS, prune_keys
from eventstore.snapshots import DecodeRows, Snapshots
from eventstore.types import EventTypes
from eventstore.watch import Head, Listener

T = TypeVar("T")

_versions = msgspec.json.Decoder(dict[str, int]).decode


@dataclass(frozen=True, slots=True)
class Limits:
    """How long and how much, each with its unit."""

    unavailable_seconds: float = 5.0
    """An append or a read waits this long for a database that went away: a load and the append
    after it end before whoever asked for both gives up (a router, after 15 s)."""
    retry_seconds: float = 0.1
    """Between two tries to connect."""
    poll_seconds: float = 1.0
    """How late other processes' appends are seen when a notification is lost."""
    readers_max: int = 4
    """Connections, and threads, that read."""
    page_events: int = 1000
    """Events of one page of `tail`."""
    partition_events: int = PARTITION_EVENTS
    """Positions in each partition of the log that is made from now on."""
    snapshot_events: int = 200
    """Events of a stream between two snapshots, where its class takes part."""
    idempotency_days: float = 90.0
    """How long an idempotency key is answered as before. Repeats that come later are carried out
    again, so this is longer than any client, feed or parked message waits."""


class EventStore:
    """The log of the service `name`, in the schema `schema` of one database.

    `keyring` wraps the keys of the persons whom events tell of: needed where a type has fields
    that are personal, and then used for `Metadata.client` too.
    """

    def __init__(
        self,
        conninfo: str,
        types: EventTypes,
        *,
        name: str,
        schema: str = "eventstore",
        keyring: Keyring | None = None,
        limits: Limits = Limits(),
        create_tables: bool = True,
        new_id: Callable[[], Id] = uuid7,
    ) -> None:
        self.conninfo, self.types, self.name, self.limits = conninfo, types, name, limits
        self.layout = Layout(name, schema, limits.partition_events)
        self.watch, self.recent = Head(), Recent()
        self.privacy = Privacy(types, self.layout, keyring)
        self.persons = Persons(self)
        self.new_id = new_id
        self._create_tables = create_tables
        self._decode = opening_decoder(types, self.privacy)
        self._background = Background(self.layout)
        self._background.regularly(
            PRUNE_SECONDS, partial(prune_keys, self.layout, limits.idempotency_days)
        )
        self.snapshots = Snapshots(
            self.layout, self._decode, self._background, events=limits.snapshot_events
        )
        self._committer: Committer | None = None
        self._listener: Listener | None = None
        self._connections: Connections | None = None
        self._readers: concurrent.futures.ThreadPoolExecutor | None = None

    # Opening and closing

    async def open(self) -> None:
        """Make the tables where they are missing, and start the threads.

        Raises StoreUnavailable, WrongStore when the tables hold another service's log, NoKeyring
        or WrongMasterKey when the personal data in it could not be read or written.
        """
        await asyncio.to_thread(self.open_sync)

    async def close(self) -> None:
        """Store what waits to be appended, then end the threads and connections."""
        await asyncio.to_thread(self.close_sync)

    def open_sync(self) -> None:
        if self._committer is not None:
            return
        limits, layout = self.limits, self.layout
        try:
            with connect(self.conninfo, layout.application("open")) as connection:
                if self._create_tables:
                    layout.migrate(connection)
                self.privacy.check(connection)
                row = connection.execute(layout.sql.standing).fetchone()
        except psycopg.OperationalError as error:
            raise StoreUnavailable(self.name, str(error).strip()) from error
        assert row is not None
        self.watch.erased(row[1])
        self.watch.advance(row[0])
        self._connections = Connections(
            self.conninfo,
            layout,
            connections_max=limits.readers_max,
            unavailable_seconds=limits.unavailable_seconds,
            retry_seconds=limits.retry_seconds,
        )
        self._readers = concurrent.futures.ThreadPoolExecutor(
            limits.readers_max, thread_name_prefix=f"{THREADS}-read-{self.name}"
        )
        self._listener = Listener(
            self.conninfo,
            layout,
            self.watch,
            poll_seconds=limits.poll_seconds,
            retry_seconds=limits.retry_seconds,
        )
        self._committer = Committer(
            self.conninfo,
            layout,
            self.watch,
            self.recent,
            self._listener.tell,
            unavailable_seconds=limits.unavailable_seconds,
            retry_seconds=limits.retry_seconds,
        )
        self._listener.start()
        self._committer.start()
        self._background.start(self._connections)

    def close_sync(self, *, wait: bool = True) -> None:
        """`close` for threads. Without `wait`, the store's threads end on their own; so they do
        when one of them closes it, as happens to a store that was dropped and is collected.
        """
        wait = wait and not threading.current_thread().name.startswith(THREADS)
        if self._committer is not None:
            self._committer.stop(wait=wait)
            self._committer = None
        if self._listener is not None:
            self._listener.stop(wait=wait)
            self._listener = None
        if self._connections is not None:
            self._background.stop(wait=False)
            self._connections.close()
            self._background.stop(wait=wait)
            self._connections = None
        if self._readers is not None:
            self._readers.shutdown(wait=wait)
            self._readers = None

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    # Appending

    async def append(
        self,
        appends: Append | Sequence[Append],
        *,
        metadata: Metadata,
        idempotency: Idempotency | None = None,
        outcome: bytes = b"",
        effects: Sequence[Effect] = (),
        unless: Sequence[Unless] = (),
    ) -> Appended:
        """Store all events of `appends`, or none; run `effects` in the same transaction.

        With an idempotency key known already, nothing happens: the first answer is given again.

        Raises WrongExpectedVersion, ConditionFailed (of `unless`), IdempotencyKeyReused,
        EffectRefused, EffectFailed, MalformedEvent, UnknownEventType, InvalidAppend, ErasedSubject
        (the events tell of somebody who was), StoreUnavailable.
        """
        if isinstance(appends, Append):
            appends = (appends,)
        request = make_request(
            await self.persons.sealing(appends, metadata),
            appends,
            metadata,
            idempotency=idempotency,
            outcome=outcome,
            effects=effects,
            unless=unless,
            new_id=self.new_id,
        )
        return await self.submit(request)

    def append_sync(
        self,
        appends: Append | Sequence[Append],
        *,
        metadata: Metadata,
        idempotency: Idempotency | None = None,
        outcome: bytes = b"",
        effects: Sequence[Effect] = (),
        unless: Sequence[Unless] = (),
    ) -> Appended:
        """`append` for threads."""
        if isinstance(appends, Append):
            appends = (appends,)
        request = make_request(
            self.persons.sealing_sync(appends, metadata),
            appends,
            metadata,
            idempotency=idempotency,
            outcome=outcome,
            effects=effects,
            unless=unless,
            new_id=self.new_id,
        )
        return self.submit_sync(request)

    async def submit(self, request: Request) -> Appended:
        """Append what is encoded already."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Appended] = loop.create_future()
        self._open_committer().submit(Ticket(request, future, loop))
        return await future

    def submit_sync(self, request: Request) -> Appended:
        """`submit` for threads."""
        future: concurrent.futures.Future[Appended] = concurrent.futures.Future()
        self._open_committer().submit(Ticket(request, future, None))
        return future.result()

    async def replayed(self, idempotency: Idempotency) -> Appended | None:
        """What was answered to this key before, if it was. Raises IdempotencyKeyReused."""
        return await self.reading(lambda connection: self._replayed(connection, idempotency))

    def replayed_sync(self, idempotency: Idempotency) -> Appended | None:
        """`replayed` for threads."""
        return self.reading_sync(lambda connection: self._replayed(connection, idempotency))

    def _replayed(
        self, connection: psycopg.Connection[Any], idempotency: Idempotency
    ) -> Appended | None:
        check_text("idempotency key", idempotency.key)
        row = connection.execute(
            self.layout.sql.known, [[idempotency.key]], binary=True, prepare=True
        ).fetchone()
        if row is None:
            return None
        _, request_hash, position, versions, outcome = row
        before = Known(request_hash, Appended(position, _versions(versions), outcome=outcome))
        answer = replay(before, idempotency)
        if isinstance(answer, EventStoreError):
            raise answer
        return answer

    # Reading

    async def replayed_or_stream(
        self, idempotency: Idempotency, stream: str, *, after_version: int, limit: int
    ) -> tuple[Appended | None, list[Recorded[Any]]]:
        """`replayed`, and if the key is not known the stream's events after a version."""
        sql, params = stream_query(
            self.layout,
            stream,
            after_version=after_version,
            up_to_version=None,
            limit=limit,
            backwards=False,
        )

        read = await self.replayed_or(idempotency, lambda c: self._fetch(c, sql, params))
        return (read, []) if isinstance(read, Appended) else (None, read)

    async def replayed_or(
        self, idempotency: Idempotency, read: Callable[[psycopg.Connection[Any]], T]
    ) -> Appended | T:
        """`replayed`, and if the key is not known what `read` gives: one hop to a reading thread
        for both.
        """

        def ask(connection: psycopg.Connection[Any]) -> Appended | T:
            return self._replayed(connection, idempotency) or read(connection)

        return await self.reading(ask)

    async def read_stream(
        self,
        stream: str,
        *,
        after_version: int = 0,
        up_to_version: int | None = None,
        limit: int = STREAM_EVENTS_MAX,
        backwards: bool = False,
    ) -> list[Recorded[Any]]:
        """Events of one stream by version; empty for a stream that does not exist."""
        sql, params = stream_query(
            self.layout,
            stream,
            after_version=after_version,
            up_to_version=up_to_version,
            limit=limit,
            backwards=backwards,
        )
        return await self.reading(lambda c: self._fetch(c, sql, params))

    def read_stream_sync(
        self,
        stream: str,
        *,
        after_version: int = 0,
        up_to_version: int | None = None,
        limit: int = STREAM_EVENTS_MAX,
        backwards: bool = False,
    ) -> list[Recorded[Any]]:
        """`read_stream` for threads."""
        sql, params = stream_query(
            self.layout,
            stream,
            after_version=after_version,
            up_to_version=up_to_version,
            limit=limit,
            backwards=backwards,
        )
        return self.reading_sync(lambda c: self._fetch(c, sql, params))

    async def read(
        self,
        after: int = 0,
        *,
        limit: int = 1000,
        types: Sequence[str] | None = None,
        backwards: bool = False,
        up_to: int | None = None,
        correlation_id: str | None = None,
        actor_id: str | None = None,
        tags: Sequence[str] = (),
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> list[Recorded[Any]]:
        """A page of the log: up to `limit` events after the position `after` that match all that is
        given, in order. Backwards: before it, newest first, 0 meaning from the end.
        """
        query = Query(
            after, limit, types, backwards, up_to, correlation_id, actor_id, tags, since, until
        )
        return await self._page(query)

    async def pages(self, query: Query) -> AsyncIterator[list[Recorded[Any]]]:
        """All that matches, a page of `query.limit` at a time: forwards to where the log ends when
        it is asked for, backwards to its beginning.
        """
        if not query.backwards:
            head = await self.head()
            query = replace(query, up_to=head if query.up_to is None else min(query.up_to, head))
        while page := await self._page(query):
            yield page
            if len(page) < query.limit:
                break
            query = replace(query, after=page[-1].position)

    async def _page(self, query: Query) -> list[Recorded[Any]]:
        sql, params = log_query(self.layout, query)
        return await self.reading(lambda c: self._fetch(c, sql, params, prepare=not query.tags))

    def read_sync(
        self,
        connection: psycopg.Connection[Any] | psycopg.Cursor[Any],
        after: int,
        limit: int = 1000,
        types: Sequence[str] | None = None,
    ) -> list[Recorded[Any]]:
        """A page of the log over the caller's own connection or cursor, in its transaction."""
        sql, params = log_query(self.layout, Query(after, limit, types))
        with self._cursor(connection) as cursor:
            return self._decode_all(connection, fetch_slices(cursor, sql, params))

    def read_raw(
        self, connection: psycopg.Connection[Any] | psycopg.Cursor[Any], query: Query
    ) -> list[Raw]:
        """A page of the log as it is stored, over the caller's own connection or cursor."""
        sql, params = log_query(self.layout, query)
        with self._cursor(connection) as cursor:
            return fetch(cursor, sql, params, prepare=not query.tags)

    async def event(self, event_id: UUID) -> Recorded[Any] | None:
        """One event by its id."""
        if not isinstance(event_id, UUID):
            raise InvalidRead("event id", repr(event_id), "a UUID")
        sql = id_query(self.layout)
        found = await self.reading(lambda c: self._fetch(c, sql, [event_id]))
        return found[0] if found else None

    def _fetch(
        self,
        connection: psycopg.Connection[Any],
        sql: str,
        params: Sequence[Any],
        *,
        prepare: bool = True,
    ) -> list[Recorded[Any]]:
        slices = fetch_slices(connection.cursor(), sql, params, prepare=prepare)
        return self._decode_all(connection, slices)

    def _decode_all(
        self,
        connection: psycopg.Connection[Any] | psycopg.Cursor[Any],
        slices: Iterable[list[Raw]],
    ) -> list[Recorded[Any]]:
        events: list[Recorded[Any]] = []
        for rows in slices:
            events += self._decode(connection, rows)
        return events

    def _cursor(
        self, connection: psycopg.Connection[Any] | psycopg.Cursor[Any]
    ) -> psycopg.Cursor[Any]:
        """One of our own in the caller's transaction, that gives JSON as it is stored."""
        owner = connection if isinstance(connection, psycopg.Connection) else connection.connection
        cursor = psycopg.Cursor(owner)
        self.layout.prepare_cursor(cursor)
        return cursor

    async def head(self) -> int:
        """The last position of the log: everything up to it can be read."""
        return await self.reading(self._head)

    def head_sync(self) -> int:
        """`head` for threads."""
        return self.reading_sync(self._head)

    def _head(self, connection: psycopg.Connection[Any]) -> int:
        row = connection.execute(self.layout.sql.head, prepare=True).fetchone()
        assert row is not None
        self.watch.advance(row[0])
        position: int = row[0]
        return position

    # Following

    async def tail(
        self, after: int, *, types: Sequence[str] | None = None
    ) -> AsyncIterator[list[Recorded[Any]]]:
        """Pages of the log from `after` on, without end. A lost connection is waited for.

        Raises ForeignPosition when the log never was at `after`.
        """
        check_number("position", after, 0, POSITION_MAX)
        if after > self.watch.position and after > (head := await self.head()):
            reason = f"the log ends at {head}; it was restored to an earlier time, or is another"
            raise ForeignPosition(self.name, after, reason)
        while True:
            head = await self.wait(after, self.limits.poll_seconds)
            while after < head:
                try:
                    page = await self.read(
                        after, limit=self.limits.page_events, types=types, up_to=head
                    )
                except StoreUnavailable:
                    await asyncio.sleep(self.limits.retry_seconds)
                    continue
                if page:
                    yield page
                full = len(page) == self.limits.page_events
                after = page[-1].position if full else head

    async def wait(self, after: int, timeout_seconds: float) -> int:
        """Return once the log is beyond `after`, or when time is over: the last position known."""
        return await self.watch.wait(after, timeout_seconds)

    def wait_sync(self, after: int, timeout_seconds: float) -> int:
        """`wait` for threads."""
        return self.watch.wait_sync(after, timeout_seconds)

    # Positions

    def receipt(self, position: int) -> str:
        """A position as clients carry it: `orders:123`."""
        return receipt(self.name, position)

    def position_of(self, text: str) -> int:
        """The position of a receipt. Raises ForeignPosition for one of another store."""
        return position_of(self.name, text)

    # Inside

    async def reading(self, function: Callable[[psycopg.Connection[Any]], T]) -> T:
        """Call `function` with a connection, in one of the reading threads."""
        if self._readers is None or self._connections is None:
            raise StoreUnavailable(self.name, "it is not open")
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._readers, self._connections.read, function)

    def reading_sync(self, function: Callable[[psycopg.Connection[Any]], T]) -> T:
        """Call `function` with a connection, in this thread."""
        if self._connections is None:
            raise StoreUnavailable(self.name, "it is not open")
        return self._connections.read(function)

    def _open_committer(self) -> Committer:
        if self._committer is None:
            raise StoreUnavailable(self.name, "it is not open")
        return self._committer


def opening_decoder(types: EventTypes, privacy: Privacy) -> DecodeRows:
    """Rows to typed events, personal data opened over the connection that they came by."""
    decode = decoder(types)

    def decode_rows(
        connection: psycopg.Connection[Any] | psycopg.Cursor[Any], rows: list[Raw]
    ) -> list[Recorded[Any]]:
        return decode(privacy.opened(connection, rows))

    return decode_rows

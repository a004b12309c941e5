"""The recorders of `eventsourcing` over our log: what they insert goes the way of every append.

Versions are the application's: those of a stream may start at 0 or 1 and must follow each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import psycopg
from eventsourcing.persistence import (
    AggregateRecorder,
    ApplicationRecorder,
    DataError,
    IntegrityError,
    InterfaceError,
    InternalError,
    Notification,
    OperationalError,
    ProgrammingError,
    StoredEvent,
    Subscription,
)

from eventstore.append import STREAM_BYTES_MAX, Appended, Effect, Idempotency
from eventstore.decide import Request, Write
from eventstore.errors import (
    ConditionFailed,
    EffectFailed,
    EffectRefused,
    ErasedSubject,
    EventStoreError,
    IdempotencyKeyReused,
    InvalidAppend,
    MalformedEvent,
    StoreUnavailable,
    WrongExpectedVersion,
)
from eventstore.event import Metadata
from eventstore.expected_version import ANY
from eventstore.read import Conditions
from eventstore.record import Row, from_state, make_row, to_state
from eventstore.request import check_text, checked, encode_metadata
from eventstore.store import EventStore

NO_METADATA = b"{}"
WAIT_SECONDS = 1.0
PULL_EVENTS = 500

REFUSED = (
    WrongExpectedVersion,
    ConditionFailed,
    EffectRefused,
    IdempotencyKeyReused,
    ErasedSubject,
)


@contextmanager
def library_errors() -> Iterator[None]:
    """Raise the library's errors for ours and psycopg's."""
    try:
        yield
    except REFUSED as error:
        raise IntegrityError(str(error)) from error
    except StoreUnavailable as error:
        raise OperationalError(str(error)) from error
    except (InvalidAppend, MalformedEvent) as error:
        raise DataError(str(error)) from error
    except EffectFailed as error:
        raise ProgrammingError(str(error)) from error
    except EventStoreError as error:
        raise InternalError(str(error)) from error
    except psycopg.IntegrityError as error:
        raise IntegrityError(str(error)) from error
    except psycopg.OperationalError as error:
        raise OperationalError(str(error)) from error
    except psycopg.ProgrammingError as error:
        raise ProgrammingError(str(error)) from error
    except psycopg.Error as error:
        raise InterfaceError(str(error)) from error


class OverStore:
    """What every recorder has: the store, and how a stream becomes an originator id."""

    def __init__(self, store: EventStore, to_originator_id: Callable[[str], UUID | str]) -> None:
        self.store, self.to_originator_id = store, to_originator_id
        self.schema = store.layout.schema


class LogAggregateRecorder(OverStore, AggregateRecorder):
    """Stores events in the log and reads them by stream."""

    def insert_events(
        self, stored_events: Sequence[StoredEvent], **kwargs: Any
    ) -> Sequence[int] | None:
        self._insert(stored_events, **kwargs)
        return None

    @library_errors()
    def _insert(
        self,
        stored_events: Sequence[StoredEvent],
        *,
        metadata: Metadata | None = None,
        idempotency: Idempotency | None = None,
        effects: Sequence[Effect] = (),
        **_: Any,
    ) -> Appended | None:
        if not stored_events and idempotency is None:
            return None
        context = encode_metadata(metadata) if metadata is not None else NO_METADATA
        writes: list[Write] = []
        size = 0
        rows: list[Row] = []
        for number, stored in enumerate(stored_events):
            stream, version = str(stored.originator_id), stored.originator_version
            before = stored_events[number - 1] if number else None
            follows = before is not None and before.originator_id == stored.originator_id
            if not follows:
                check_text("originator id", stream, STREAM_BYTES_MAX)
                rows = []
                writes.append(Write(stream, ANY, rows, version))
            elif before is not None and version != before.originator_version + 1:
                raise WrongExpectedVersion(stream, version - 1, before.originator_version)
            rows.append(self.to_row(stream, stored, context))
            size += len(stored.state) + len(context)
        request = Request(
            writes,
            len(stored_events),
            size,
            idempotency,
            effects=tuple(effects),
            subjects=self.subjects_of(stored_events),
        )
        return self.store.submit_sync(checked(request))

    def subjects_of(self, stored_events: Sequence[StoredEvent]) -> Sequence[str]:
        """Whom the events tell of, as far as one can know: nothing is stored if one was erased."""
        return ()

    def to_row(self, stream: str, stored: StoredEvent, metadata: bytes) -> Row:
        """The row of a stored event: its topic is the type, its state the payload."""
        check_text("topic", stored.topic, STREAM_BYTES_MAX * 4)
        payload = from_state(stored.state)
        return make_row(stream, self.store.new_id(), stored.topic, 1, (), metadata, payload)

    columns = "stream, version, type, payload"

    def to_stored_event(self, row: tuple[Any, ...]) -> StoredEvent:
        """A row of `columns`."""
        stream, version, topic, payload = row
        return StoredEvent(self.to_originator_id(stream), version, topic, to_state(payload))

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
        where.add(
            f"position >= (SELECT first_position FROM {self.schema}.streams WHERE stream = %s)",
            str(originator_id),
        )
        sql = f"SELECT {self.columns} FROM {self.schema}.events WHERE "
        rows = self._select(sql, where, gt, lte, desc=desc, limit=limit)
        return [self.to_stored_event(row) for row in rows]

    def _select(
        self,
        sql: str,
        where: Conditions,
        gt: int | None,
        lte: int | None,
        *,
        desc: bool,
        limit: int | None,
    ) -> list[tuple[Any, ...]]:
        if gt is not None:
            where.add("version > %s", gt)
        if lte is not None:
            where.add("version <= %s", lte)
        order = "DESC" if desc else "ASC"
        sql += f"{' AND '.join(where.parts)} ORDER BY version {order}"
        params = where.params
        if limit is not None:
            sql, params = f"{sql} LIMIT %s", [*params, limit]
        return self.store.reading_sync(
            lambda c: c.execute(sql.encode(), params, binary=True, prepare=True).fetchall()
        )


class LogApplicationRecorder(LogAggregateRecorder, ApplicationRecorder):
    """Also reads the log by position, which is the notification id: gapless, in commit order."""

    def insert_events(
        self, stored_events: Sequence[StoredEvent], **kwargs: Any
    ) -> Sequence[int] | None:
        appended = self._insert(stored_events, **kwargs)
        if appended is None:
            return []
        return list(range(appended.position - len(stored_events) + 1, appended.position + 1))

    @library_errors()
    def select_notifications(
        self,
        start: int | None,
        limit: int,
        stop: int | None = None,
        topics: Sequence[str] = (),
        *,
        inclusive_of_start: bool = True,
    ) -> Sequence[Notification]:
        where = Conditions()
        where.add("position >= %s" if inclusive_of_start else "position > %s", start or 0)
        if stop is not None:
            where.add("position <= %s", stop)
        if topics:
            where.add("type = ANY(%s)", list(topics))
        sql = (
            f"SELECT position, {LogAggregateRecorder.columns} FROM {self.schema}.events "
            f"WHERE {' AND '.join(where.parts)} ORDER BY position LIMIT %s"
        )
        params = [*where.params, limit]
        rows = self.store.reading_sync(
            lambda c: c.execute(sql.encode(), params, binary=True, prepare=True).fetchall()
        )
        originator_id = self.to_originator_id
        return [
            Notification(originator_id(stream), version, topic, to_state(payload), position)
            for position, stream, version, topic, payload in rows
        ]

    @library_errors()
    def max_notification_id(self) -> int | None:
        return self.store.head_sync() or None

    def subscribe(
        self, gt: int | None = None, topics: Sequence[str] = ()
    ) -> Subscription[ApplicationRecorder]:
        return LogSubscription(self, gt, topics)


class LogSubscription(Subscription[LogApplicationRecorder]):
    """Notifications as they come: those there are, then, waiting, those that are appended."""

    def __init__(
        self, recorder: LogApplicationRecorder, gt: int | None, topics: Sequence[str]
    ) -> None:
        super().__init__(recorder=recorder, gt=gt, topics=topics)
        self._after = gt or 0
        self._pulled: list[Notification] = []

    def stop(self) -> None:
        super().stop()
        self._recorder.store.watch.nudge()

    def __next__(self) -> Notification:
        while not self._has_been_stopped:
            if self._pulled:
                return self._pulled.pop()
            self._pull()
        raise StopIteration

    def _pull(self) -> None:
        watch = self._recorder.store.watch
        head = watch.wait_sync(self._after, WAIT_SECONDS, lambda: self._has_been_stopped)
        if head <= self._after:
            return
        page = self._recorder.select_notifications(
            self._after, PULL_EVENTS, head, self._topics, inclusive_of_start=False
        )
        self._after = page[-1].id if len(page) == PULL_EVENTS else head
        self._pulled = list(reversed(page))

"""Driving one build (or a part of it) to a position, at full speed: rebuilds, and catching up."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field

import structlog

from projections import catalogue
from projections.batch import (
    Connection,
    described,
    is_out_of_resources,
    is_transient,
    write,
    write_by_sql,
    write_carefully,
)
from projections.batch_size import BatchSize
from projections.courtesy import Courtesy
from projections.log import Log, LogPage
from projections.member import Member, Share, share_of
from projections.projection import Projection
from projections.spans import Spans, batch
from projections.store_log import StoreLog

TARGET_SECONDS = 1.0
EVENTS_FIRST, EVENTS_MAX = 1_024, 16_384
"""Positions in one transaction: what is read, decoded and folded at once bounds the memory."""
PAGES_AHEAD = 2
TRANSIENT_ATTEMPTS_MAX = 8

log = structlog.get_logger(__name__)


def never() -> bool:
    """Nobody asks to stop."""
    return False


@dataclass(slots=True)
class Driver:
    """Writes one member over `connection`, whose owner it is, and reads ahead over `reader`.

    `spans` let a projection with `fold_sql` be folded within the database, where that is possible.
    """

    source: Log
    connection: Connection
    reader: Connection
    member: Member
    spans: Spans | None = None
    events_per_second_max: float = math.inf
    by_events_until: int = 0
    """Up to where batches go through Python although the projection has `fold_sql`."""
    size: BatchSize = field(
        default_factory=lambda: BatchSize(
            TARGET_SECONDS, events=EVENTS_FIRST, events_max=EVENTS_MAX
        )
    )

    def drive(
        self,
        up_to: int,
        *,
        stop: Callable[[], bool] = never,
        moved: Callable[[], None] = lambda: None,
    ) -> bool:
        """Write batches until the member is at `up_to`; False when stopped before, or when the log
        gives no more (the caller waits for a gap). Raises psycopg errors of lost connections.
        """
        courtesy = Courtesy(self.source.head(self.connection))
        with self._pages(up_to) as following:
            while self.member.position < up_to:
                if stop():
                    return False
                started, before = time.monotonic(), self.member.position
                if not self._write_by_sql() and not self._write(following(before)):
                    return False
                moved()
                seen, now = self.member.position - before, time.monotonic()
                head = self.source.head(self.connection)
                rest = courtesy.rest_seconds(now - started, seen, head, now)
                due = max(started + seen / self.events_per_second_max, now + rest)
                while not stop() and (left := due - time.monotonic()) > 0:
                    time.sleep(min(left, 0.1))
        return True

    @contextmanager
    def _pages(self, up_to: int) -> Iterator[Callable[[int], LogPage]]:
        """Pages of the log: while one is written, the next is decoded and the one after it read."""
        member, projection = self.member, self.member.projection
        ahead: dict[int, tuple[int, Future[LogPage]]] = {}

        def ask(after: int, limit: int) -> Future[LogPage]:
            asked = reading.submit(
                self.source.ask_page,
                *(self.reader, after),
                limit=limit,
                types=projection.types,
                part=member.part,
                parts=member.parts,
                bare=projection.bare,
            )
            return decoding.submit(lambda: asked.result()())

        def following(after: int) -> LogPage:
            at = after
            for _ in range(1 + PAGES_AHEAD):
                if at < up_to:
                    if at not in ahead:
                        limit = min(self.size.events, up_to - at)
                        ahead[at] = limit, ask(at, limit)
                    at += ahead[at][0]
            limit, future = ahead.pop(after)
            page = future.result()
            if page.position != after + limit:
                ahead.clear()
            return page

        reading = ThreadPoolExecutor(1, thread_name_prefix="projections-read-ahead")
        decoding = ThreadPoolExecutor(1, thread_name_prefix="projections-decode-ahead")
        try:
            yield following
        finally:
            decoding.shutdown(cancel_futures=True)
            reading.shutdown(cancel_futures=True)

    def _write_by_sql(self) -> bool:
        """Write a large batch within the database; False if it must go through Python.

        That is so when keys are parked, for old payloads and gaps, and for a batch whose statements
        failed: there, the event that fails is searched for.
        """
        member, spans, after = self.member, self.spans, self.member.position
        if spans is None or member.parked or after < self.by_events_until:
            return False
        span, types = spans.following(after), member.projection.types
        if span.old or span.position - after != span.seen:
            self.by_events_until = after + 1
            return False
        share = Share(
            *(member, [], [], span.position, span.seen, span.unknown),
            by_sql=span.wanted.get(member.part, 0),
        )
        try:
            query = batch(spans.source, span, after, types, member.part, member.parts)
            write_by_sql(self.connection, share, query, span.recorded_at)
        except Exception as error:
            if self.connection.broken or self.connection.closed:
                raise
            log.warning("projections.by_events", build=str(member), error=described(error)[0])
            self.by_events_until = span.position
            return False
        member.position = span.position
        return True

    def _write(self, page: LogPage) -> bool:
        member, attempts = self.member, 0
        share = share_of(page, member.position, member)
        if share is None:
            return False
        while True:
            started = time.perf_counter()
            try:
                write(self.connection, [share], page.recorded_at)
            except Exception as error:
                if self.connection.broken or self.connection.closed:
                    raise
                attempts += 1
                member.error = described(error)[0]
                if is_transient(error) and attempts <= TRANSIENT_ATTEMPTS_MAX:
                    time.sleep(0.02 * 2**attempts)
                    continue
                if is_out_of_resources(error):
                    raise
                keys = write_carefully(self.connection, share, page.recorded_at, forgive=True)
                member.parked.update(keys)
                for key in keys:
                    log.error("projections.parked", build=str(member), key=key, error=member.error)
                self.size.failed()
            member.position = share.end
            self.size.took(time.perf_counter() - started, page.seen)
            return True


def advance(source: Log, conninfo: str, member: Member, up_to: int) -> bool:
    """Bring a build that nobody writes to a position; False if somebody does."""
    role = f"{source.name} advance {member.build.name}"
    with (
        catalogue.connect(conninfo, role) as connection,
        catalogue.connect(conninfo, role) as reader,
    ):
        if not catalogue.own(connection, member.build.id):
            return False
        member.load(connection)
        with spans_of(source, conninfo, member.projection, up_to) as spans:
            Driver(source, connection, reader, member, spans).drive(up_to)
        return True


def spans_of(
    source: Log, conninfo: str, projection: Projection, up_to: int, parts: int = 1
) -> AbstractContextManager[Spans | None]:
    """What a projection that folds within the database needs; None for the others."""
    if projection.fold_sql and isinstance(source, StoreLog):
        return Spans(source, conninfo, projection, up_to, parts)
    return nullcontext()

"""Driving one build (or a part of it) to a position, at full speed: rebuilds, and catching up."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

import structlog

from projections import catalogue
from projections.batch import Connection, described, is_transient, write, write_carefully
from projections.batch_size import BatchSize
from projections.log import Log, LogPage
from projections.member import Member, share_of

TARGET_SECONDS = 1.0
EVENTS_FIRST, EVENTS_MAX = 1_024, 16_384
"""Positions in one transaction: what is read, decoded and folded at once bounds the memory."""
TRANSIENT_ATTEMPTS_MAX = 8

log = structlog.get_logger(__name__)


def never() -> bool:
    """Nobody asks to stop."""
    return False


@dataclass(slots=True)
class Driver:
    """Writes one member over `connection`, whose owner it is, and reads ahead over `reader`."""

    source: Log
    connection: Connection
    reader: Connection
    member: Member
    events_per_second_max: float = math.inf
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
        with self._pages(up_to) as following:
            while self.member.position < up_to:
                if stop():
                    return False
                started = time.monotonic()
                page = following(self.member.position)
                if not self._write(page):
                    return False
                moved()
                due = started + page.seen / self.events_per_second_max
                while not stop() and (left := due - time.monotonic()) > 0:
                    time.sleep(min(left, 0.1))
        return True

    @contextmanager
    def _pages(self, up_to: int) -> Iterator[Callable[[int], LogPage]]:
        """Pages of the log; the next one is read while one is written."""
        member, types = self.member, self.member.projection.types
        ahead: dict[int, Future[LogPage]] = {}

        def read(after: int, limit: int) -> LogPage:
            return self.source.read_page(
                self.reader, after, limit=limit, types=types, part=member.part, parts=member.parts
            )

        with ThreadPoolExecutor(1, thread_name_prefix="projections-read-ahead") as thread:

            def following(after: int) -> LogPage:
                limit = min(self.size.events, up_to - after)
                future = ahead.pop(after, None) or thread.submit(read, after, limit)
                page = future.result()
                ahead.clear()
                if after < page.position < up_to:
                    limit = min(self.size.events, up_to - page.position)
                    ahead[page.position] = thread.submit(read, page.position, limit)
                return page

            yield following

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
        Driver(source, connection, reader, member).drive(up_to)
        return True

"""The thread that commits: appends that wait while one batch is being written form the next one.

Nothing waits for company: a lone append is written at once, and the more callers there are, the
larger the batches become. Callers are coroutines of any loop, or threads.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
import time
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import psycopg

from eventstore.append import Appended
from eventstore.decide import Request
from eventstore.errors import EventStoreError, StoreOverloaded, StoreUnavailable
from eventstore.layout import Layout, connect
from eventstore.transaction import Answer, Batch, Writer, refusal
from eventstore.watch import Head
from eventstore.wire import Wire

QUEUE_APPENDS_MAX = 10_000
BATCH_EVENTS_MAX = 2_000
BATCH_BYTES_MAX = 8 * 1_048_576
NOTIFY_SECONDS_MIN = 0.01
"""While batches follow each other, other processes are told of new events this often."""

Future = asyncio.Future[Appended] | concurrent.futures.Future[Appended]


@dataclass(slots=True, eq=False)
class Ticket:
    """A caller's request and where its answer goes. `loop` is None for a thread."""

    request: Request
    future: Future
    loop: asyncio.AbstractEventLoop | None
    since: float = field(default_factory=time.monotonic)


class Committer:
    """Owns the one connection that appends. `submit` may be called from anywhere.

    An append that meets a lost connection waits for the next one, `unavailable_seconds` at most.
    """

    def __init__(
        self,
        conninfo: str,
        layout: Layout,
        head: Head,
        *,
        unavailable_seconds: float,
        retry_seconds: float,
    ) -> None:
        self._conninfo, self._layout, self._head = conninfo, layout, head
        self._unavailable_seconds, self._retry_seconds = unavailable_seconds, retry_seconds
        self._writer = Writer(layout)
        self._queue: deque[Ticket] = deque()
        self._changed = threading.Condition()
        self._stopping = False
        self._wire: Wire | None = None
        self._notified_at = 0.0
        self.batches = 0
        self._thread = threading.Thread(
            target=self._run, name=f"eventstore-append-{layout.name}", daemon=True
        )

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Write what waits, then end."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        self._thread.join()

    def submit(self, ticket: Ticket) -> None:
        """Raises StoreOverloaded when too many wait, StoreUnavailable after `stop`."""
        with self._changed:
            if self._stopping:
                raise StoreUnavailable(self._layout.name, "it is closed")
            if len(self._queue) >= QUEUE_APPENDS_MAX:
                raise StoreOverloaded(self._layout.name, len(self._queue))
            self._queue.append(ticket)
            self._changed.notify()

    def _run(self) -> None:
        try:
            while tickets := self._take():
                self._commit(tickets)
        finally:
            if self._wire is not None:
                self._wire.connection.close()

    def _take(self) -> list[Ticket]:
        """The next batch, waiting for one; empty when there will be none."""
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._stopping)
            tickets: list[Ticket] = []
            events = size = 0
            while self._queue:
                request = self._queue[0].request
                events, size = events + request.events, size + request.size
                if tickets and (events > BATCH_EVENTS_MAX or size > BATCH_BYTES_MAX):
                    break
                ticket = self._queue.popleft()
                if not ticket.future.cancelled():
                    tickets.append(ticket)
            return tickets if tickets or self._stopping else self._take()

    def _commit(self, tickets: Sequence[Ticket]) -> None:
        """Write a batch; if it cannot be written as one, each append by itself."""
        batch = Batch([ticket.request for ticket in tickets])
        effects = any(request.effects for request in batch.requests)
        for apart in (False, True) if effects else (False,):
            try:
                self._write(batch, apart=apart, since=tickets[0].since)
            except psycopg.Error as error:
                failure: EventStoreError = refusal(error, of_effect=effects)
            except StoreUnavailable as error:
                deliver((ticket, error) for ticket in tickets)
                return
            else:
                self._head.advance(batch.position)
                deliver(zip(tickets, batch.answers, strict=True))
                self._notify()
                return
        if len(tickets) == 1:
            deliver([(tickets[0], failure)])
            return
        for ticket in tickets:
            self._commit([ticket])

    def _write(self, batch: Batch, *, apart: bool, since: float) -> None:
        """Write over a connection that works, connecting again as often as time allows.

        Raises psycopg.Error for what another connection would not change, and StoreUnavailable.
        """
        while True:
            try:
                self._writer.commit(self._connected(), batch, apart=apart)
            except psycopg.OperationalError as error:
                if self._wire is not None and not self._wire.connection.closed:
                    raise
                self._wire = None
                if time.monotonic() - since > self._unavailable_seconds or self._stopping:
                    raise StoreUnavailable(
                        self._layout.name, str(error).strip(), unknown=batch.marker is not None
                    ) from error
                time.sleep(self._retry_seconds)
            else:
                self.batches += 1
                return

    def _connected(self) -> Wire:
        if self._wire is None or self._wire.connection.closed:
            connection = connect(self._conninfo, self._layout.application("append"))
            try:
                connection.execute("SET idle_in_transaction_session_timeout = '5s'")
                self._wire = Wire(connection, self._layout.sql.appending)
            except psycopg.Error:
                connection.close()
                raise
        return self._wire

    def _notify(self) -> None:
        """Tell other processes, apart from the commit: NOTIFY makes commits of all databases queue.

        It is a hint, so it need not survive a crash, and a lost one is made up for by polling.
        """
        now = time.monotonic()
        if self._queue and now - self._notified_at < NOTIFY_SECONDS_MIN:
            return
        self._notified_at = now
        try:
            self._connected().simple(
                b"BEGIN; SET LOCAL synchronous_commit = off; NOTIFY %b, '%d'; COMMIT"
                % (self._layout.channel.encode(), self._head.position)
            )
        except psycopg.OperationalError:
            self._wire = None


def deliver(answers: Iterable[tuple[Ticket, Answer]]) -> None:
    """Give callers their answers: threads at once, coroutines with one call for each loop."""
    loops: dict[asyncio.AbstractEventLoop, list[tuple[Future, Answer]]] = {}
    for ticket, answer in answers:
        if ticket.loop is None:
            _give(ticket.future, answer)
        else:
            loops.setdefault(ticket.loop, []).append((ticket.future, answer))
    for loop, given in loops.items():
        try:
            loop.call_soon_threadsafe(_give_all, given)
        except RuntimeError:  # the loop was closed: nobody waits there any more
            if not loop.is_closed():
                raise


def _give_all(given: Sequence[tuple[Future, Answer]]) -> None:
    for future, answer in given:
        _give(future, answer)


def _give(future: Future, answer: Answer) -> None:
    if future.done():
        return
    if isinstance(answer, Appended):
        future.set_result(answer)
    else:
        future.set_exception(answer)

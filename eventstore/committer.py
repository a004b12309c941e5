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
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import psycopg

from eventstore.append import Appended
from eventstore.decide import Request
from eventstore.errors import EventStoreError, StoreOverloaded, StoreUnavailable
from eventstore.layout import THREADS, Layout, connect
from eventstore.recent import Recent
from eventstore.transaction import Answer, Batch, Writer, refusal
from eventstore.watch import Head
from eventstore.wire import Wire

QUEUE_APPENDS_MAX = 10_000
BATCH_EVENTS_MAX = 2_000
BATCH_BYTES_MAX = 8 * 1_048_576
IDLE_SECONDS_MAX = 5
"""After this the database ends the transaction of a process that stopped in the middle of one."""
LOCK_SECONDS_MAX = 10
"""A batch waits this long for its turn, an effect for rows that others hold."""

Future = asyncio.Future[Appended] | concurrent.futures.Future[Appended]


@dataclass(slots=True, eq=False)
class Ticket:
    """A caller's request and where its answer goes. `loop` is None for a thread."""

    request: Request
    future: Future
    loop: asyncio.AbstractEventLoop | None
    since: float = field(default_factory=time.monotonic)


class Committer:
    """Owns the one connection that appends. `submit` may be called from anywhere; `committed` is
    called after each batch.

    An append that meets a lost connection waits for the next one, `unavailable_seconds` at most.
    """

    def __init__(
        self,
        conninfo: str,
        layout: Layout,
        head: Head,
        recent: Recent,
        committed: Callable[[], None],
        *,
        unavailable_seconds: float,
        retry_seconds: float,
    ) -> None:
        self._conninfo, self._layout, self._head = conninfo, layout, head
        self._recent = recent
        self._committed = committed
        self._unavailable_seconds, self._retry_seconds = unavailable_seconds, retry_seconds
        self._writer = Writer(layout)
        self._queue: deque[Ticket] = deque()
        self._asleep = threading.Lock()
        self._asleep.acquire()
        self._idle = self._stopping = self._ended = False
        self._wire: Wire | None = None
        self.batches = 0
        self._thread = threading.Thread(
            target=self._run, name=f"{THREADS}-append-{layout.name}", daemon=True
        )

    def start(self) -> None:
        self._thread.start()

    def stop(self, *, wait: bool = True) -> None:
        """Write what waits, then end."""
        self._stopping = True
        self._wake()
        if wait:
            self._thread.join()

    def submit(self, ticket: Ticket) -> None:
        """Raises StoreOverloaded when too many wait, StoreUnavailable after `stop`."""
        if self._stopping:
            raise self._closed()
        if len(self._queue) >= QUEUE_APPENDS_MAX:
            raise StoreOverloaded(self._layout.name, len(self._queue))
        self._queue.append(ticket)
        if self._idle:
            self._wake()
        if self._ended:
            self._refuse_rest()

    def _wake(self) -> None:
        with suppress(RuntimeError):  # somebody else has woken it already
            self._asleep.release()

    def _closed(self) -> StoreUnavailable:
        return StoreUnavailable(self._layout.name, "it is closed")

    def _refuse_rest(self) -> None:
        """Answer what came in while the thread ended."""
        with suppress(IndexError):
            while True:
                deliver([(self._queue.popleft(), self._closed())])

    def _run(self) -> None:
        try:
            while not self._stopping or self._queue:
                if tickets := self._take():
                    self._commit_or_say_why_not(tickets)
                else:
                    self._sleep()
        finally:
            self._ended = True
            self._refuse_rest()
            if self._wire is not None:
                self._wire.connection.close()

    def _sleep(self) -> None:
        """Wait for work. Callers wake only who sleeps: appending to the queue takes no lock."""
        self._idle = True
        if not self._queue and not self._stopping:
            self._asleep.acquire()
        self._idle = False

    def _take(self) -> list[Ticket]:
        """The next batch: what waits, up to the limits. Who gave up waiting is left out."""
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
        return tickets

    def _commit_or_say_why_not(self, tickets: Sequence[Ticket]) -> None:
        """A mistake of ours fails one batch: nobody is left waiting, and the thread goes on."""
        try:
            self._commit(tickets)
        except Exception as error:
            if self._wire is not None:
                self._wire.connection.close()
                self._wire = None
            failure = StoreUnavailable(self._layout.name, repr(error), unknown=True)
            failure.__cause__ = error
            deliver((ticket, failure) for ticket in tickets)

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
                self._recent.add(batch.placed, batch.stored_at)
                self._head.advance(batch.position)
                deliver(zip(tickets, batch.answers, strict=True))
                self._committed()
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
                connection.execute(
                    f"SET idle_in_transaction_session_timeout = {IDLE_SECONDS_MAX * 1000}"
                )
                connection.execute(f"SET lock_timeout = {LOCK_SECONDS_MAX * 1000}")
                self._wire = Wire(connection, self._layout.sql.appending)
            except psycopg.Error:
                connection.close()
                raise
        return self._wire


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

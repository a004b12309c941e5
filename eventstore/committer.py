"""The thread that commits: appends that wait while one batch is being written form the next one.

Nothing waits for company: a lone append is written at once, and the more callers there are, the
larger the batches become. With many of them there are two batches on their way: the server writes
one while callers, and we, are busy with the other. Callers are coroutines of any loop, or threads.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import socket
import sys
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
SENT_BATCHES_MAX = 2
AHEAD_APPENDS_MIN = 16
"""A batch that is sent before the one before it is answered has so many at least."""
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


@dataclass(slots=True, eq=False)
class Flight:
    """A batch that is being written, and who waits for it."""

    tickets: Sequence[Ticket]
    batch: Batch
    sent: bool = False


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
        ahead_appends_min: int = AHEAD_APPENDS_MIN,
    ) -> None:
        self._conninfo, self._layout, self._head = conninfo, layout, head
        self._ahead_appends_min = ahead_appends_min
        self._recent = recent
        self._committed = committed
        self._unavailable_seconds, self._retry_seconds = unavailable_seconds, retry_seconds
        self._writer = Writer(layout)
        self._queue: deque[Ticket] = deque()
        self._stopping = self._ended = False
        self._wire: Wire | None = None
        self._flights: deque[Flight] = deque()
        """What was taken from the queue and not answered."""
        self._wanted = sys.maxsize
        """How many have to wait for us to be woken: from sleep by the lock, or, when we wait for an
        answer too, by a byte."""
        self._appending = 0
        self._idle = False
        self._asleep = threading.Lock()
        self._asleep.acquire()
        self._woken, self._waking = socket.socketpair()
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
        if len(self._queue) >= self._wanted:
            self._wake()
        if self._ended:
            self._refuse_rest()

    def _wake(self) -> None:
        self._wanted = sys.maxsize
        if self._idle:
            with suppress(RuntimeError):  # somebody else has woken it already
                self._asleep.release()
        else:
            with suppress(OSError):  # it has ended
                self._waking.send(b"x")

    def _closed(self) -> StoreUnavailable:
        return StoreUnavailable(self._layout.name, "it is closed")

    def _refuse_rest(self) -> None:
        """Answer what came in while the thread ended."""
        with suppress(IndexError):
            while True:
                deliver([(self._queue.popleft(), self._closed())])

    def _run(self) -> None:
        try:
            while self._queue or self._flights or not self._stopping:
                try:
                    self._turn()
                except Exception as error:
                    self._give_up(error)
        finally:
            self._ended = True
            self._refuse_rest()
            self._disconnect()
            self._woken.close()
            self._waking.close()

    @property
    def _flights_max(self) -> int:
        """How many batches may be on their way: one while other processes keep the server busy."""
        return SENT_BATCHES_MAX if self._writer.alone else 1

    def _turn(self) -> None:
        """Send what waits, then wait for more of it, or for an answer."""
        while self._queue and len(self._flights) < self._flights_max:
            if self._flights and len(self._queue) < self._half():
                break
            if tickets := self._take():
                self._launch(Flight(tickets, Batch([ticket.request for ticket in tickets])))
        if not self._flights:
            self._sleep()
        elif self._answered():
            self._land()

    def _sleep(self) -> None:
        """Wait for work. Callers wake only who sleeps: appending to the queue takes no lock."""
        self._idle, self._wanted = True, 1
        if not self._queue and not self._stopping:
            self._asleep.acquire()
        self._idle, self._wanted = False, sys.maxsize

    def _answered(self) -> bool:
        """Wait until there is an answer (true), or enough to be sent before."""
        assert self._wire is not None
        if len(self._flights) < self._flights_max:
            self._wanted = self._half()
        answered = len(self._queue) < self._wanted and self._wire.wait(self._woken)
        self._wanted = sys.maxsize
        return answered

    def _half(self) -> int:
        """Half of those who append, if that is worth a batch: the server writes it then while the
        other half is busy. There were as many as were seen to wait lately, or nearly.
        """
        waiting = len(self._queue) + sum(len(flight.tickets) for flight in self._flights)
        self._appending = max(waiting, self._appending)
        return max(self._ahead_appends_min, (self._appending + 1) // 2)

    def _take(self) -> list[Ticket]:
        """The next batch: what waits, up to the limits, and to a half of those who append. Where
        other processes append too, the server is busy with theirs: then all that waits is taken,
        less often. Who gave up waiting is left out.
        """
        most = self._half() if self._flights_max > 1 else QUEUE_APPENDS_MAX
        self._appending -= self._appending // 16
        tickets: list[Ticket] = []
        events = size = 0
        while self._queue and len(tickets) < most:
            request = self._queue[0].request
            events, size = events + request.events, size + request.size
            if tickets and (events > BATCH_EVENTS_MAX or size > BATCH_BYTES_MAX):
                break
            ticket = self._queue.popleft()
            if not ticket.future.cancelled():
                tickets.append(ticket)
        return tickets

    def _launch(self, flight: Flight) -> None:
        """Send a batch on the assumption that all goes well, or write it by itself."""
        self._flights.append(flight)
        call = self._writer.assume(flight.batch) if not self._lost() else None
        if call is None or self._wire is None:
            while self._flights[0].sent:
                self._land()
            self._commit(flight)
            return
        flight.sent = True
        try:
            self._wire.send([call])
        except psycopg.OperationalError:
            self._land()

    def _land(self) -> None:
        """Take the answer to the batch that was sent first. If it was not stored, take those to the
        others too, then write it, with care.
        """
        refused: list[Flight] = []
        for flight in [flight for flight in self._flights if flight.sent]:
            if self._stored(flight.batch):
                self._answer(flight)
            else:
                refused.append(flight)
            if not refused:
                return
        for flight in refused:
            self._commit(flight)

    def _stored(self, batch: Batch) -> bool:
        """Whether a batch that was sent is known to be stored."""
        try:
            if self._wire is not None and not self._lost():
                return self._writer.agreed(batch, self._wire.receive()[0])
        except psycopg.Error:
            if not self._lost():
                return self._writer.agreed(batch, None)
        self._writer.lost(batch)
        return False

    def _lost(self) -> bool:
        return self._wire is None or self._wire.connection.closed

    def _answer(self, flight: Flight) -> None:
        """Tell everybody of a batch that is stored."""
        batch = flight.batch
        self.batches += 1
        self._recent.add(batch.placed, batch.base, batch.stored_at)
        self._head.advance(batch.position)
        deliver(zip(flight.tickets, batch.answers, strict=True))
        self._flights.remove(flight)
        self._committed()

    def _give_up(self, error: Exception) -> None:
        """A mistake of ours fails what is on its way, or would be next: we go on."""
        self._disconnect()
        self._writer = Writer(self._layout)
        if not self._flights and self._queue:
            self._flights.append(Flight([self._queue.popleft()], Batch(())))
        failure = StoreUnavailable(self._layout.name, repr(error), unknown=True)
        failure.__cause__ = error
        while self._flights:
            deliver((ticket, failure) for ticket in self._flights.popleft().tickets)

    def _disconnect(self) -> None:
        if self._wire is not None:
            self._wire.connection.close()
            self._wire = None

    def _commit(self, flight: Flight) -> None:
        """Write a batch with care; if it cannot be written as one, each append by itself."""
        tickets, batch = flight.tickets, flight.batch
        effects = any(request.effects for request in batch.requests)
        failure: EventStoreError
        for apart in (False, True) if effects else (False,):
            try:
                self._write(batch, apart=apart, since=tickets[0].since)
            except psycopg.Error as error:
                failure = refusal(error, of_effect=effects)
                if batch.lost:  # what was lost may still come to be
                    failure = StoreUnavailable(self._layout.name, str(failure), unknown=True)
            except StoreUnavailable as error:
                self._flights.remove(flight)
                deliver((ticket, error) for ticket in tickets)
                return
            else:
                self._answer(flight)
                return
        self._flights.remove(flight)
        if len(tickets) == 1:
            deliver([(tickets[0], failure)])
            return
        singles = [
            Flight(
                [ticket],
                Batch(
                    [ticket.request], [attempt.only(n, ticket.request) for attempt in batch.lost]
                ),
            )
            for n, ticket in enumerate(tickets)
        ]
        self._flights.extendleft(reversed(singles))
        for single in singles:
            self._commit(single)

    def _write(self, batch: Batch, *, apart: bool, since: float) -> None:
        """Write over a connection that works, connecting again as often as time allows.

        Raises psycopg.Error for what another connection would not change, and StoreUnavailable.
        """
        while True:
            try:
                self._writer.commit(self._connected(), batch, apart=apart)
            except psycopg.OperationalError as error:
                if not self._lost():
                    raise
                self._wire = None
                if time.monotonic() - since > self._unavailable_seconds or self._stopping:
                    raise StoreUnavailable(
                        self._layout.name, str(error).strip(), unknown=bool(batch.lost)
                    ) from error
                time.sleep(self._retry_seconds)
            else:
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
                self._writer.position = None
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

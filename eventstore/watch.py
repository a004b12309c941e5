"""Knowing where the log ends, and waking those who wait for it to go on.

Commits of this process wake its waiters directly. Those of others come as notifications, which are
hints: they may be lost with a connection, so the listener also asks every `poll_seconds`.
"""

from __future__ import annotations

import asyncio
import select
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import psycopg

from eventstore.layout import THREADS, Layout, connect

TELL_SECONDS_MIN = 0.05
"""While batches follow each other, other processes are told of new events this often."""


@dataclass(frozen=True, slots=True, eq=False)
class _Waiter:
    after: int
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[int]


class Head:
    """The last position known to be committed. Only grows; waiters are woken when it does."""

    def __init__(self) -> None:
        self._position = self._erasures = 0
        self._moved = threading.Condition()
        self._waiters: set[_Waiter] = set()

    @property
    def position(self) -> int:
        return self._position

    @property
    def erasures(self) -> int:
        """How many persons the log is known to have forgotten: when it grows, what was folded
        before may still tell of one.
        """
        return self._erasures

    def erased(self, erasures: int) -> None:
        """Any thread: the log is known to have forgotten so many."""
        self._erasures = max(erasures, self._erasures)

    def advance(self, position: int) -> None:
        """Any thread: the log is known to reach `position`."""
        if position <= self._position:
            return
        with self._moved:
            if position <= self._position:
                return
            self._position = position
            self._moved.notify_all()
            woken = [waiter for waiter in self._waiters if waiter.after < position]
            self._waiters.difference_update(woken)
        by_loop: dict[asyncio.AbstractEventLoop, list[asyncio.Future[int]]] = {}
        for waiter in woken:
            by_loop.setdefault(waiter.loop, []).append(waiter.future)
        for loop, futures in by_loop.items():
            wake(loop, futures, position)

    async def wait(self, after: int, timeout_seconds: float) -> int:
        """Return the position once it is beyond `after`, or when time is over."""
        loop = asyncio.get_running_loop()
        with self._moved:
            if self._position > after:
                return self._position
            waiter = _Waiter(after, loop, loop.create_future())
            self._waiters.add(waiter)
        try:
            async with asyncio.timeout(timeout_seconds):
                return await waiter.future
        except TimeoutError:
            return self._position
        finally:
            with self._moved:
                self._waiters.discard(waiter)

    def wait_sync(
        self,
        after: int,
        timeout_seconds: float,
        interrupted: Callable[[], bool] = lambda: False,
    ) -> int:
        """The same for threads; also ends when `interrupted`, which `nudge` makes it ask again."""
        with self._moved:
            self._moved.wait_for(lambda: self._position > after or interrupted(), timeout_seconds)
            return self._position

    def nudge(self) -> None:
        """Make waiting threads see whether they were interrupted."""
        with self._moved:
            self._moved.notify_all()


def wake(loop: asyncio.AbstractEventLoop, futures: list[asyncio.Future[Any]], result: Any) -> None:
    """Give futures of another thread's loop their result, in one call."""

    def give() -> None:
        for future in futures:
            if not future.done():
                future.set_result(result)

    try:
        loop.call_soon_threadsafe(give)
    except RuntimeError:
        if not loop.is_closed():
            raise


class Listener:
    """A thread that keeps `head` up to date with what others append, and tells them of ours.

    Telling is apart from committing, since NOTIFY makes the commits of all databases of a server
    queue. It is a hint: it need not survive a crash, and a lost one is made up for by polling.
    """

    def __init__(
        self,
        conninfo: str,
        layout: Layout,
        head: Head,
        *,
        poll_seconds: float,
        retry_seconds: float,
    ) -> None:
        self._conninfo, self._layout, self._head = conninfo, layout, head
        self._poll_seconds, self._retry_seconds = poll_seconds, retry_seconds
        self._stopping = threading.Event()
        self._telling = False
        self._wake_read, self._wake_write = socket.socketpair()
        self._wake_read.setblocking(False)
        self._thread = threading.Thread(
            target=self._run, name=f"{THREADS}-listen-{layout.name}", daemon=True
        )

    def start(self) -> None:
        self._thread.start()

    def tell(self) -> None:
        """Any thread: tell other processes that the log went on, soon, without being waited for."""
        if not self._telling:
            self._telling = True
            self._wake()

    def stop(self, *, wait: bool = True) -> None:
        self._stopping.set()
        self._wake()
        if wait:
            self._thread.join()

    def _wake(self) -> None:
        with suppress(OSError):  # it is ending already
            self._wake_write.send(b"x")

    def _run(self) -> None:
        try:
            self._follow()
        finally:
            self._wake_read.close()
            self._wake_write.close()

    def _follow(self) -> None:
        while not self._stopping.is_set():
            try:
                with connect(self._conninfo, self._layout.application("listen")) as connection:
                    connection.execute("SET synchronous_commit = off")
                    connection.execute(f'LISTEN "{self._layout.channel}"')
                    self._listen(connection)
            except psycopg.Error:
                self._stopping.wait(self._retry_seconds)

    def _listen(self, connection: psycopg.Connection[Any]) -> None:
        wire, poll = connection.pgconn, select.poll()
        poll.register(wire.socket, select.POLLIN)
        poll.register(self._wake_read, select.POLLIN)
        ask_at = tell_at = 0.0
        while not self._stopping.is_set() or self._telling:
            now = time.monotonic()
            if now >= ask_at:
                row = connection.execute(self._layout.sql.standing).fetchone()
                assert row is not None
                self._head.erased(row[1])
                self._head.advance(row[0])
                ask_at = now + self._poll_seconds
            if self._telling and (now >= tell_at or self._stopping.is_set()):
                self._telling = False  # first, so that what comes meanwhile is told the next time
                connection.execute(f"NOTIFY \"{self._layout.channel}\", '{self._head.position}'")
                tell_at = now + TELL_SECONDS_MIN
                continue
            until = min(ask_at, tell_at) if self._telling else ask_at
            poll.poll(max(until - now, 0) * 1000)
            with suppress(BlockingIOError):
                self._wake_read.recv(4096)
            wire.consume_input()
            while (notification := wire.notifies()) is not None:
                if notification.extra == self._layout.erasure_notice:
                    ask_at = 0.0
                else:
                    self._head.advance(int(notification.extra))

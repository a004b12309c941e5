"""Timers: rows that say when a step of a process is to be looked at again.

A timer is set by an effect, in the transaction of the append that needs it, and fires once it is
due: `fire` gets it like a message, at least once, with an idempotency key. Its token says for which
turn of the step it was set, so that whoever gets it can tell that the step moved on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import structlog
from psycopg.rows import class_row

from eventstore.append import Effect, Idempotency
from eventstore.store import EventStore
from projections import catalogue
from projections.batch import described
from projections.faults import fault_point

TIMERS_LOCK = (0x4C4D, 0)
POLL_SECONDS = 0.5
BATCH_TIMERS_MAX = 100
FIRE_SECONDS_MAX = 60.0
RETRY_SECONDS_MAX = 60.0
CONCURRENCY_MAX = 16

log = structlog.get_logger(__name__)

Connection = psycopg.AsyncConnection[Any]


@dataclass(frozen=True, slots=True)
class Timer:
    """A timer that is due. `attempts` counts firings that failed before."""

    stream: str
    step: str
    due_at: datetime
    token: str
    data: bytes
    attempts: int

    @property
    def idempotency(self) -> Idempotency:
        """What to append the effect of this firing with."""
        return Idempotency(f"timer:{self.stream}:{self.step}:{self.token}", b"")


class Timers:
    """Effects that set and cancel timers."""

    def set_effect(
        self, stream: str, step: str, due_at: datetime, token: str, data: bytes = b""
    ) -> Effect:
        """Set the timer of a step; one that is set already is replaced."""
        return Effect(
            "INSERT INTO projections.timers (stream, step, due_at, token, data)"
            " VALUES (%s, %s, %s, %s, %s) ON CONFLICT (stream, step) DO UPDATE SET"
            " due_at = excluded.due_at, token = excluded.token, data = excluded.data, attempts = 0",
            (stream, step, due_at, token, data),
        )

    def cancel_effect(self, stream: str, step: str | None = None) -> Effect:
        """Take back the timer of a step, or all timers of a stream."""
        return Effect(
            "DELETE FROM projections.timers WHERE stream = %s AND step = coalesce(%s::text, step)",
            (stream, step),
        )


class TimerRunner:
    """Calls `fire` for timers that are due by `clock`, one process at a time.

    Timers of one stream fire in order of time, of several streams at the same time. When `fire`
    raises it is called again later, at longer and longer intervals, and never given up.
    """

    def __init__(
        self,
        store: EventStore,
        fire: Callable[[Timer], Awaitable[None]],
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        poll_seconds: float = POLL_SECONDS,
        conninfo: str | None = None,
    ) -> None:
        self.service, self._fire, self._clock = store.name, fire, clock
        self.conninfo = store.conninfo if conninfo is None else conninfo
        self._poll_seconds = poll_seconds
        self._task: asyncio.Task[None] | None = None
        self.fired = 0
        self.failing = 0
        """How many timers failed when they were last fired."""

    async def start(self) -> None:
        """Create what is missing, then look for timers that are due."""
        await asyncio.to_thread(self._install)
        self._task = asyncio.create_task(self._run(), name=f"timers-{self.service}")

    async def stop(self) -> None:
        """Give up what is under way: it fires again."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def __aenter__(self) -> TimerRunner:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def _install(self) -> None:
        with catalogue.connect(self.conninfo, f"{self.service} timers") as connection:
            catalogue.install(connection)

    async def _run(self) -> None:
        while True:
            try:
                connection = await psycopg.AsyncConnection.connect(
                    self.conninfo,
                    autocommit=True,
                    connect_timeout=5,
                    application_name=f"timers {self.service}"[:63],
                )
                try:
                    await self._serve(connection)
                finally:
                    await connection.close()
            except psycopg.Error as error:
                log.warning("timers.reconnect", service=self.service, error=described(error)[0])
            await asyncio.sleep(self._poll_seconds)

    async def _serve(self, connection: Connection) -> None:
        owned = False
        while True:
            if not owned:
                cursor = await connection.execute(
                    "SELECT pg_try_advisory_lock(%s, %s)", TIMERS_LOCK
                )
                row = await cursor.fetchone()
                owned = row is not None and row[0] is True
            if not owned or not await self._fire_due(connection):
                await asyncio.sleep(self._poll_seconds)

    async def _fire_due(self, connection: Connection) -> bool:
        """Fire what is due; whether there may be more."""
        async with connection.cursor(row_factory=class_row(Timer)) as cursor:
            await cursor.execute(
                "SELECT stream, step, due_at, token, data, attempts FROM projections.timers"
                " WHERE due_at <= %s ORDER BY due_at LIMIT %s",
                (self._clock(), BATCH_TIMERS_MAX),
            )
            due = await cursor.fetchall()
        streams: dict[str, list[Timer]] = {}
        for timer in due:
            streams.setdefault(timer.stream, []).append(timer)
        turns = asyncio.Semaphore(CONCURRENCY_MAX)
        outcomes = await asyncio.gather(
            *(self._fire_stream(timers, turns) for timers in streams.values())
        )
        self.failing = 0
        for timer, error in (outcome for several in outcomes for outcome in several):
            await self._settle(connection, timer, error)
        return len(due) == BATCH_TIMERS_MAX

    async def _fire_stream(
        self, timers: list[Timer], turns: asyncio.Semaphore
    ) -> list[tuple[Timer, Exception | None]]:
        outcomes: list[tuple[Timer, Exception | None]] = []
        async with turns:
            for timer in timers:
                try:
                    async with asyncio.timeout(FIRE_SECONDS_MAX):
                        await self._fire(timer)
                except Exception as error:
                    outcomes.append((timer, error))
                    break
                outcomes.append((timer, None))
        return outcomes

    async def _settle(self, connection: Connection, timer: Timer, error: Exception | None) -> None:
        """Forget a timer that fired, put off one that failed; not one set anew meanwhile."""
        where = (timer.stream, timer.step, timer.token, timer.due_at)
        if error is None:
            fault_point("timers.after_fire")
            await connection.execute(
                "DELETE FROM projections.timers"
                " WHERE stream = %s AND step = %s AND token = %s AND due_at = %s",
                where,
            )
            self.fired += 1
            return
        self.failing += 1
        pause = timedelta(seconds=min(RETRY_SECONDS_MAX, 0.5 * 2.0 ** min(timer.attempts, 10)))
        log.warning(
            "timers.put_off", stream=timer.stream, step=timer.step, error=described(error)[0]
        )
        await connection.execute(
            "UPDATE projections.timers SET attempts = attempts + 1, due_at = %s"
            " WHERE stream = %s AND step = %s AND token = %s AND due_at = %s",
            (self._clock() + pause, *where),
        )

"""Rebuilding: the tables anew from position 0, beside the live ones, while everything goes on.

A rebuild replays up to the head, a part of the streams for each worker, and is then READY: the
service's runner follows it, until it is switched to. It resumes where it was after a crash. One
rebuild of a projection at a time: the second is refused.
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import psycopg
import structlog

from projections import catalogue
from projections.batch import Connection, described, is_transient
from projections.catalogue import Build, State
from projections.drive import Driver, spans_of
from projections.errors import (
    InvalidProjection,
    RebuildInProgress,
    RebuildStopped,
    UnknownProjection,
    VersionBehind,
)
from projections.faults import fault_point
from projections.log import Log
from projections.member import Member
from projections.projection import Projection, check
from projections.workers import Crew, Source, WorkerFailed

NEAR_EVENTS = 200
"""Once it was at the head, a rebuild this near to it is handed to the service's runner."""
PROGRESS_SECONDS = 0.2
GAP_SECONDS = 0.05
RECONNECTS_MAX = 20
NICENESS = 10
"""How far a process that does nothing but rebuild should step back behind those that serve."""
RETRY_SECONDS_MAX = 5.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a rebuild is: `done` of `head` positions, at `rate` positions a second lately;
    `eta_seconds` is None until a rate is known.
    """

    name: str
    build: str
    done: int
    head: int
    rate: float
    eta_seconds: float | None
    parked_keys: int


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """A build that is ready. `events` were replayed in `seconds` by this call."""

    build: Build
    events: int
    seconds: float
    resumed_from: int


async def rebuild(
    source: Log,
    conninfo: str,
    projection: Projection,
    *,
    crew: Source | None = None,
    workers: int = 1,
    restart: bool = False,
    events_per_second_max: float = math.inf,
    begun: Callable[[Build], None] = lambda _: None,
    progress: Callable[[Progress], None] = lambda _: None,
) -> Rebuilt:
    """Build the projection's version beside the live one; return when it is READY.

    `workers` above 1 need a projection whose streams are independent (`parallel`) and, unless it
    is folded within the database, a `crew` that opens the same log in another process.
    `restart` gives up what an earlier rebuild did.
    `events_per_second_max` is for each worker.
    `begun` is called once, when the build is this call's and nothing has been replayed yet, and
    `progress` now and then, both from a thread. Cancelling stops after the batch at hand; calling
    again goes on. Raises UnknownProjection, VersionBehind, RebuildInProgress, InvalidProjection.
    """
    check(projection)
    if workers > 1 and not projection.parallel:
        raise InvalidProjection(
            projection.name, "it can be rebuilt by one worker only: it does not say `parallel`"
        )
    if workers > 1 and crew is None and not projection.fold_sql:
        raise InvalidProjection(
            projection.name, "it can be rebuilt by one worker only: no `crew` opens its log again"
        )
    stop = threading.Event()
    # A thread of its own: for as long as a rebuild takes, it would use up one of the loop's few.
    thread = ThreadPoolExecutor(1, thread_name_prefix="projections-rebuild")
    task = asyncio.get_running_loop().run_in_executor(
        thread,
        _rebuild,
        *(source, conninfo, projection, crew, workers, restart),
        *(events_per_second_max, begun, progress, stop),
    )
    thread.shutdown(wait=False)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        stop.set()
        try:
            await task
        except RebuildStopped:
            pass
        except Exception as error:
            log.warning("projections.rebuild_failed_stopping", error=described(error)[0])
        raise


async def give_up(conninfo: str, build: Build) -> None:
    """Let go of a build that is ready and that nobody wants to switch to."""

    def retire() -> None:
        with (
            catalogue.connect(conninfo, f"give up {build.name}") as connection,
            catalogue.changing(connection),
        ):
            now = catalogue.build(connection, build.id)
            if now is not None and now.state is State.READY:
                catalogue.retire(connection, now)

    await asyncio.to_thread(retire)


def _rebuild(
    source: Log,
    conninfo: str,
    projection: Projection,
    crew: Source | None,
    workers: int,
    restart: bool,
    rate_max: float,
    begun: Callable[[Build], None],
    progress: Callable[[Progress], None],
    stop: threading.Event,
) -> Rebuilt:
    failures, started, resumed_from = 0, time.monotonic(), -1
    while True:
        try:
            with catalogue.connect(conninfo, f"{source.name} rebuild") as connection:
                build = begin(connection, projection, workers=workers, restart=restart)
                restart = False
                if resumed_from < 0:
                    resumed_from = build.position
                    begun(build)
                run = _Run(
                    source, conninfo, projection, connection, build, rate_max, progress, stop
                )
                position = run.run(crew)
                done = catalogue.build(connection, build.id)
                assert done is not None
                seconds = time.monotonic() - started
                return Rebuilt(done, position - resumed_from, seconds, resumed_from)
        except (psycopg.OperationalError, WorkerFailed) as error:
            failures += 1
            if failures > RECONNECTS_MAX or not _may_pass(error):
                raise
            log.warning("projections.rebuild_reconnects", error=described(error)[0])
            stop.wait(min(RETRY_SECONDS_MAX, 0.1 * 2**failures))


def _may_pass(error: psycopg.OperationalError | WorkerFailed) -> bool:
    return error.transient if isinstance(error, WorkerFailed) else is_transient(error)


def begin(connection: Connection, projection: Projection, *, workers: int, restart: bool) -> Build:
    """The build to go on with, new or resumed; this connection then owns it."""
    name = projection.name
    with catalogue.changing(connection):
        found = {build.state: build for build in catalogue.builds(connection, name)}
        live = found.get(State.LIVE)
        if live is None:
            raise UnknownProjection(name, [build.name for build in catalogue.builds(connection)])
        if live.version > projection.version:
            raise VersionBehind(name, projection.version, live.version)
        earlier = found.get(State.BUILDING) or found.get(State.READY)
        if earlier is not None:
            resumed = _resume(connection, projection, earlier, restart)
            if resumed is not None:
                return resumed
        made = catalogue.create(
            connection,
            projection,
            State.BUILDING,
            owner=catalogue.this_process(),
            parts=workers,
        )
        assert catalogue.own(connection, made.id), f"{made} is new and yet owned"
    return made


def _resume(
    connection: Connection, projection: Projection, earlier: Build, restart: bool
) -> Build | None:
    """The earlier rebuild, if it can go on; None when it was given up. Raises RebuildInProgress."""
    abandoned = earlier.state is State.BUILDING and catalogue.own(connection, earlier.id)
    same = (earlier.version, earlier.shape) == (projection.version, projection.shape)
    if abandoned and same and not restart:
        connection.execute(
            "UPDATE projections.builds SET owner = %s, upgrade = false WHERE id = %s",
            (catalogue.this_process(), earlier.id),
        )
        return earlier
    if abandoned or (restart and earlier.state is State.READY):
        catalogue.retire(connection, earlier)
        catalogue.disown(connection, [earlier.id] if abandoned else [])
        return None
    raise RebuildInProgress(
        earlier.name, str(earlier), earlier.state, earlier.position, earlier.owner
    )


class _Run:
    """One stretch of a rebuild, over one connection that owns the build."""

    def __init__(
        self,
        source: Log,
        conninfo: str,
        projection: Projection,
        connection: Connection,
        build: Build,
        rate_max: float,
        progress: Callable[[Progress], None],
        stop: threading.Event,
    ) -> None:
        self.source, self.conninfo, self.projection = source, conninfo, projection
        self.connection, self.build = connection, build
        self.rate_max, self.progress, self.stop = rate_max, progress, stop
        self.head = 0
        self._marks: list[tuple[float, int]] = []
        self._told_at = 0.0

    def run(self, crew: Source | None) -> int:
        """Replay until near the head, and hand over; return the position."""
        position, enough = self.build.position, self.source.head(self.connection)
        while True:
            self.head = self.source.head(self.connection)
            parts = self._parts()
            if position >= enough and self.head - position <= NEAR_EVENTS and parts == 1:
                break
            before = position
            if parts > 1:
                position = self._in_parts(crew, parts)
                self._merge(position)
            else:
                position = self._alone()
            if position == before:
                self.stop.wait(GAP_SECONDS)
        self._tell(position, 0)
        fault_point("rebuild.before_ready")
        with catalogue.changing(self.connection):
            catalogue.set_state(self.connection, self.build, State.READY)
        catalogue.disown(self.connection, [self.build.id])
        return position

    def _parts(self) -> int:
        row = self.connection.execute(
            "SELECT count(*) FROM projections.checkpoints WHERE build_id = %s", (self.build.id,)
        ).fetchone()
        assert row is not None
        return int(row[0])

    def _alone(self) -> int:
        member = Member(self.build, self.projection)
        member.load(self.connection)
        role = f"{self.source.name} rebuild ahead"
        with (
            catalogue.connect(self.conninfo, role) as reader,
            spans_of(self.source, self.conninfo, self.projection, self.head) as spans,
        ):
            driver = Driver(
                *(self.source, self.connection, reader, member, spans),
                events_per_second_max=self.rate_max,
            )
            driver.drive(
                self.head,
                stop=self.stop.is_set,
                moved=lambda: self._tell(member.position, len(member.parked)),
            )
        self._check_stop(member.position)
        return member.position

    def _in_parts(self, crew: Source | None, parts: int) -> int:
        """Let workers bring all parts to the head, the same for all."""
        if crew is None and not self.projection.fold_sql:
            raise InvalidProjection(
                self.build.name, f"its rebuild began with {parts} workers: restart it"
            )
        with Crew(
            self.source,
            crew,
            self.conninfo,
            self.projection,
            self.build,
            up_to=self.head,
            parts=parts,
            events_per_second_max=self.rate_max,
        ) as working:
            while working.busy(PROGRESS_SECONDS):
                if self.stop.is_set():
                    working.stop()
                self._tell_of_parts()
        position = self._tell_of_parts()
        self._check_stop(position)
        return position

    def _tell_of_parts(self) -> int:
        now = catalogue.build(self.connection, self.build.id)
        assert now is not None
        self._tell(now.position, now.parked_keys)
        return now.position

    def _merge(self, position: int) -> None:
        """All parts are at one position: from here on the build has one checkpoint."""
        with catalogue.changing(self.connection):
            self.connection.execute(
                "UPDATE projections.checkpoints c SET parts = 1, seen = s.seen,"
                " applied = s.applied, unknown = s.unknown"
                " FROM (SELECT min(seen) AS seen, sum(applied) AS applied,"
                "  max(unknown) AS unknown, min(position) AS low, max(position) AS high"
                "  FROM projections.checkpoints WHERE build_id = %(id)s) s"
                " WHERE c.build_id = %(id)s AND part = 0 AND low = %(at)s AND high = %(at)s",
                {"id": self.build.id, "at": position},
            )
            self.connection.execute(
                "DELETE FROM projections.checkpoints WHERE build_id = %(id)s AND part > 0"
                " AND EXISTS (SELECT FROM projections.checkpoints"
                "  WHERE build_id = %(id)s AND part = 0 AND parts = 1)",
                {"id": self.build.id},
            )

    def _check_stop(self, position: int) -> None:
        if self.stop.is_set():
            raise RebuildStopped(self.build.name, str(self.build), position)

    def _tell(self, position: int, parked: int) -> None:
        """Tell how far it is, now and then; the rate is that of the last ten seconds or so."""
        now = time.monotonic()
        if now - self._told_at < PROGRESS_SECONDS and position < self.head:
            return
        self._told_at = now
        self._marks = [*self._marks[-50:], (now, position)]
        since, from_position = self._marks[0]
        rate = (position - from_position) / (now - since) if now > since else 0.0
        left = max(0, self.head - position)
        eta = left / rate if rate > 0 else None
        self.progress(
            Progress(self.build.name, str(self.build), position, self.head, rate, eta, parked)
        )

"""The parts of a build, replayed side by side.

Folding in Python takes a process for each part but the first, which the rebuilding process takes
itself while the others start. Folding within the database takes threads only: the server works.
A process opens the log by itself, owns its part by a lock on its own connection, and ends when the
one that started it ends, however that happened.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection as Pipe
from types import TracebackType
from typing import Self

from eventstore.store import EventStore
from projections import catalogue
from projections.batch import described, is_transient
from projections.catalogue import Build
from projections.drive import Driver, spans_of
from projections.errors import ProjectionError
from projections.log import Log
from projections.member import Member
from projections.projection import Projection
from projections.spans import Spans
from projections.store_log import StoreLog

PART_LOCK_CLASS = 0x4C4E
PARTS_MAX = 64
END_SECONDS_MAX = 60.0

Source = Callable[[], EventStore]
"""Makes the store in a worker's process; must be picklable: a function of a module, or a
functools.partial of one. The store need not be opened."""


class WorkerFailed(ProjectionError):
    """A worker of a rebuild ended before its part was done; rebuild again to go on. `transient`
    says that it may well pass when tried again.
    """

    code = "WORKER_FAILED"

    def __init__(self, build: str, part: int, reason: str, *, transient: bool = False) -> None:
        self.build, self.part, self.reason, self.transient = build, part, reason, transient
        super().__init__(f"worker {part} of {build} failed: {reason}; rebuild again to go on")


@dataclass(frozen=True, slots=True)
class Part:
    """What one worker is given, in this process or another."""

    conninfo: str
    projection: Projection
    build: Build
    part: int
    parts: int
    up_to: int
    events_per_second_max: float

    def replay(self, log: Log, stop: Callable[[], bool], spans: Spans | None) -> None:
        """Bring the part to its position, unless stopped. Raises psycopg errors."""
        role = f"{log.name} rebuild part {self.part}"
        with (
            catalogue.connect(self.conninfo, role) as connection,
            catalogue.connect(self.conninfo, role) as reader,
        ):
            connection.execute(
                "SELECT pg_advisory_lock(%s, %s::integer)",
                (PART_LOCK_CLASS, self.build.id * PARTS_MAX + self.part),
            )
            member = Member(self.build, self.projection, self.part, self.parts)
            member.load(connection)
            driver = Driver(
                *(log, connection, reader, member, spans),
                events_per_second_max=self.events_per_second_max,
            )
            driver.drive(self.up_to, stop=stop)


class Crew:
    """The workers of one build, one a part, until all are at `up_to`. A context manager."""

    def __init__(
        self,
        log: Log,
        source: Source | None,
        conninfo: str,
        projection: Projection,
        build: Build,
        *,
        up_to: int,
        parts: int,
        events_per_second_max: float,
    ) -> None:
        self._log, self._source = log, source
        self._stop = threading.Event()
        self._pipes: list[Pipe] = []
        self._pool = ThreadPoolExecutor(parts, thread_name_prefix="projections-part")
        self._spans = spans_of(log, conninfo, projection, up_to, parts)
        self._given = [
            Part(conninfo, projection, build, part, parts, up_to, events_per_second_max)
            for part in range(parts)
        ]
        self._working: list[Future[None]] = []

    def busy(self, seconds: float) -> bool:
        """Whether any worker still works, after so long. Raises what made one fail: WorkerFailed
        for one in a process of its own, psycopg errors.
        """
        done, left = wait(self._working, seconds, FIRST_EXCEPTION)
        for future in done:
            future.result()
        return bool(left)

    def stop(self) -> None:
        """Let all workers end after the batch at hand."""
        self._stop.set()
        for pipe in self._pipes:
            pipe.close()

    def __enter__(self) -> Self:
        spans = self._spans.__enter__()
        for part in self._given:
            here = spans is not None or part.part == 0
            working = (self._here, part, spans) if here else (self._elsewhere, part)
            self._working.append(self._pool.submit(*working))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
        wait(self._working, END_SECONDS_MAX)
        self._pool.shutdown(wait=False)
        self._spans.__exit__(kind, error, trace)

    def _here(self, part: Part, spans: Spans | None) -> None:
        part.replay(self._log, self._stop.is_set, spans)

    def _elsewhere(self, part: Part) -> None:
        """Start a process, and stay with it until it ends."""
        # It inherits this: Ctrl-C is for the process that rebuilds, which then stops its workers.
        # (Starting the tracker would undo it, hence before.)
        resource_tracker.ensure_running()
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        name = f"rebuild {part.build.name} part {part.part}"
        process = context.Process(
            target=_work, args=(self._source, part, theirs), name=name, daemon=True
        )
        process.start()
        theirs.close()
        self._pipes.append(ours)
        if self._stop.is_set():
            ours.close()
        process.join()
        if process.exitcode:
            reason, transient = f"exit code {process.exitcode}", False
            with suppress(EOFError, OSError):  # it ended without a word
                reason, transient = ours.recv() if ours.poll() else (reason, transient)
            raise WorkerFailed(str(part.build), part.part, reason, transient=transient)


def _work(source: Source, part: Part, parent: Pipe) -> None:
    """One worker: what its process runs."""
    stop = threading.Event()
    threading.Thread(target=_watch, args=(parent, stop), daemon=True).start()
    try:
        part.replay(StoreLog(source()), stop.is_set, None)
    except Exception as error:
        parent.send((described(error)[0], is_transient(error)))
        parent.close()
        os._exit(1)


def _watch(parent: Pipe, stop: threading.Event) -> None:
    """The pipe ends when the parent wants us to stop, or is gone."""
    try:
        parent.poll(None)
        parent.recv()
    except (EOFError, OSError):
        pass
    stop.set()

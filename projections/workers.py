"""Processes that replay the parts of a build side by side.

A worker opens the log by itself, owns its part by a lock on its own connection, and ends when the
process that started it ends, however that happened.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection as Pipe
from types import TracebackType
from typing import Self

from eventstore.store import EventStore
from projections import catalogue
from projections.catalogue import Build
from projections.drive import Driver
from projections.errors import ProjectionError
from projections.member import Member
from projections.projection import Projection
from projections.store_log import StoreLog

PART_LOCK_CLASS = 0x4C4E
PARTS_MAX = 64
END_SECONDS_MAX = 60.0

Source = Callable[[], EventStore]
"""Makes the store in a worker's process; must be picklable: a function of a module, or a
functools.partial of one. The store need not be opened."""


class WorkerFailed(ProjectionError):
    """A worker of a rebuild ended before its part was done; rebuild again to go on."""

    code = "WORKER_FAILED"

    def __init__(self, build: str, part: int, reason: str) -> None:
        self.build, self.part, self.reason = build, part, reason
        super().__init__(f"worker {part} of {build} failed: {reason}; rebuild again to go on")


class Crew:
    """The workers of one build, one a part, until all are at `up_to`. A context manager."""

    def __init__(
        self,
        source: Source,
        conninfo: str,
        projection: Projection,
        build: Build,
        *,
        up_to: int,
        parts: int,
        events_per_second_max: float,
    ) -> None:
        self.build = build
        context = multiprocessing.get_context("spawn")
        self._pipes: list[Pipe] = []
        self._processes = []
        for part in range(parts):
            ours, theirs = context.Pipe()
            process = context.Process(
                target=_work,
                args=(
                    *(source, conninfo, projection, build, part, parts, up_to),
                    *(events_per_second_max, theirs),
                ),
                name=f"rebuild {build.name} part {part}",
                daemon=True,
            )
            process.start()
            theirs.close()
            self._pipes.append(ours)
            self._processes.append(process)

    def busy(self) -> bool:
        """Whether any worker still works. Raises WorkerFailed when one failed."""
        for part, (process, pipe) in enumerate(zip(self._processes, self._pipes, strict=True)):
            if process.exitcode:
                reason = f"exit code {process.exitcode}"
                with suppress(EOFError, OSError):  # it ended without a word
                    reason = pipe.recv() if pipe.poll() else reason
                raise WorkerFailed(str(self.build), part, reason)
        return any(process.exitcode is None for process in self._processes)

    def stop(self) -> None:
        """Let all workers end after the batch at hand."""
        for pipe in self._pipes:
            pipe.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
        for process in self._processes:
            process.join(END_SECONDS_MAX)
            if process.is_alive():
                process.kill()
                process.join()
            process.close()


def _work(
    source: Source,
    conninfo: str,
    projection: Projection,
    build: Build,
    part: int,
    parts: int,
    up_to: int,
    events_per_second_max: float,
    parent: Pipe,
) -> None:
    """One worker: what its process runs."""
    stop = threading.Event()
    threading.Thread(target=_watch, args=(parent, stop), daemon=True).start()
    try:
        log = StoreLog(source())
        role = f"{log.name} rebuild part {part}"
        with (
            catalogue.connect(conninfo, role) as connection,
            catalogue.connect(conninfo, role) as reader,
        ):
            connection.execute(
                "SELECT pg_advisory_lock(%s, %s::integer)",
                (PART_LOCK_CLASS, build.id * PARTS_MAX + part),
            )
            member = Member(build, projection, part, parts)
            member.load(connection)
            driver = Driver(
                log, connection, reader, member, events_per_second_max=events_per_second_max
            )
            driver.drive(up_to, stop=stop.is_set)
    except Exception as error:
        parent.send(f"{type(error).__name__}: {error}")
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

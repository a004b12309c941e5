"""One thread a store for what no caller waits for: snapshots, and keys that are let go."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from contextlib import suppress
from typing import Any

import psycopg

from eventstore.connections import Connections
from eventstore.errors import StoreUnavailable
from eventstore.layout import THREADS, Layout

JOBS_MAX = 64

Job = Callable[[psycopg.Connection[Any]], bool]
"""Gives true if there is more of it to do at once."""


class Background:
    """Does jobs one after the other, each with a reading connection; `regular` jobs come by
    themselves, every so many seconds. The others are caches' business: they are refused when too
    many wait, and forgotten at the end.
    """

    def __init__(self, layout: Layout, *, jobs_max: int = JOBS_MAX) -> None:
        self._layout, self._jobs_max = layout, jobs_max
        self._jobs: dict[Hashable, Job] = {}
        self._regular: list[tuple[float, Job]] = []
        self._due: list[float] = []
        self._connections: Connections | None = None
        self._stopping = self._busy = False
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def regularly(self, every_seconds: float, job: Job) -> None:
        """Before `start`: do a job every so many seconds, the first time after as many."""
        self._regular.append((every_seconds, job))

    def start(self, connections: Connections) -> None:
        self._connections, self._stopping = connections, False
        self._due = [time.monotonic() + every for every, _ in self._regular]
        self._thread = threading.Thread(
            target=self._run, name=f"{THREADS}-background-{self._layout.name}", daemon=True
        )
        self._thread.start()

    def stop(self, *, wait: bool = True) -> None:
        """End after the job that is being done."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if wait and self._thread is not None:
            self._thread.join()

    def offer(self, key: Hashable, job: Job) -> bool:
        """Do a job soon, once if it waits already under this key. Whether there was room."""
        with self._changed:
            if key not in self._jobs and len(self._jobs) >= self._jobs_max:
                return False
            self._jobs.setdefault(key, job)
            self._changed.notify_all()
            return True

    def wait_until_idle(self, timeout_seconds: float) -> bool:
        """Whether everything that waited is done, within the time."""
        with self._changed:
            return self._changed.wait_for(
                lambda: not self._jobs and not self._busy, timeout_seconds
            )

    def _run(self) -> None:
        while (job := self._next()) is not None:
            assert self._connections is not None
            with suppress(StoreUnavailable, psycopg.Error):
                while self._connections.read(job) and not self._stopping:
                    pass

    def _next(self) -> Job | None:
        """Wait for the next job; None at the end."""
        with self._changed:
            self._busy = False
            self._changed.notify_all()
            while not self._stopping:
                if self._jobs:
                    self._busy = True
                    return self._jobs.pop(next(iter(self._jobs)))
                now = time.monotonic()
                for number, (every, job) in enumerate(self._regular):
                    if self._due[number] <= now:
                        self._due[number] = now + every
                        self._busy = True
                        return job
                self._changed.wait(min(self._due, default=now + 3600) - now)
            return None

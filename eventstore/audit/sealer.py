"""The thread that seals a log as it grows."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import Any

import psycopg

from eventstore.audit.seal import Seal, Signer, seal_next
from eventstore.errors import StoreUnavailable
from eventstore.layout import THREADS
from eventstore.store import EventStore

SEAL_SECONDS = 0.5
"""Between two seals: an event is sealed this much after it was appended, and a little."""


def _now() -> datetime:
    return datetime.now(UTC)


class Sealer:
    """Seals what is appended to `store`, every `seal_seconds` if there is anything.

    `sealed` is called with each seal: where checkpoints are kept outside the database, from there.
    """

    def __init__(
        self,
        store: EventStore,
        signer: Signer,
        *,
        seal_seconds: float = SEAL_SECONDS,
        clock: Callable[[], datetime] = _now,
        sealed: Callable[[Seal], None] = lambda seal: None,
    ) -> None:
        self._store, self._signer, self._clock, self._sealed = store, signer, clock, sealed
        self._seal_seconds = seal_seconds
        self._stopping = threading.Event()
        self._last = 0
        self._thread = threading.Thread(
            target=self._run, name=f"{THREADS}-seal-{store.name}", daemon=True
        )

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Seal what there is, then end."""
        self._stopping.set()
        self._store.watch.nudge()
        self._thread.join()

    def _run(self) -> None:
        stopping, watch = self._stopping, self._store.watch
        while not stopping.is_set():
            head = watch.wait_sync(self._last, self._store.limits.poll_seconds, stopping.is_set)
            if head > self._last:
                # A database that is away is tried again.
                with suppress(StoreUnavailable, psycopg.OperationalError):
                    self._store.reading_sync(partial(self._seal_up_to, head))
            stopping.wait(self._seal_seconds)

    def _seal_up_to(self, head: int, connection: psycopg.Connection[Any]) -> None:
        """Seal everything up to `head`, unless another process has."""
        while self._last < head:
            seal = seal_next(connection, self._store.layout, self._signer, self._clock())
            if seal is None:
                self._last = head
                return
            self._last = seal.read().last
            self._sealed(seal)

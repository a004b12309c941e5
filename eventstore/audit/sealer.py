"""The thread that seals a log as it grows."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

import psycopg
import structlog

from eventstore.audit.seal import Seal, Signer, seal_next
from eventstore.errors import StoreUnavailable
from eventstore.layout import THREADS
from eventstore.store import EventStore

SEAL_SECONDS = 0.5
"""Between two seals: an event is sealed this much after it was appended, and a little."""
FAILED_SECONDS = 5.0
"""After a failure that is not the connection's: it may last, and each is logged."""

log = structlog.get_logger(__name__)


def _now() -> datetime:
    return datetime.now(UTC)


class Sealer:
    """Seals what is appended to `store`, every `seal_seconds` if there is anything.

    `sealed` is called with each seal, in the sealer's thread, and must not wait. Nothing but `stop`
    ends it: what fails is logged and tried again.
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
            pause = self._seal_seconds if self._seal(head) else FAILED_SECONDS
            stopping.wait(pause)
        self._seal(watch.position)

    def _seal(self, head: int) -> bool:
        """Seal up to `head`; false if that failed for a reason that may last."""
        if head > self._last:
            try:
                self._store.reading_sync(partial(self._seal_up_to, head))
            except (StoreUnavailable, psycopg.OperationalError):
                pass  # a database that is away is tried again
            except Exception:
                log.exception("log not sealed", log=self._store.name, sealed=self._last, head=head)
                return False
        return True

    def _seal_up_to(self, head: int, connection: psycopg.Connection[Any]) -> None:
        """Seal everything up to `head`, unless another process has."""
        while self._last < head:
            seal = seal_next(connection, self._store.layout, self._signer, self._clock())
            if seal is None:
                self._last = head
                return
            self._last = seal.read().last
            self._sealed(seal)

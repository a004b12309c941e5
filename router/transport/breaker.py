"""Leave a subgraph alone that fails too often; ask again after a while, one request first."""

from __future__ import annotations

from collections import deque
from enum import Enum

from router.config import Breaker


class CircuitState(Enum):
    """Closed lets everything pass, open nothing, half open one probe."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class CircuitBreaker:
    """Pure bookkeeping: every call is told the time (seconds, any epoch, never going back)."""

    def __init__(self, settings: Breaker) -> None:
        self.settings = settings
        self.state = CircuitState.CLOSED
        self._opened_at = 0.0
        self._probing = False
        self._seconds: deque[tuple[int, int, int]] = deque()
        """(second, requests, failures), the oldest first, no older than the window."""

    def allow(self, now: float) -> bool:
        """Whether a request may go out. A probe that is allowed must be recorded."""
        if self.state is CircuitState.CLOSED:
            return True
        if self.state is CircuitState.OPEN:
            if now - self._opened_at < self.settings.open_seconds:
                return False
            self.state = CircuitState.HALF_OPEN
            self._probing = False
        if self._probing:
            return False
        self._probing = True
        return True

    def record(self, now: float, *, failed: bool) -> None:
        """Count the outcome of a request that was allowed."""
        if self.state is CircuitState.HALF_OPEN:
            self._probing = False
            if failed:
                self._open(now)
            else:
                self.state = CircuitState.CLOSED
                self._seconds.clear()
            return
        second = int(now)
        if self._seconds and self._seconds[-1][0] == second:
            _, requests, failures = self._seconds[-1]
            self._seconds[-1] = (second, requests + 1, failures + failed)
        else:
            self._seconds.append((second, 1, int(failed)))
            while self._seconds[0][0] <= second - self.settings.window_seconds:
                self._seconds.popleft()
        if failed and self.state is CircuitState.CLOSED:
            requests = sum(entry[1] for entry in self._seconds)
            failures = sum(entry[2] for entry in self._seconds)
            enough = requests >= self.settings.requests_min
            if enough and failures >= requests * self.settings.failure_ratio:
                self._open(now)

    def abandon(self) -> None:
        """The request that was allowed ended without an outcome (cancelled)."""
        self._probing = False

    def _open(self, now: float) -> None:
        self.state = CircuitState.OPEN
        self._opened_at = now
        self._seconds.clear()

"""How many positions to take in one transaction: as many as fit the time it should take."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class BatchSize:
    """Doubles while full batches take less than half of `target_seconds`, halves when one takes
    more than twice as long; between `events_min` and `events_max`.
    """

    target_seconds: float
    events: int = 256
    events_min: int = 16
    events_max: int = 8192

    def took(self, seconds: float, events: int) -> None:
        """Learn from a batch of `events` positions."""
        if seconds > 2 * self.target_seconds:
            self.events = max(self.events_min, self.events // 2)
        elif events >= self.events and seconds < self.target_seconds / 2:
            self.events = min(self.events_max, self.events * 2)

    def failed(self) -> None:
        """Take less next time: what failed is then found sooner."""
        self.events = max(self.events_min, self.events // 2)

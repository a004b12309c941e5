"""How a rebuild steps back while the log grows: those who append share its server with it.

A low priority of the process alone does not do: half of a rebuild's work is done by the server, and
who appends mostly waits for the disk.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

BUSY_EVENTS_PER_SECOND = 500.0
"""From here on, a log is busy."""
REST_TIMES = 2.0
"""How long it rests, for as long as it worked."""
PACE_TIMES_MIN = 2.0 * (1.0 + REST_TIMES)
"""A rebuild that is not so much faster than its log grows does not rest: it would not arrive."""


@dataclass(slots=True)
class Courtesy:
    """Says how long to rest after each batch. `head` is where the log ended at the last look."""

    head: int
    looked_at: float = field(default_factory=time.monotonic)

    def rest_seconds(self, worked: float, replayed: int, head: int, now: float) -> float:
        """REST_TIMES what it worked for a batch of `replayed` positions, if the log is busy."""
        growth = (head - self.head) / max(now - self.looked_at, 1e-6)
        self.head, self.looked_at = head, now
        busy = growth >= BUSY_EVENTS_PER_SECOND
        return REST_TIMES * worked if busy and replayed >= PACE_TIMES_MIN * growth * worked else 0.0

"""A bound on failed sign-ins from one client address: many accounts, one guesser."""

from __future__ import annotations

from collections import OrderedDict, deque
from datetime import datetime, timedelta

from subgraphs.users.sign_in import SignInBlocked

CLIENTS_MAX = 10_000
WINDOW = timedelta(minutes=1)


class FailureLimit:
    """At most `per_minute_max` failures a minute from one address; 0 is no bound.

    In memory, of the CLIENTS_MAX addresses that failed last: the count per e-mail address, which is
    in the log, is the one that replicas share.
    """

    def __init__(self, per_minute_max: int) -> None:
        self._max = per_minute_max
        self._failures: OrderedDict[str, deque[datetime]] = OrderedDict()

    def check(self, client: str | None, now: datetime) -> None:
        """Raises SignInBlocked for an address with too many failures."""
        recent = self._failures.get(client or "")
        if recent is None or self._max == 0:
            return
        while recent and recent[0] <= now - WINDOW:
            recent.popleft()
        if len(recent) >= self._max:
            raise SignInBlocked(recent[0] + WINDOW)

    def failed(self, client: str | None, now: datetime) -> None:
        """Count a failure."""
        if client is None or self._max == 0:
            return
        recent = self._failures.setdefault(client, deque(maxlen=self._max))
        recent.append(now)
        self._failures.move_to_end(client)
        if len(self._failures) > CLIENTS_MAX:
            self._failures.popitem(last=False)

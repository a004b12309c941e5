"""The rule for guesses: after too many failures in a row an address is locked for a while."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from eventstore.event import Event
from subgraphs.shared.errors import Refusal
from subgraphs.users.events import SignedIn, SignInFailed, SignInLocked


class SignInRefused(Refusal):
    """Wrong address or wrong password: which of them is not said."""

    code = "INVALID_CREDENTIALS"

    def __init__(self) -> None:
        super().__init__("the e-mail address or the password is wrong")


class SignInBlocked(Refusal):
    """Too many failures: the right password is not taken either, until then."""

    code = "SIGN_IN_LOCKED"

    def __init__(self, until: datetime) -> None:
        self.until = until
        super().__init__(f"too many failed attempts: try again after {until:%Y-%m-%d %H:%M:%S} UTC")


@dataclass(frozen=True, slots=True)
class SignInPolicy:
    """`failures_max` failures without a success between lock the address for `lock_seconds`."""

    failures_max: int = 5
    lock_seconds: int = 900

    @property
    def events_read_max(self) -> int:
        """How many of the latest events decide: older ones change nothing."""
        return 2 * self.failures_max + 2


@dataclass(frozen=True, slots=True)
class SignInGuard:
    """State folded from the latest events of one address's stream."""

    failures: int = 0
    locked_until: datetime | None = None

    @classmethod
    def of(cls, events: Iterable[Event]) -> SignInGuard:
        """Fold events, oldest first."""
        guard = cls()
        for event in events:
            guard = guard.evolve(event)
        return guard

    def check(self, now: datetime) -> None:
        """Raises SignInBlocked while the address is locked."""
        if self.locked_until is not None and now < self.locked_until:
            raise SignInBlocked(self.locked_until)

    def fail(
        self, policy: SignInPolicy, *, reason: str, user_id: str | None, now: datetime
    ) -> list[Event]:
        """Decide: a failure, and the lock if it was one too many."""
        events: list[Event] = [SignInFailed(reason, now, user_id)]
        failures = self.failures + 1
        if failures >= policy.failures_max:
            until = now + timedelta(seconds=policy.lock_seconds)
            events.append(SignInLocked(failures, now, until))
        return events

    def evolve(self, event: Event) -> SignInGuard:
        """Fold. Never refuses: the event already happened."""
        match event:
            case SignInFailed():
                return replace(self, failures=self.failures + 1)
            case SignInLocked():
                return SignInGuard(0, event.until)
            case SignedIn():
                return SignInGuard()
            case _:
                return self

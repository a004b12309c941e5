"""The lock on guesses."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from eventstore.event import Event
from subgraphs.users.events import SignedIn, SignInFailed, SignInLocked
from subgraphs.users.failure_limit import CLIENTS_MAX, FailureLimit
from subgraphs.users.sign_in import SignInBlocked, SignInGuard, SignInPolicy

NOW = datetime(2026, 1, 1, tzinfo=UTC)
POLICY = SignInPolicy(failures_max=3, lock_seconds=60)
FAILED = SignInFailed("wrong_password", NOW, "usr_1")


def fail(*events: Event) -> list[Event]:
    return SignInGuard.of(events).fail(POLICY, reason="wrong_password", user_id="usr_1", now=NOW)


def test_failures_are_counted_and_the_last_one_locks() -> None:
    assert fail() == [FAILED]
    assert fail(FAILED) == [FAILED]
    assert fail(FAILED, FAILED) == [FAILED, SignInLocked(3, NOW, NOW + timedelta(seconds=60))]


def test_a_lock_holds_until_its_time() -> None:
    guard = SignInGuard.of([*fail(FAILED, FAILED)])
    with pytest.raises(SignInBlocked, match="00:01:00"):
        guard.check(NOW + timedelta(seconds=59))
    guard.check(NOW + timedelta(seconds=60))


def test_success_starts_the_count_anew() -> None:
    signed_in = SignedIn("usr_1", "ses_1", NOW)
    assert fail(FAILED, FAILED, signed_in) == [FAILED]


def test_the_latest_events_are_enough_to_decide() -> None:
    """However long the stream: what is older than `events_read_max` changes nothing."""
    history: list[Event] = []
    for n in range(50):
        guard_all = SignInGuard.of(history)
        guard_latest = SignInGuard.of(history[-POLICY.events_read_max :])
        now = NOW + timedelta(seconds=n)
        assert _locked(guard_all, now) == _locked(guard_latest, now)
        if not _locked(guard_all, now):
            new = guard_all.fail(POLICY, reason="wrong_password", user_id=None, now=now)
            assert new == guard_latest.fail(POLICY, reason="wrong_password", user_id=None, now=now)
            history += new


def _locked(guard: SignInGuard, now: datetime) -> bool:
    try:
        guard.check(now)
    except SignInBlocked:
        return True
    return False


def test_one_client_guessing_at_many_accounts_is_slowed_down() -> None:
    limit = FailureLimit(2)
    for _ in range(2):
        limit.check("192.0.2.1", NOW)
        limit.failed("192.0.2.1", NOW)
    with pytest.raises(SignInBlocked):
        limit.check("192.0.2.1", NOW)
    limit.check("192.0.2.2", NOW)
    limit.check("192.0.2.1", NOW + timedelta(minutes=1))


def test_the_limit_can_be_off_and_never_counts_the_unknown() -> None:
    off, on = FailureLimit(0), FailureLimit(1)
    for _ in range(10):
        off.failed("192.0.2.1", NOW)
        on.failed(None, NOW)
    off.check("192.0.2.1", NOW)
    on.check(None, NOW)


def test_the_limit_remembers_a_bounded_number_of_clients() -> None:
    limit = FailureLimit(1)
    for n in range(CLIENTS_MAX + 5):
        limit.failed(str(n), NOW)
    assert len(limit._failures) == CLIENTS_MAX

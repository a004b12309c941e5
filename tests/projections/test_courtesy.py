"""A rebuild rests while the log grows, as far as it still arrives."""

from __future__ import annotations

import pytest

from projections.courtesy import BUSY_EVENTS_PER_SECOND, Courtesy


@pytest.mark.parametrize(
    ("appended", "replayed", "rest"),
    [
        (0, 10_000, 0.0),
        (BUSY_EVENTS_PER_SECOND - 1, 10_000, 0.0),
        (BUSY_EVENTS_PER_SECOND, 10_000, 1.0),
        (2_000, 6_000, 1.0),
        (2_000, 5_999, 0.0),
    ],
)
def test_it_rests_twice_as_long_as_it_worked_while_the_log_is_busy(
    appended: int, replayed: int, rest: float
) -> None:
    courtesy = Courtesy(head=100, looked_at=7.0)
    assert courtesy.rest_seconds(0.5, replayed, int(100 + appended), now=8.0) == rest


def test_growth_is_that_since_the_last_look() -> None:
    courtesy = Courtesy(head=0, looked_at=0.0)
    assert courtesy.rest_seconds(0.1, 10_000, 5_000, now=1.0) == 0.2
    assert courtesy.rest_seconds(0.1, 10_000, 5_000, now=2.0) == 0.0
    assert courtesy.rest_seconds(0.1, 10_000, 6_000, now=3.0) == 0.2

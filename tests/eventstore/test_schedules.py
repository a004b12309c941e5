"""The group committer under seeded schedules: `make schedules` runs thousands of them."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.support.schedules.schedule import run_schedule

SEEDS = (*range(12), 800817)
"""The last one has a batch decided twice without an answer, each time otherwise."""


@pytest.mark.slow
def test_what_callers_are_told_is_what_the_log_holds(database: str) -> None:
    told: Counter[str] = Counter()
    for seed in SEEDS:
        told += run_schedule(seed, database)
    assert told["cuts"] > len(SEEDS)
    assert {"stored", "replayed", "refused", "unknown", "unavailable", "gave up"} <= told.keys()

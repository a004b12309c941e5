"""Limits of planning."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PlannerConfig:
    """Limits, each with its unit. Planning without improvement is polynomial in the operation.

    `improvement_attempts_max` and `improvement_seconds_max` bound the search for a better plan than
    the greedy one; when either is used up the best plan so far is taken.
    """

    selections_max: int = 20_000
    fetches_max: int = 1_000
    improvement_attempts_max: int = 24
    improvement_seconds_max: float = 0.5
    cached_plans_max: int = 1_000
    cached_label_sets_max: int = 16
    batch_calls_max: int = 50

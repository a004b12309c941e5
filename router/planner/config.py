"""Limits of planning."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PlannerConfig:
    """Limits, each with its unit.

    Without improvement, planning takes time polynomial in the operation. The search for a plan
    with fewer requests than the first is bounded by `improvement_attempts_max` plans,
    `improvement_steps_max` steps in all of them, and `improvement_seconds_max`.

    With `strict_mutations` a root field of a mutation waits for everything that hangs on the one
    before, whichever subgraph is asked. Without, only for what asks its own subgraph: subgraphs
    that own their data do not see each other's mutations, and neighbours share a request.
    """

    selections_max: int = 20_000
    fetches_max: int = 2_000
    improvement_attempts_max: int = 24
    improvement_steps_max: int = 500
    improvement_seconds_max: float = 0.5
    cached_plans_max: int = 1_000
    cached_label_sets_max: int = 16
    batch_calls_max: int = 100
    strict_mutations: bool = False

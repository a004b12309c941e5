"""Satisfiability."""

from __future__ import annotations

from router.composition.merge.records import Merge
from router.composition.problems import CompositionError, CompositionHint


def check_satisfiability(
    merge: Merge,
) -> tuple[list[CompositionError], list[CompositionHint]]:
    return [], []

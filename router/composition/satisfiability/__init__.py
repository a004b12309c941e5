"""Satisfiability: whether the subgraphs can answer every query that the supergraph allows."""

from __future__ import annotations

from router.composition.satisfiability.walk import VALIDATION_PATHS_MAX, check_satisfiability

__all__ = ["VALIDATION_PATHS_MAX", "check_satisfiability"]

"""Federated composition: many subgraphs, one supergraph, or every reason why not."""

from __future__ import annotations

from router.composition.compose import CompositionResult, compose
from router.composition.contracts import Contract
from router.composition.problems import CompositionError, CompositionHint
from router.composition.subgraph import Subgraph

__all__ = [
    "CompositionError",
    "CompositionHint",
    "CompositionResult",
    "Contract",
    "Subgraph",
    "compose",
]

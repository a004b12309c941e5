"""A complete Federation v2 router: composition, planning, execution, HTTP."""

from __future__ import annotations

from router.composition import (
    CompositionError,
    CompositionHint,
    CompositionResult,
    Contract,
    Subgraph,
    compose,
)
from router.errors import RouterError

__all__ = [
    "CompositionError",
    "CompositionHint",
    "CompositionResult",
    "Contract",
    "RouterError",
    "Subgraph",
    "compose",
]

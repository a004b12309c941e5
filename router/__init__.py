"""A complete Federation v2 router: composition, planning, execution, HTTP.

Composition is imported when it is first asked for: a router that is given a supergraph starts
without it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from router.errors import RouterError

if TYPE_CHECKING:
    from router.composition import (
        CompositionError,
        CompositionHint,
        CompositionResult,
        Contract,
        Subgraph,
        compose,
    )

__all__ = [
    "CompositionError",
    "CompositionHint",
    "CompositionResult",
    "Contract",
    "RouterError",
    "Subgraph",
    "compose",
]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module("router.composition"), name)
    globals()[name] = value
    return value

"""NO_QUERIES: a graph has a query root."""

from __future__ import annotations

from collections.abc import Iterator

from router.composition.merge.records import Merge
from router.composition.problems import CompositionError


def check(merge: Merge) -> Iterator[CompositionError]:
    if "query" not in merge.schema.roots:
        message = "no subgraph has a field on its query root: a graph needs at least one"
        yield CompositionError(
            "NO_QUERIES", message, tuple(one.name for one in merge.subgraphs), ("Query",)
        )

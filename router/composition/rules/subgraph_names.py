"""INVALID_SUBGRAPH_NAME: each subgraph has a name of its own, and none is called "_"."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from router.composition.problems import CompositionError
from router.composition.subgraph import Subgraph


def check(subgraphs: list[Subgraph]) -> Iterator[CompositionError]:
    if not subgraphs:
        yield CompositionError("NO_QUERIES", "there is no subgraph: give at least one")
    for name, count in Counter(one.name for one in subgraphs).items():
        if not name.strip() or name == "_":
            message = f'"{name}" cannot be the name of a subgraph: choose another'
            yield CompositionError("INVALID_SUBGRAPH_NAME", message, (name,))
        elif count > 1:
            message = f'{count} subgraphs are called "{name}": give each a name of its own'
            yield CompositionError("INVALID_SUBGRAPH_NAME", message, (name,))

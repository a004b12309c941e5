"""The rules of composition, each in a module of its own, in the order they are asked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from router.composition.merge.records import Merge
from router.composition.model import Schema
from router.composition.problems import CompositionError
from router.composition.subgraph import Subgraph, SubgraphSchema


def check_set(subgraphs: list[Subgraph]) -> Iterator[CompositionError]:
    return iter(())


def check_subgraph(
    subgraph: SubgraphSchema, *, before_upgrade: bool = False
) -> Iterable[CompositionError]:
    return ()


def check_merge(merge: Merge) -> Iterable[CompositionError]:
    return ()


def check_supergraph(merge: Merge, supergraph: Schema) -> Iterable[CompositionError]:
    return ()

"""INCONSISTENT_ENTITY: a type is an entity in some subgraphs only."""

from __future__ import annotations

from collections.abc import Iterator

from router.composition.merge.records import Merge
from router.composition.problems import CompositionHint
from router.composition.rules.report import hint, subgraphs_named


def check(merge: Merge) -> Iterator[CompositionHint]:
    for one in merge.types.values():
        if one.kind != "object":
            continue
        keyed = [i for i in one.sources if merge.subgraphs[i].facts.keys(one.name)]
        plain = [index for index in one.sources if index not in keyed]
        if keyed and plain:
            yield hint(
                merge,
                "INCONSISTENT_ENTITY",
                f'"{one.name}" has a @key in {subgraphs_named(merge, keyed)} but none in '
                f"{subgraphs_named(merge, plain)}",
                one.name,
                one.sources,
            )

"""EMPTY_MERGED_ENUM_TYPE: an enum that clients send has a value all its subgraphs know."""

from __future__ import annotations

from collections.abc import Iterator

from router.composition.merge.records import Merge
from router.composition.problems import CompositionError
from router.composition.rules.report import across, subgraphs_named


def check(merge: Merge) -> Iterator[CompositionError]:
    for one in merge.types.values():
        if one.kind == "enum" and not one.merged.values:
            yield across(
                merge,
                "EMPTY_MERGED_ENUM_TYPE",
                f'enum "{one.name}" has no value common to {subgraphs_named(merge, one.sources)}: '
                f"only common values are merged where it is an input",
                one.name,
                one.sources,
            )

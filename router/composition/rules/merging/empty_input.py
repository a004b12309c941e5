"""EMPTY_MERGED_INPUT_TYPE: subgraphs that share an input type share one of its fields."""

from __future__ import annotations

from collections.abc import Iterator

from router.composition.merge.records import Merge
from router.composition.problems import CompositionError
from router.composition.rules.report import across, subgraphs_named


def check(merge: Merge) -> Iterator[CompositionError]:
    for one in merge.types.values():
        if one.kind == "input" and not one.merged.input_fields:
            yield across(
                merge,
                "EMPTY_MERGED_INPUT_TYPE",
                f'input "{one.name}" has no field common to {subgraphs_named(merge, one.sources)}: '
                f"only common fields are merged",
                one.name,
                one.sources,
            )

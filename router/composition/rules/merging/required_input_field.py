"""REQUIRED_INPUT_FIELD_MISSING_IN_SOME_SUBGRAPH: what one subgraph demands, all must accept."""

from __future__ import annotations

from collections.abc import Iterator

from router.composition.merge.records import Merge
from router.composition.problems import CompositionError
from router.composition.rules.report import across, subgraphs_named


def check(merge: Merge) -> Iterator[CompositionError]:
    for one in merge.types.values():
        for item in one.input_fields.values():
            if item.kept:
                continue
            required = [index for index, source in item.present().items() if source.required]
            missing = [index for index, source in item.sources.items() if source is None]
            if required and missing:
                yield across(
                    merge,
                    "REQUIRED_INPUT_FIELD_MISSING_IN_SOME_SUBGRAPH",
                    f"{item.coordinate} is required in {subgraphs_named(merge, required)} but "
                    f"unknown in {subgraphs_named(merge, missing)}: add it there, or make it "
                    f"optional",
                    item.coordinate,
                    item.sources,
                )

"""REQUIRED_ARGUMENT_MISSING_IN_SOME_SUBGRAPH: what one subgraph demands, all must accept."""

from __future__ import annotations

from collections.abc import Iterator

from router.composition.merge.records import Merge
from router.composition.problems import CompositionError
from router.composition.rules.merging.arguments import all_arguments
from router.composition.rules.report import across, subgraphs_named


def check(merge: Merge) -> Iterator[CompositionError]:
    for argument in all_arguments(merge):
        if argument.kept or argument.contextual:
            continue
        required = [index for index, one in argument.present().items() if one.required]
        missing = [index for index, one in argument.sources.items() if one is None]
        if required and missing:
            yield across(
                merge,
                "REQUIRED_ARGUMENT_MISSING_IN_SOME_SUBGRAPH",
                f"{argument.coordinate} is required in {subgraphs_named(merge, required)} but "
                f"unknown in {subgraphs_named(merge, missing)}: add it there, or make it optional",
                argument.coordinate,
                argument.sources,
            )

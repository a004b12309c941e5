"""INCONSISTENT_ARGUMENT_PRESENCE: an optional argument that not all know is dropped."""

from __future__ import annotations

from collections.abc import Iterator

from router.composition.merge.records import Merge
from router.composition.problems import CompositionHint
from router.composition.rules.merging.arguments import all_arguments
from router.composition.rules.report import hint, subgraphs_named


def check(merge: Merge) -> Iterator[CompositionHint]:
    for argument in all_arguments(merge):
        if argument.kept or argument.contextual:
            continue
        if any(one.required for one in argument.present().values()):
            continue
        missing = [index for index, one in argument.sources.items() if one is None]
        yield hint(
            merge,
            "INCONSISTENT_ARGUMENT_PRESENCE",
            f"{argument.coordinate} is left out of the supergraph: unknown in "
            f"{subgraphs_named(merge, missing)}",
            argument.coordinate,
            argument.sources,
        )

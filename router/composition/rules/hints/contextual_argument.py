"""CONTEXTUAL_ARGUMENT_NOT_CONTEXTUAL_IN_ALL_SUBGRAPHS: an argument is dropped for a context."""

from __future__ import annotations

from collections.abc import Iterator

from router.composition.merge.records import Merge
from router.composition.problems import CompositionHint
from router.composition.rules.report import hint, subgraphs_named


def check(merge: Merge) -> Iterator[CompositionHint]:
    for field in merge.fields():
        for argument in field.args.values():
            optional = [
                index
                for index, one in argument.present().items()
                if not one.required and index not in argument.contextual
            ]
            if argument.contextual and optional:
                yield hint(
                    merge,
                    "CONTEXTUAL_ARGUMENT_NOT_CONTEXTUAL_IN_ALL_SUBGRAPHS",
                    f"{argument.coordinate} comes from a context in "
                    f"{subgraphs_named(merge, argument.contextual)}, so clients cannot give it "
                    f"to {subgraphs_named(merge, optional)} either",
                    argument.coordinate,
                    argument.sources,
                )

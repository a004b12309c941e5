"""CONTEXTUAL_ARGUMENT_NOT_CONTEXTUAL_IN_ALL_SUBGRAPHS: a contextual argument is never sent.

Where it is not contextual it must therefore be optional.
"""

from __future__ import annotations

from collections.abc import Iterator

from router.composition.merge.records import Merge
from router.composition.problems import CompositionError
from router.composition.rules.report import across, subgraphs_named


def check(merge: Merge) -> Iterator[CompositionError]:
    for field in merge.fields():
        for argument in field.args.values():
            required = [
                index
                for index, one in argument.present().items()
                if one.required and index not in argument.contextual
            ]
            if argument.contextual and required:
                yield across(
                    merge,
                    "CONTEXTUAL_ARGUMENT_NOT_CONTEXTUAL_IN_ALL_SUBGRAPHS",
                    f"{argument.coordinate} comes from a context in "
                    f"{subgraphs_named(merge, argument.contextual)} but is required in "
                    f"{subgraphs_named(merge, required)}: use @fromContext there too, or make it "
                    f"optional",
                    argument.coordinate,
                    argument.sources,
                )

"""FIELD_ARGUMENT_TYPE_MISMATCH: types of one argument are equal or compatible."""

from __future__ import annotations

from collections.abc import Iterator

from router.composition.merge.records import Merge
from router.composition.problems import CompositionError
from router.composition.rules.merging.arguments import all_arguments
from router.composition.rules.report import across, variants


def check(merge: Merge) -> Iterator[CompositionError]:
    for argument in all_arguments(merge):
        if argument.kept and argument.ref.incompatible:
            types = {index: f"`{one.type}`" for index, one in argument.present().items()}
            yield across(
                merge,
                "FIELD_ARGUMENT_TYPE_MISMATCH",
                f"{argument.coordinate} is {variants(merge, types)}: give all one type",
                argument.coordinate,
                argument.sources,
            )

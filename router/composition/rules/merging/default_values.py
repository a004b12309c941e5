"""FIELD_ARGUMENT_DEFAULT_MISMATCH, INPUT_FIELD_DEFAULT_MISMATCH: one default, or none."""

from __future__ import annotations

from collections.abc import Iterator

from router.composition.merge.records import InputMerge, Merge
from router.composition.problems import CompositionError
from router.composition.rules.merging.arguments import all_arguments
from router.composition.rules.report import across, variants
from router.composition.values import Absent, show


def check(merge: Merge) -> Iterator[CompositionError]:
    for argument in all_arguments(merge):
        if argument.kept and argument.default.incompatible:
            yield _error(merge, "FIELD_ARGUMENT_DEFAULT_MISMATCH", argument)
    for one in merge.types.values():
        for item in one.input_fields.values():
            if item.default.incompatible:
                yield _error(merge, "INPUT_FIELD_DEFAULT_MISMATCH", item)


def _error(merge: Merge, code: str, item: InputMerge) -> CompositionError:
    values = {
        index: "no default"
        if isinstance(source.default, Absent)
        else f"default {show(source.default)}"
        for index, source in item.present().items()
    }
    message = f"{item.coordinate} has {variants(merge, values)}: give all the same default"
    return across(merge, code, message, item.coordinate, item.sources)

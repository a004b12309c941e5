"""INCONSISTENT_DEFAULT_VALUE_PRESENCE: a default that not all have is dropped."""

from __future__ import annotations

from collections.abc import Iterator

from router.composition.merge.records import InputMerge, Merge
from router.composition.problems import CompositionHint
from router.composition.rules.merging.arguments import all_arguments
from router.composition.rules.report import hint, variants
from router.composition.values import Absent, show


def check(merge: Merge) -> Iterator[CompositionHint]:
    items = [argument for argument in all_arguments(merge) if argument.kept]
    items += [item for one in merge.types.values() for item in one.input_fields.values()]
    for item in items:
        if item.default.inconsistent and not item.default.incompatible:
            yield _hint(merge, item)


def _hint(merge: Merge, item: InputMerge) -> CompositionHint:
    values = {
        index: "no default" if isinstance(one.default, Absent) else f"default {show(one.default)}"
        for index, one in item.present().items()
    }
    return hint(
        merge,
        "INCONSISTENT_DEFAULT_VALUE_PRESENCE",
        f"{item.coordinate} has {variants(merge, values)}; the supergraph has none",
        item.coordinate,
        item.sources,
    )

"""INCONSISTENT_INPUT_OBJECT_FIELD: an optional input field that not all know is dropped."""

from __future__ import annotations

from collections.abc import Iterator

from router.composition.merge.records import Merge
from router.composition.problems import CompositionHint
from router.composition.rules.report import hint, subgraphs_named


def check(merge: Merge) -> Iterator[CompositionHint]:
    for one in merge.types.values():
        for item in one.input_fields.values():
            present = item.present()
            if item.kept or any(source.required for source in present.values()):
                continue
            missing = [index for index, source in item.sources.items() if source is None]
            yield hint(
                merge,
                "INCONSISTENT_INPUT_OBJECT_FIELD",
                f"{item.coordinate} is left out of the supergraph: unknown in "
                f"{subgraphs_named(merge, missing)}",
                item.coordinate,
                item.sources,
            )

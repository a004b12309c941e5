"""INCONSISTENT_DESCRIPTION: descriptions differ; the most frequent is used."""

from __future__ import annotations

from collections.abc import Iterator

from router.composition.merge.records import Merge
from router.composition.problems import CompositionHint
from router.composition.rules.report import subgraphs_named


def check(merge: Merge) -> Iterator[CompositionHint]:
    for conflict in merge.descriptions:
        chosen = [index for index, text in conflict.options.items() if text == conflict.chosen]
        others = [index for index in conflict.options if index not in chosen]
        yield CompositionHint(
            "INCONSISTENT_DESCRIPTION",
            f"{conflict.coordinate} is described otherwise in {subgraphs_named(merge, others)} "
            f"than in {subgraphs_named(merge, chosen)}, whose description is used",
            tuple(merge.names(conflict.options)),
            () if conflict.coordinate == "schema" else (conflict.coordinate,),
        )

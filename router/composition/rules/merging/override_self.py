"""OVERRIDE_FROM_SELF_ERROR: a field is taken over from another subgraph."""

from __future__ import annotations

from collections.abc import Iterator

from router.composition.merge.records import Merge
from router.composition.problems import CompositionError
from router.composition.rules.merging.override import findings
from router.composition.rules.report import in_subgraph


def check(merge: Merge) -> Iterator[CompositionError]:
    for field, finding, directive in findings(merge, "from_self"):
        yield in_subgraph(
            merge.subgraphs[finding.index],
            "OVERRIDE_FROM_SELF_ERROR",
            f'@override(from: "{finding.source}") on {field.coordinate} names its own subgraph',
            field.coordinate,
            directive,
        )

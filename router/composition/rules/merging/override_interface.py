"""OVERRIDE_ON_INTERFACE: fields of an interface are not resolved, so cannot be taken over."""

from __future__ import annotations

from collections.abc import Iterator

from router.composition.merge.records import Merge
from router.composition.problems import CompositionError
from router.composition.rules.merging.override import findings
from router.composition.rules.report import in_subgraph


def check(merge: Merge) -> Iterator[CompositionError]:
    for field, finding, directive in findings(merge, "on_interface"):
        yield in_subgraph(
            merge.subgraphs[finding.index],
            "OVERRIDE_ON_INTERFACE",
            f"@override on {field.coordinate}: override the fields of the implementations",
            field.coordinate,
            directive,
        )

"""OVERRIDE_LABEL_INVALID: a label is a name or `percent(x)`."""

from __future__ import annotations

from collections.abc import Iterator

from router.composition.merge.records import Merge
from router.composition.problems import CompositionError
from router.composition.rules.merging.override import findings
from router.composition.rules.report import in_subgraph


def check(merge: Merge) -> Iterator[CompositionError]:
    for field, finding, directive in findings(merge, "bad_label"):
        yield in_subgraph(
            merge.subgraphs[finding.index],
            "OVERRIDE_LABEL_INVALID",
            f'@override on {field.coordinate} has label "{finding.label}": write a letter and '
            f"then letters, digits or _-:./, or percent(x) with x from 0 to 100",
            field.coordinate,
            directive,
        )

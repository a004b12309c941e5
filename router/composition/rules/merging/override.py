"""The overrides of every field, by case, for the rules on `@override`."""

from __future__ import annotations

from collections.abc import Iterator

from router.composition.merge.records import FieldMerge, Merge, OverrideCase, OverrideFinding
from router.composition.model import Directive, applied
from router.composition.names import OVERRIDE


def findings(
    merge: Merge, *cases: OverrideCase
) -> Iterator[tuple[FieldMerge, OverrideFinding, Directive]]:
    for field in merge.fields():
        for finding in field.overrides.findings:
            if finding.case in cases:
                source = field.present()[finding.index]
                yield field, finding, applied(source, OVERRIDE)[0]

"""OVERRIDE_SOURCE_HAS_OVERRIDE: a field that is taken over does not take over itself."""

from __future__ import annotations

from collections.abc import Iterator

from router.composition.merge.records import Merge
from router.composition.problems import CompositionError, place
from router.composition.rules.merging.override import findings


def check(merge: Merge) -> Iterator[CompositionError]:
    for field, finding, directive in findings(merge, "source_overrides"):
        name = merge.name(finding.index)
        message = (
            f'[{name}] @override on {field.coordinate} from "{finding.source}", which overrides '
            f"the field itself: keep one @override a field"
        )
        yield CompositionError(
            "OVERRIDE_SOURCE_HAS_OVERRIDE",
            message,
            (name, finding.source),
            (field.coordinate,),
            place(name, directive.location),
        )

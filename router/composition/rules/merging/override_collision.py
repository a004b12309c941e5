"""OVERRIDE_COLLISION_WITH_ANOTHER_DIRECTIVE: not with external, provided or requiring fields."""

from __future__ import annotations

from collections.abc import Iterator

from router.composition.merge.records import Merge
from router.composition.problems import CompositionError, place
from router.composition.rules.merging.override import findings

REASONS = {
    "on_interface_object": 'the field belongs to an @interfaceObject in "{here}"',
    "source_abstracts": '"{source}" has the field only on an @interfaceObject',
    "source_requires": 'the field has @requires in "{source}"',
    "source_provides": 'the field has @provides in "{source}"',
    "external_here": 'the field is @external in "{here}"',
}


def check(merge: Merge) -> Iterator[CompositionError]:
    for field, finding, directive in findings(
        merge,
        "on_interface_object",
        "source_abstracts",
        "source_requires",
        "source_provides",
        "external_here",
    ):
        name = merge.name(finding.index)
        reason = REASONS[finding.case].format(here=name, source=finding.source)
        yield CompositionError(
            "OVERRIDE_COLLISION_WITH_ANOTHER_DIRECTIVE",
            f"[{name}] @override on {field.coordinate} is not supported: {reason}",
            (name,),
            (field.coordinate,),
            place(name, directive.location),
        )

"""EXTERNAL_MISSING_ON_BASE: what one subgraph calls external, another resolves."""

from __future__ import annotations

from collections.abc import Iterator

from router.composition.merge.records import FieldMerge, Merge
from router.composition.problems import CompositionError
from router.composition.rules.report import across, subgraphs_named


def check(merge: Merge) -> Iterator[CompositionError]:
    for field in merge.fields():
        if not field.from_interface_object and nowhere_resolved(merge, field):
            yield across(
                merge,
                "EXTERNAL_MISSING_ON_BASE",
                f"{field.coordinate} is @external in {subgraphs_named(merge, field.external)}, "
                f"and no subgraph resolves it: remove @external where it is resolved",
                field.coordinate,
                field.sources,
            )


def nowhere_resolved(merge: Merge, field: FieldMerge) -> bool:
    """Whether all instances of a field are external, those on `@interfaceObject`s too."""
    if len(field.external) < len(field.present()):
        return False
    return all(
        one.coordinate in merge.subgraphs[index].facts.external
        for index, found in field.abstracted.items()
        for one in found
    )

"""INCONSISTENT_OBJECT_VALUE_TYPE_FIELD, INCONSISTENT_INTERFACE_VALUE_TYPE_FIELD.

A type without keys has a field in some of its subgraphs only.
"""

from __future__ import annotations

from collections.abc import Iterator

from router.composition.merge.interface_objects import provided_by_interface_object
from router.composition.merge.records import Merge, TypeMerge
from router.composition.model import ROOT_NAMES
from router.composition.problems import CompositionHint
from router.composition.rules.report import hint, subgraphs_named


def check(merge: Merge) -> Iterator[CompositionHint]:
    for one in merge.types.values():
        if one.kind not in ("object", "interface") or len(one.sources) < 2:
            continue
        if one.kind == "object" and one.name in ROOT_NAMES.values():
            continue
        if not any(merge.subgraphs[index].facts.keys(one.name) for index in one.sources):
            yield from _of_type(merge, one)


def _of_type(merge: Merge, one: TypeMerge) -> Iterator[CompositionHint]:
    for name, field in one.fields.items():
        missing = [
            index
            for index, source in one.sources.items()
            if name not in source.fields
            and one.name not in merge.subgraphs[index].facts.interface_objects
            and not all(
                own.coordinate in merge.subgraphs[index].facts.external
                for own in source.fields.values()
            )
        ]
        if not missing or field.from_interface_object:
            continue
        if one.kind == "interface" and provided_by_interface_object(merge, one.name, name):
            continue
        yield hint(
            merge,
            f"INCONSISTENT_{one.kind.upper()}_VALUE_TYPE_FIELD",
            f"{field.coordinate} is in {subgraphs_named(merge, field.present())} but not in "
            f"{subgraphs_named(merge, missing)}, which define the type too",
            field.coordinate,
            field.sources,
        )

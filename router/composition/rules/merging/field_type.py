"""FIELD_TYPE_MISMATCH: types of one field are equal or one is a subtype of the other."""

from __future__ import annotations

from collections.abc import Iterator

from router.composition.merge.records import Merge
from router.composition.problems import CompositionError
from router.composition.rules.merging.external_base import nowhere_resolved
from router.composition.rules.report import across, variants


def check(merge: Merge) -> Iterator[CompositionError]:
    for field in merge.fields():
        if field.ref.incompatible and not nowhere_resolved(merge, field):
            types = {
                index: f"`{one.type}`"
                for index, one in field.present().items()
                if index not in field.external or len(field.external) == len(field.present())
            }
            yield across(
                merge,
                "FIELD_TYPE_MISMATCH",
                f"{field.coordinate} is {variants(merge, types)}: give all one type",
                field.coordinate,
                field.sources,
            )
    for one in merge.types.values():
        for item in one.input_fields.values():
            if item.ref.incompatible:
                types = {index: f"`{source.type}`" for index, source in item.present().items()}
                yield across(
                    merge,
                    "FIELD_TYPE_MISMATCH",
                    f"{item.coordinate} is {variants(merge, types)}: give all one type",
                    item.coordinate,
                    item.sources,
                )

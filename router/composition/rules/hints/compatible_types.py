"""INCONSISTENT_BUT_COMPATIBLE_FIELD_TYPE, INCONSISTENT_BUT_COMPATIBLE_ARGUMENT_TYPE."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from router.composition.merge.records import Merge, MergedRef
from router.composition.model import FieldDef, InputDef
from router.composition.problems import CompositionHint
from router.composition.rules.merging.arguments import all_arguments
from router.composition.rules.report import hint, variants


def check(merge: Merge) -> Iterator[CompositionHint]:
    for field in merge.fields():
        present = field.present()
        own = {i: one for i, one in present.items() if i not in field.external} or present
        yield from _of(merge, "FIELD", field.coordinate, field.ref, own)
    for one in merge.types.values():
        for item in one.input_fields.values():
            yield from _of(merge, "FIELD", item.coordinate, item.ref, item.present())
    for argument in all_arguments(merge):
        if argument.kept:
            yield from _of(merge, "ARGUMENT", argument.coordinate, argument.ref, argument.present())


def _of(
    merge: Merge,
    element: str,
    coordinate: str,
    ref: MergedRef,
    sources: Mapping[int, FieldDef | InputDef],
) -> Iterator[CompositionHint]:
    if ref.equal or ref.incompatible:
        return
    types = {index: f"`{one.type}`" for index, one in sources.items()}
    message = f"{coordinate} is {variants(merge, types)}; the supergraph has `{ref.ref}`"
    code = f"INCONSISTENT_BUT_COMPATIBLE_{element}_TYPE"
    yield hint(merge, code, message, coordinate, sources)

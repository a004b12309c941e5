"""EXTERNAL_ARGUMENT_*: an external field has the arguments of the field it refers to.

EXTERNAL_ARGUMENT_MISSING, EXTERNAL_ARGUMENT_TYPE_MISMATCH, EXTERNAL_ARGUMENT_DEFAULT_MISMATCH.
"""

from __future__ import annotations

from collections.abc import Iterator

from router.composition.merge.merge import subtyping
from router.composition.merge.records import FieldMerge, Merge
from router.composition.model import InputDef
from router.composition.problems import CompositionError
from router.composition.rules.merging.external_base import nowhere_resolved
from router.composition.rules.report import across, subgraphs_named, variants
from router.composition.types import is_strict_subtype
from router.composition.values import Absent, equal, show


def check(merge: Merge) -> Iterator[CompositionError]:
    named = subtyping(merge)
    for field in merge.fields():
        if not field.external or nowhere_resolved(merge, field):
            continue
        for argument in field.merged.args.values():
            own = {
                index: field.present()[index].args.get(argument.name) for index in field.external
            }
            missing = [index for index, one in own.items() if one is None]
            if missing:
                yield _error(
                    merge,
                    field,
                    argument,
                    "EXTERNAL_ARGUMENT_MISSING",
                    f"is missing in {subgraphs_named(merge, missing)}, where it is @external",
                )
            present = [one for one in own.values() if one is not None]
            if any(
                one.type != argument.type and not is_strict_subtype(one.type, argument.type, named)
                for one in present
            ):
                types = {i: f"`{one.type}`" for i, one in _everywhere(field, argument).items()}
                yield _error(
                    merge,
                    field,
                    argument,
                    "EXTERNAL_ARGUMENT_TYPE_MISMATCH",
                    f"is {variants(merge, types)}: it must accept what the resolving field accepts",
                )
            if any(not equal(one.default, argument.default) for one in present):
                values = {i: _default(one) for i, one in _everywhere(field, argument).items()}
                yield _error(
                    merge,
                    field,
                    argument,
                    "EXTERNAL_ARGUMENT_DEFAULT_MISMATCH",
                    f"has {variants(merge, values)}: give it the same default everywhere",
                )


def _everywhere(field: FieldMerge, argument: InputDef) -> dict[int, InputDef]:
    return {
        index: one.args[argument.name]
        for index, one in field.present().items()
        if argument.name in one.args
    }


def _default(argument: InputDef) -> str:
    if isinstance(argument.default, Absent):
        return "no default"
    return f"default {show(argument.default)}"


def _error(
    merge: Merge, field: FieldMerge, argument: InputDef, code: str, fault: str
) -> CompositionError:
    coordinate = f"{field.coordinate}({argument.name}:)"
    return across(merge, code, f"{coordinate} {fault}", coordinate, field.sources)

"""Merging arguments and input fields: intersected, since every subgraph must understand them."""

from __future__ import annotations

from collections.abc import Mapping

from router.composition.merge.elements import (
    merge_applied,
    merge_defaults,
    merge_descriptions,
    merge_refs,
)
from router.composition.merge.records import InputMerge, Merge
from router.composition.model import Directive, FieldDef, InputDef, applied
from router.composition.names import FROM_CONTEXT
from router.composition.types import IsSubtype


def merge_arguments(
    merge: Merge,
    coordinate: str,
    sources: Mapping[int, FieldDef | None],
    named: IsSubtype,
) -> dict[str, InputMerge]:
    """The arguments of a field over the sources that resolve it; those not kept are there too."""
    owners = {index: source.args for index, source in sources.items() if source is not None}
    names = dict.fromkeys(name for args in owners.values() for name in args)
    answer: dict[str, InputMerge] = {}
    for name in names:
        one = merge_input(
            merge,
            f"{coordinate}({name}:)",
            name,
            {index: args.get(name) for index, args in owners.items()},
            named,
        )
        contextual = {
            index
            for index, source in one.sources.items()
            if source is not None and applied(source, FROM_CONTEXT)
        }
        one.contextual = frozenset(contextual)
        one.kept = not contextual and all(source is not None for source in one.sources.values())
        answer[name] = one
    return answer


def merge_input(
    merge: Merge,
    coordinate: str,
    name: str,
    sources: dict[int, InputDef | None],
    named: IsSubtype,
) -> InputMerge:
    """One argument or input field, merged over the sources that have it."""
    present = {index: source for index, source in sources.items() if source is not None}
    defs = list(present.values())
    ref = merge_refs([source.type for source in defs], named, input_position=True)
    default = merge_defaults(defs)
    merged = InputDef(
        name,
        ref.ref,
        default.value,
        merge_descriptions(
            merge, coordinate, {index: source.description for index, source in present.items()}
        ),
        applied_of(merge, coordinate, present),
    )
    return InputMerge(coordinate, name, sources, ref, default, merged=merged)


def applied_of(merge: Merge, coordinate: str, present: Mapping[int, InputDef]) -> list[Directive]:
    """The directives of one argument or input field."""
    if not any(source.directives for source in present.values()):
        return []
    return merge_applied(
        merge, coordinate, {index: source.directives for index, source in present.items()}
    )

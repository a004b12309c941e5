"""Merging the fields of objects and interfaces: united, each with all its sources."""

from __future__ import annotations

from collections.abc import Mapping

from router.composition.merge.access import AccessControl
from router.composition.merge.elements import merge_applied, merge_descriptions, merge_refs
from router.composition.merge.inputs import merge_arguments
from router.composition.merge.join import join_directives, join_fields
from router.composition.merge.override import resolve_overrides
from router.composition.merge.records import EnumUsage, FieldMerge, Merge, Overrides, TypeMerge
from router.composition.model import FieldDef, applied
from router.composition.names import OVERRIDE
from router.composition.types import IsSubtype, base_name


def merge_fields(merge: Merge, one: TypeMerge, named: IsSubtype, access: AccessControl) -> None:
    """Fill the type's fields, merged and as records."""
    names = dict.fromkeys(name for source in one.sources.values() for name in source.fields)
    concerned = sorted({*one.sources, *_abstracting(merge, one)})
    for name in names:
        sources: dict[int, FieldDef | None] = {
            index: one.sources[index].fields.get(name) if index in one.sources else None
            for index in concerned
        }
        field = _merge_field(merge, one, name, sources, named, access)
        one.fields[name] = field
        one.merged.fields[name] = field.merged


def _abstracting(merge: Merge, one: TypeMerge) -> set[int]:
    """Subgraphs without the type that stand for it through an `@interfaceObject`."""
    if not one.merged.interfaces:
        return set()
    return {
        index
        for index, subgraph in enumerate(merge.subgraphs)
        if index not in one.sources
        and any(
            interface in subgraph.facts.interface_objects for interface in one.merged.interfaces
        )
    }


def abstracted_fields(
    merge: Merge, one: TypeMerge, name: str, sources: Mapping[int, FieldDef | None]
) -> dict[int, list[FieldDef]]:
    """The field on `@interfaceObject`s that stand for the type, by subgraph without the type."""
    answer: dict[int, list[FieldDef]] = {}
    if one.kind != "object" or not one.merged.interfaces:
        return answer
    for index, subgraph in enumerate(merge.subgraphs):
        if one.name in subgraph.schema.types or sources.get(index) is not None:
            continue
        for interface in one.merged.interfaces:
            if interface in subgraph.facts.interface_objects:
                found = subgraph.schema.types[interface].fields.get(name)
                if found is not None:
                    answer.setdefault(index, []).append(found)
    return answer


def _merge_field(
    merge: Merge,
    one: TypeMerge,
    name: str,
    sources: dict[int, FieldDef | None],
    named: IsSubtype,
    access: AccessControl,
) -> FieldMerge:
    coordinate = f"{one.name}.{name}"
    external = {
        index
        for index, source in sources.items()
        if source is not None and coordinate in merge.subgraphs[index].facts.external
    }
    present = {index: source for index, source in sources.items() if source is not None}
    resolving = {i: source for i, source in present.items() if i not in external} or present
    abstracted = abstracted_fields(merge, one, name, sources)
    overriding = any(applied(source, OVERRIDE) for source in present.values())
    overrides = (
        resolve_overrides(merge.subgraphs, one.name, sources, abstracted)
        if overriding
        else Overrides()
    )
    ref = merge_refs([source.type for source in resolving.values()], named, input_position=False)
    args = merge_arguments(merge, coordinate, resolving, named)
    merged = FieldDef(
        one.name,
        name,
        ref.ref,
        {
            key: argument.merged
            for key, argument in args.items()
            if argument.kept and argument.merged is not None
        },
        merge_descriptions(
            merge, coordinate, {index: source.description for index, source in resolving.items()}
        ),
    )
    field = FieldMerge(
        one.name,
        one.kind,
        name,
        sources,
        external,
        abstracted,
        overrides,
        ref,
        args,
        merged,
    )
    directives = {index: source.directives for index, source in resolving.items()}
    extra = access.extra(coordinate)
    if any(directives.values()) or extra:
        merged.directives = merge_applied(merge, coordinate, directives, extra)
    merged.directives = [
        *join_fields(merge, field),
        *join_directives(merge, {index: s.directives for index, s in present.items()}),
        *merged.directives,
    ]
    _note_enums(merge, field)
    return field


def _note_enums(merge: Merge, field: FieldMerge) -> None:
    output = base_name(field.ref.ref)
    if _is_enum(merge, output):
        usage = merge.enum_usage.setdefault(output, EnumUsage())
        usage.output = usage.output or field.coordinate
    for argument in field.args.values():
        if argument.kept:
            note_input_enum(merge, base_name(argument.ref.ref), argument.coordinate)


def note_input_enum(merge: Merge, name: str, coordinate: str) -> None:
    """Remember that an enum is used where clients give values.

    An input field counts even when it is left out of the supergraph, an argument only when it is
    not: so it is in other composers, and what is merged must not depend on which one is used.
    """
    if _is_enum(merge, name):
        usage = merge.enum_usage.setdefault(name, EnumUsage())
        usage.input = usage.input or coordinate


def _is_enum(merge: Merge, name: str) -> bool:
    return name in merge.types and merge.types[name].kind == "enum"

"""The order of merging: what later steps need comes first.

Kinds, then interfaces and unions (subtyping is decided on the merged ones), then fields, then
enums (whose merging depends on where they are used), then what implementations take from
`@interfaceObject`s.
"""

from __future__ import annotations

from router.composition.composed import composed_directives
from router.composition.merge.access import AccessControl
from router.composition.merge.directives import (
    merge_custom_definitions,
    merge_executable_definitions,
)
from router.composition.merge.elements import merge_applied, merge_descriptions
from router.composition.merge.enums import merge_values
from router.composition.merge.fields import merge_fields, note_input_enum
from router.composition.merge.inputs import merge_input
from router.composition.merge.interface_objects import add_interface_object_fields
from router.composition.merge.join import (
    join_directives,
    join_implements,
    join_input_fields,
    join_members,
    join_types,
)
from router.composition.merge.records import Merge, TypeMerge
from router.composition.model import BUILT_IN_SCALARS, ROOT_NAMES, Kind, TypeDef
from router.composition.subgraph import SubgraphSchema
from router.composition.types import IsSubtype, base_name


def merge_subgraphs(subgraphs: list[SubgraphSchema]) -> Merge:
    """Merge loaded subgraphs, whose `graph` names are set. Composes what can be composed."""
    merge = Merge(subgraphs, composed_directives(subgraphs))
    merge_custom_definitions(merge)
    _collect_types(merge)
    for one in merge.types.values():
        _merge_hierarchy(one)
    named = subtyping(merge)
    access = AccessControl(merge)
    for one in merge.types.values():
        _merge_type(merge, one, named, access)
    for one in merge.types.values():
        if one.kind == "enum":
            merge_values(merge, one)
    add_interface_object_fields(merge, access)
    merge_executable_definitions(merge, named)
    _merge_schema(merge)
    for one in merge.types.values():
        if one.kind != "object" or one.merged.fields:
            merge.schema.types[one.name] = one.merged
    for kind, name in ROOT_NAMES.items():
        if any(kind in one.schema.roots for one in subgraphs) and name in merge.schema.types:
            merge.schema.roots[kind] = name
    return merge


def _collect_types(merge: Merge) -> None:
    for index, subgraph in enumerate(merge.subgraphs):
        for name, definition in subgraph.schema.types.items():
            if name in BUILT_IN_SCALARS:
                continue
            kind: Kind = definition.kind
            shown: str = kind
            if name in subgraph.facts.interface_objects:
                kind, shown = "interface", "interface object"
            merge.kinds.setdefault(name, {})[index] = shown
            one = merge.types.get(name)
            if one is None:
                one = merge.types[name] = TypeMerge(name, kind, {}, TypeDef(kind, name))
            if one.kind == kind:
                one.sources[index] = definition


def _merge_hierarchy(one: TypeMerge) -> None:
    for source in one.sources.values():
        for interface in source.interfaces:
            if interface not in one.merged.interfaces:
                one.merged.interfaces.append(interface)
        for member in source.members:
            if member not in one.merged.members:
                one.merged.members.append(member)


def subtyping(merge: Merge) -> IsSubtype:
    """Which named types are subtypes of which, by the merged unions and interfaces."""

    def named(supertype: str, subtype: str) -> bool:
        above, below = merge.types.get(supertype), merge.types.get(subtype)
        if above is None or below is None:
            return False
        if above.kind == "union":
            return subtype in above.merged.members
        return above.kind == "interface" and supertype in below.merged.interfaces

    return named


def _merge_type(merge: Merge, one: TypeMerge, named: IsSubtype, access: AccessControl) -> None:
    merged = one.merged
    merged.description = merge_descriptions(
        merge, one.name, {index: source.description for index, source in one.sources.items()}
    )
    directives = {index: source.directives for index, source in one.sources.items()}
    extra = access.extra(one.name) if one.kind == "interface" else None
    merged.directives = [
        *join_types(merge, one.sources),
        *join_implements(merge, one.sources),
        *join_members(merge, one.sources, merged.members),
        *join_directives(merge, directives),
        *merge_applied(merge, one.name, directives, extra),
    ]
    if one.kind in ("object", "interface"):
        merge_fields(merge, one, named, access)
    elif one.kind == "input":
        _merge_input_fields(merge, one, named)


def _merge_input_fields(merge: Merge, one: TypeMerge, named: IsSubtype) -> None:
    hidden = merge.composed.federated.get("inaccessible")
    names = dict.fromkeys(name for source in one.sources.values() for name in source.input_fields)
    for name in names:
        item = merge_input(
            merge,
            f"{one.name}.{name}",
            name,
            {index: source.input_fields.get(name) for index, source in one.sources.items()},
            named,
        )
        one.input_fields[name] = item
        assert item.merged is not None
        inaccessible = any(directive.name == hidden for directive in item.merged.directives)
        item.kept = inaccessible or all(source is not None for source in item.sources.values())
        note_input_enum(merge, base_name(item.ref.ref), item.coordinate)
        if item.kept:
            joins = join_input_fields(merge, one.name, item)
            item.merged.directives = [*joins, *item.merged.directives]
            one.merged.input_fields[name] = item.merged


def _merge_schema(merge: Merge) -> None:
    applied = {index: one.schema.applied for index, one in enumerate(merge.subgraphs)}
    merge.schema.applied = [
        *join_directives(merge, applied),
        *merge_applied(merge, "schema", applied),
    ]
    merge.schema.description = merge_descriptions(
        merge,
        "schema",
        {index: one.schema.description for index, one in enumerate(merge.subgraphs)},
    )

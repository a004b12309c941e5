"""Fields of `@interfaceObject`s, given to the implementations that lack them.

Such a field bears a `join__field` without graph: it comes from no subgraph that knows the type.
"""

from __future__ import annotations

import copy

from router.composition.merge.access import AccessControl
from router.composition.merge.elements import merge_applied
from router.composition.merge.fields import abstracted_fields
from router.composition.merge.records import FieldMerge, Merge, Overrides, TypeMerge
from router.composition.model import Directive, FieldDef
from router.composition.names import ACCESS_CONTROL


def add_interface_object_fields(merge: Merge, access: AccessControl) -> None:
    """Complete every object from the interfaces that some subgraph abstracts."""
    if not any(subgraph.facts.interface_objects for subgraph in merge.subgraphs):
        return
    for one in merge.types.values():
        if one.kind == "object":
            for name in one.merged.interfaces:
                interface = merge.types.get(name)
                if interface is not None:
                    _complete(merge, one, interface, access)


def provided_by_interface_object(merge: Merge, interface: str, name: str) -> bool:
    """Whether some subgraph resolves the field on the interface as an `@interfaceObject`."""
    for subgraph in merge.subgraphs:
        if interface in subgraph.facts.interface_objects:
            field = subgraph.schema.types[interface].fields.get(name)
            if field is not None and field.coordinate not in subgraph.facts.external:
                return True
    return False


def _complete(merge: Merge, one: TypeMerge, interface: TypeMerge, access: AccessControl) -> None:
    for name, field in interface.fields.items():
        if not provided_by_interface_object(merge, interface.name, name):
            continue
        existing = one.fields.get(name)
        if existing is None:
            one.fields[name] = added = _added(merge, one, field, access)
            one.merged.fields[name] = added.merged
        elif len(existing.external) == len(existing.present()):
            own = {directive.name for directive in existing.merged.directives}
            existing.merged.directives += [
                directive
                for directive in _directives(merge, existing.coordinate, field, access)
                if directive.name not in own
            ]


def _directives(
    merge: Merge, coordinate: str, field: FieldMerge, access: AccessControl
) -> list[Directive]:
    guarded = {merge.composed.federated.get(name[1:]) for name in ACCESS_CONTROL}
    copied = [
        Directive(one.name, dict(one.args))
        for one in field.merged.directives
        if not one.name.startswith("join__") and one.name not in guarded
    ]
    extra = access.extra(coordinate)
    return copied + (merge_applied(merge, coordinate, {}, extra) if extra else [])


def _added(merge: Merge, one: TypeMerge, field: FieldMerge, access: AccessControl) -> FieldMerge:
    coordinate = f"{one.name}.{field.name}"
    merged = FieldDef(
        one.name,
        field.name,
        field.merged.type,
        copy.deepcopy(field.merged.args),
        field.merged.description,
        [Directive("join__field", {}), *_directives(merge, coordinate, field, access)],
    )
    return FieldMerge(
        one.name,
        one.kind,
        field.name,
        {},
        set(),
        abstracted_fields(merge, one, field.name, {}),
        Overrides(),
        field.ref,
        {},
        merged,
        from_interface_object=True,
    )

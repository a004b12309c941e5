"""INVALID_GRAPHQL: the supergraph as a whole is a valid schema.

Subgraphs are valid one by one; what can still break is how they fit, such as an implementation's
field whose merged type is wider than its interface's, or an input deprecated in one subgraph and
required in another. Source: GraphQL § 3.
"""

from __future__ import annotations

from collections.abc import Iterator

from router.composition.merge.merge import subtyping
from router.composition.merge.records import Merge
from router.composition.model import FieldDef, applied
from router.composition.problems import CompositionError
from router.composition.types import IsSubtype, is_strict_subtype


def check(merge: Merge) -> Iterator[CompositionError]:
    yield from _interfaces(merge)
    for definition in merge.schema.types.values():
        inputs = [
            (f"{definition.name}.{one.name}", one) for one in definition.input_fields.values()
        ]
        inputs += [
            (f"{field.coordinate}({argument.name}:)", argument)
            for field in definition.fields.values()
            for argument in field.args.values()
        ]
        for coordinate, one in inputs:
            if one.required and applied(one, "deprecated"):
                yield CompositionError(
                    "INVALID_GRAPHQL",
                    f"merged, {coordinate} is `{one.type}`, required, and so cannot be "
                    f"@deprecated: make it optional where it is required",
                    tuple(merge.names(merge.types[definition.name].sources)),
                    (coordinate,),
                )


def _interfaces(merge: Merge) -> Iterator[CompositionError]:
    named = subtyping(merge)
    for definition in merge.schema.types.values():
        for name in definition.interfaces:
            interface = merge.schema.types.get(name)
            if interface is None:
                continue
            for wanted in interface.fields.values():
                own = definition.fields.get(wanted.name)
                if own is None:
                    continue
                for fault in _faults(own, wanted, named):
                    subgraphs = tuple(merge.names(merge.types[definition.name].sources))
                    message = f"merged, {own.coordinate} does not fit {wanted.coordinate}: {fault}"
                    yield CompositionError(
                        "INVALID_GRAPHQL", message, subgraphs, (own.coordinate, wanted.coordinate)
                    )


def _faults(own: FieldDef, wanted: FieldDef, named: IsSubtype) -> Iterator[str]:
    if own.type != wanted.type and not is_strict_subtype(wanted.type, own.type, named):
        yield f"it is `{own.type}`, and the interface promises `{wanted.type}`"
    for argument in wanted.args.values():
        found = own.args.get(argument.name)
        if found is None:
            yield f'argument "{argument.name}" of the interface is missing'
        elif found.type != argument.type:
            yield (
                f'argument "{argument.name}" is `{found.type}`, and the interface has '
                f"`{argument.type}`"
            )
    for argument in own.args.values():
        if argument.required and argument.name not in wanted.args:
            yield f'it requires argument "{argument.name}", which the interface does not have'

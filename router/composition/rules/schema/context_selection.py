"""CONTEXT_INVALID_SELECTION: the selection of `@fromContext` comes to one value of the right type.

It is one field (with one field below, and so on), or inline fragments on different objects that
each come to one; types are compared without regard to a `!` that the value has and the argument
lacks.
"""

from __future__ import annotations

from collections.abc import Iterator

from router.composition.fieldset import (
    FieldSetSyntaxError,
    Pick,
    Selections,
    Spread,
    parse_field_set,
)
from router.composition.model import Schema, TypeDef
from router.composition.problems import CompositionError
from router.composition.rules.report import in_subgraph
from router.composition.rules.schema.context_uses import (
    ContextUse,
    context_setters,
    context_uses,
)
from router.composition.rules.schema.field_set_is_valid import selection_faults
from router.composition.subgraph import SubgraphSchema
from router.composition.types import ListOf, Named, NonNull, TypeRef, base_name, nullable


def check(subgraph: SubgraphSchema) -> Iterator[CompositionError]:
    setters = context_setters(subgraph)
    for use in context_uses(subgraph):
        if use.context not in setters or use.selection is None or use.owner.kind != "object":
            continue
        for fault in dict.fromkeys(_faults(subgraph, use, setters[use.context])):
            yield in_subgraph(
                subgraph,
                "CONTEXT_INVALID_SELECTION",
                f'@fromContext on {use.coordinate}, context "{use.context}": {fault}',
                use.coordinate,
                use.directive,
            )


def _faults(subgraph: SubgraphSchema, use: ContextUse, setters: list[TypeDef]) -> Iterator[str]:
    try:
        selections = parse_field_set(use.selection or "")
    except FieldSetSyntaxError as error:
        yield f"the selection cannot be read ({error})"
        return
    yield from _form_faults(selections)
    if any(isinstance(item, Pick) for item in selections) and len(selections) > 1:
        yield "select one field, or inline fragments on different objects"
        return
    used: set[str] = set()
    for setter in setters:
        yield from _value_faults(subgraph, use, setter, selections, used)
    for item in selections:
        if isinstance(item, Spread) and item.on and item.on not in used:
            yield f'no type that sets the context is ever a "{item.on}"'


def _form_faults(selections: Selections) -> Iterator[str]:
    conditions = [item.on for item in selections if isinstance(item, Spread)]
    if len(set(conditions)) != len(conditions):
        yield "two fragments are on one type"
    if None in conditions:
        yield "a fragment needs a type condition"
    for item in _all(selections):
        if item.directives:
            yield "directives are not allowed"
        if isinstance(item, Pick) and item.alias:
            yield "aliases are not allowed"


def _all(selections: Selections) -> Iterator[Pick | Spread]:
    for item in selections:
        yield item
        yield from _all(item.selections)


def _value_faults(
    subgraph: SubgraphSchema,
    use: ContextUse,
    setter: TypeDef,
    selections: Selections,
    used: set[str],
) -> Iterator[str]:
    schema = subgraph.schema
    if not selections or isinstance(selections[0], Pick):
        faults = list(selection_faults(schema, setter, selections))
        yield from faults
        if not faults:
            yield from _type_faults(subgraph, use, setter, selections)
        return
    possible = set(schema.possible_types(setter.name))
    matching = 0
    for item in selections:
        if not isinstance(item, Spread) or item.on is None:
            continue
        target = schema.types.get(item.on)
        if target is None or target.kind != "object":
            yield f'"{item.on}" is no object: fragments are on objects here'
            continue
        if item.on not in possible:
            continue
        matching += 1
        used.add(item.on)
        faults = list(selection_faults(schema, target, item.selections))
        yield from faults
        if not faults:
            yield from _type_faults(subgraph, use, target, item.selections)
    if not matching:
        yield f'no fragment fits "{setter.name}", which sets the context'


def _type_faults(
    subgraph: SubgraphSchema, use: ContextUse, parent: TypeDef, selections: Selections
) -> Iterator[str]:
    for name in _object_types(subgraph.schema, parent, selections):
        if name in subgraph.facts.interface_objects:
            yield f'"{name}" is an @interfaceObject, whose values cannot be taken'
    found = _value_type(subgraph.schema, parent, selections)
    if found is None:
        yield f'on "{parent.name}" the selection does not come to one value'
    elif not _fits(found, use.argument.type):
        yield f"on {parent.name} it is `{found}`, but the argument is `{use.argument.type}`"


def _object_types(schema: Schema, parent: TypeDef, selections: Selections) -> Iterator[str]:
    yield parent.name
    for item in selections:
        if isinstance(item, Pick) and item.selections and item.name in parent.fields:
            below = schema.types.get(base_name(parent.fields[item.name].type))
            if below is not None:
                yield from _object_types(schema, below, item.selections)


def _value_type(schema: Schema, parent: TypeDef, selections: Selections) -> TypeRef | None:
    """The type of the one value selected, nullability left out except by the lists around it."""
    if len(selections) != 1 or not isinstance(selections[0], Pick):
        return None
    item = selections[0]
    field = parent.fields.get(item.name)
    if field is None:
        return None
    inner: TypeRef | None = Named(base_name(field.type))
    if item.selections:
        below = schema.types.get(base_name(field.type))
        inner = _value_type(schema, below, item.selections) if below else None
    depth, ref = 0, nullable(field.type)
    while isinstance(ref, ListOf):
        depth, ref = depth + 1, nullable(ref.inner)
    for _ in range(depth):
        inner = ListOf(inner) if inner is not None else None
    return inner


def _fits(value: TypeRef, argument: TypeRef) -> bool:
    """Whether a value, which may always be null, can be given for the argument."""
    if isinstance(value, NonNull):
        return _fits(value.inner, nullable(argument))
    if isinstance(value, ListOf) and isinstance(argument, ListOf):
        return _fits(value.inner, argument.inner)
    return value == argument

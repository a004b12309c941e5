"""KEY/PROVIDES/REQUIRES_INVALID_FIELDS: a field set can be read and selects what is there."""

from __future__ import annotations

from collections.abc import Iterator

from graphql import parse_value

from router.composition.fieldset import (
    FieldSetSyntaxError,
    Pick,
    Selections,
    Spread,
    parse_field_set,
)
from router.composition.model import FieldDef, Schema, TypeDef
from router.composition.problems import CompositionError
from router.composition.rules.report import in_subgraph
from router.composition.rules.schema.directive_values import fits
from router.composition.rules.schema.field_set_uses import FieldSetUse, field_set_uses
from router.composition.subgraph import SubgraphSchema
from router.composition.types import base_name
from router.composition.values import from_node


def check(subgraph: SubgraphSchema) -> Iterator[CompositionError]:
    for use in field_set_uses(subgraph):
        for fault in field_set_faults(subgraph.schema, use):
            yield in_subgraph(
                subgraph,
                f"{use.code_prefix}_INVALID_FIELDS",
                f"{use.shown} on {use.coordinate}: {fault}",
                use.coordinate,
                use.directive,
            )


def field_set_faults(schema: Schema, use: FieldSetUse) -> Iterator[str]:
    """What is wrong with a field set, a clause each."""
    text = use.directive.args.get("fields")
    if use.parent is None or not isinstance(text, str):
        return
    try:
        selections = parse_field_set(text)
    except FieldSetSyntaxError as error:
        yield f"it cannot be read ({error})"
        return
    yield from selection_faults(schema, use.parent, selections)


def selection_faults(schema: Schema, parent: TypeDef, selections: Selections) -> Iterator[str]:
    """What is wrong with selections on a type."""
    for item in selections:
        if isinstance(item, Spread):
            yield from _spread_faults(schema, parent, item)
            continue
        if item.alias:
            yield f'alias "{item.alias}" is not allowed'
        if item.name == "__typename":
            continue
        field = parent.fields.get(item.name)
        if field is None:
            yield f'type "{parent.name}" has no field "{item.name}" in this subgraph'
            continue
        yield from _argument_faults(schema, field, item)
        target = schema.types.get(base_name(field.type))
        composite = target is not None and target.composite
        if composite and not item.selections:
            yield f"{field.coordinate} is of type `{field.type}`: select some of its fields"
        elif not composite and item.selections:
            yield f"{field.coordinate} is of type `{field.type}`, which has no fields to select"
        elif target is not None:
            yield from selection_faults(schema, target, item.selections)


def _argument_faults(schema: Schema, field: FieldDef, item: Pick) -> Iterator[str]:
    """Arguments that the field does not have, or not of this type, and those it needs."""
    given = {name for name, _ in item.args}
    for name, text in item.args:
        argument = field.args.get(name)
        if argument is None:
            yield f'{field.coordinate} has no argument "{name}"'
        elif not fits(schema, argument.type, from_node(parse_value(text, no_location=True))):
            yield f'argument "{name}" of {field.coordinate} is `{argument.type}`, found {text}'
    for argument in field.args.values():
        if argument.required and argument.name not in given and given:
            yield f'{field.coordinate} needs argument "{argument.name}"'


def _spread_faults(schema: Schema, parent: TypeDef, item: Spread) -> Iterator[str]:
    if item.on is None:
        yield from selection_faults(schema, parent, item.selections)
        return
    target = schema.types.get(item.on)
    if target is None or not target.composite:
        yield f'"{item.on}" is no type with fields in this subgraph'
        return
    if not set(schema.possible_types(parent.name)) & set(schema.possible_types(item.on)):
        yield f'"{parent.name}" is never a "{item.on}" in this subgraph'
    yield from selection_faults(schema, target, item.selections)

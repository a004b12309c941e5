"""Field sets (`id owner { id } ... on Book { isbn }`): parsing, walking, comparing.

Source: Federation `@key`, `@requires`, `@provides`; the text is a selection set without its outer
braces (with them it is understood too).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from graphql import (
    FieldNode,
    GraphQLSyntaxError,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    parse,
)

from router.composition.model import FieldDef, Schema, TypeDef
from router.composition.types import base_name
from router.composition.values import Value, from_node, show

FIELD_SET_CHARACTERS_MAX = 20_000
"""Longer field sets are refused before they are parsed."""
PARSED_FIELD_SETS_MAX = 20_000
"""Parsed field sets kept in memory."""


@dataclass(frozen=True, slots=True)
class Pick:
    """A selected field. `selections` is empty for a leaf."""

    name: str
    args: tuple[tuple[str, str], ...]
    selections: tuple[Selection, ...]
    alias: str | None = None
    directives: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Spread:
    """An inline fragment. `on` is None where there is no type condition."""

    on: str | None
    selections: tuple[Selection, ...]
    directives: tuple[str, ...] = ()


Selection = Pick | Spread
Selections = tuple[Selection, ...]


class FieldSetSyntaxError(ValueError):
    """The text is no selection set; the message says where."""


@lru_cache(maxsize=PARSED_FIELD_SETS_MAX)
def parse_field_set(text: str) -> Selections:
    """The selections of a field set. Raises FieldSetSyntaxError."""
    if len(text) > FIELD_SET_CHARACTERS_MAX:
        raise FieldSetSyntaxError(f"longer than {FIELD_SET_CHARACTERS_MAX} characters")
    try:
        body = text if text.lstrip().startswith("{") else f"{{{text}}}"
        document = parse(body, no_location=True)
    except GraphQLSyntaxError as error:
        raise FieldSetSyntaxError(error.message) from error
    except RecursionError as error:
        raise FieldSetSyntaxError("nested too deeply") from error
    definition = document.definitions[0]
    if len(document.definitions) != 1 or not isinstance(definition, OperationDefinitionNode):
        raise FieldSetSyntaxError("must be one selection set")
    return _selections(definition.selection_set)


def _selections(node: SelectionSetNode | None) -> Selections:
    if node is None:
        return ()
    if not node.selections:
        raise FieldSetSyntaxError("it selects nothing")
    answer: list[Selection] = []
    for item in node.selections:
        directives = tuple(f"@{directive.name.value}" for directive in item.directives or ())
        if isinstance(item, FieldNode):
            answer.append(
                Pick(
                    item.name.value,
                    tuple(
                        (argument.name.value, show(from_node(argument.value)))
                        for argument in item.arguments or ()
                    ),
                    _selections(item.selection_set),
                    item.alias.value if item.alias else None,
                    directives,
                )
            )
        elif isinstance(item, InlineFragmentNode):
            condition = item.type_condition
            answer.append(
                Spread(
                    condition.name.value if condition else None,
                    _selections(item.selection_set),
                    directives,
                )
            )
        else:
            raise FieldSetSyntaxError("named fragments are not allowed")
    return tuple(answer)


def field_set_of(value: Value | None) -> Selections:
    """The selections of a directive's `fields`; empty when it is not a field set at all."""
    if not isinstance(value, str):
        return ()
    try:
        return parse_field_set(value)
    except FieldSetSyntaxError:
        return ()


def target_fields(
    schema: Schema, parent: str, selections: Selections, *, implementations: bool
) -> Iterator[FieldDef]:
    """Every field that the selections name, at any depth; unknown ones are passed over.

    With `implementations`, a field of an interface brings that field of its object types along.
    """
    definition = schema.types.get(parent)
    if definition is None:
        return
    for item in selections:
        if isinstance(item, Spread):
            yield from target_fields(
                schema, item.on or parent, item.selections, implementations=implementations
            )
            continue
        found = definition.fields.get(item.name)
        if found is None:
            continue
        yield found
        if implementations and definition.kind == "interface":
            for name in schema.possible_types(parent):
                other = schema.types[name].fields.get(item.name)
                if other is not None:
                    yield other
        if item.selections:
            yield from target_fields(
                schema, base_name(found.type), item.selections, implementations=implementations
            )


def leaf_shape(selections: Selections) -> frozenset[object]:
    """The selections as a value in which order does not count, to compare two keys."""
    return frozenset(
        (item.on, leaf_shape(item.selections))
        if isinstance(item, Spread)
        else (item.name, item.args, leaf_shape(item.selections))
        for item in selections
    )


def show_selections(selections: Selections) -> str:
    """The selections as a field set on one line."""
    parts = []
    for item in selections:
        if isinstance(item, Spread):
            head = f"... on {item.on}" if item.on else "..."
        else:
            head = f"{item.alias}: {item.name}" if item.alias else item.name
            if item.args:
                head += f"({', '.join(f'{name}: {value}' for name, value in item.args)})"
        parts.append(
            f"{head} {{ {show_selections(item.selections)} }}" if item.selections else head
        )
    return " ".join(parts)


def selected_type(schema: Schema, parent: TypeDef, item: Selection) -> TypeDef | None:
    """The type that the item's own selections are made on."""
    if isinstance(item, Spread):
        return schema.types.get(item.on) if item.on else parent
    found = parent.fields.get(item.name)
    return schema.types.get(base_name(found.type)) if found else None

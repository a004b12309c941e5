"""The field sets of a supergraph are field sets: checked when it is read, not when one is used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from graphql import (
    FieldNode,
    GraphQLError,
    GraphQLSchema,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    get_named_type,
    parse,
)

from router.supergraph.errors import BadFieldSet
from router.supergraph.views import View


def check_field_sets(schema: GraphQLSchema, views: Mapping[str, View]) -> None:
    """Raises BadFieldSet for one that is not GraphQL, or names what the supergraph lacks."""
    checked: set[tuple[str, str]] = set()
    for view in views.values():
        for type_, where, text in _field_sets(schema, view):
            if (type_, text) not in checked:
                checked.add((type_, text))
                problem = _problem(schema, type_, text)
                if problem is not None:
                    raise BadFieldSet(where, view.subgraph.name, text, problem)


def _field_sets(schema: GraphQLSchema, view: View) -> Iterator[tuple[str, str, str]]:
    """(type it is on, where it stands, text)."""
    for local in view.types.values():
        for key in local.keys:
            yield local.name, f"the key of {local.name}", key.fields
        for field in local.fields.values():
            where = f"{local.name}.{field.name}"
            if field.requires:
                yield local.name, f"what {where} requires", field.requires
            if field.provides:
                definition = getattr(schema.get_type(local.name), "fields", {}).get(field.name)
                if definition is not None:
                    target = get_named_type(definition.type).name
                    yield target, f"what {where} provides", field.provides


def _problem(schema: GraphQLSchema, type_: str, text: str) -> str | None:
    text = text.strip()
    try:
        document = parse(text if text.startswith("{") else f"{{{text}}}", no_location=True)
    except GraphQLError as error:
        return error.message
    operation = document.definitions[0]
    if len(document.definitions) > 1 or not isinstance(operation, OperationDefinitionNode):
        return "expected one selection of fields"
    return _unknown(schema, type_, operation.selection_set)


def _unknown(schema: GraphQLSchema, type_: str, selection: SelectionSetNode) -> str | None:
    for node in selection.selections:
        inner = type_
        if isinstance(node, FieldNode):
            name = node.name.value
            if name == "__typename":
                continue
            fields = getattr(schema.get_type(type_), "fields", {})
            if name not in fields:
                return f"there is no field {type_}.{name}"
            inner = get_named_type(fields[name].type).name
        elif isinstance(node, InlineFragmentNode):
            inner = node.type_condition.name.value if node.type_condition else type_
            if schema.get_type(inner) is None:
                return f"there is no type {inner}"
        else:
            return "named fragments have no place here"
        if node.selection_set is not None:
            problem = _unknown(schema, inner, node.selection_set)
            if problem is not None:
                return problem
    return None

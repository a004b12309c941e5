"""The schema of one subgraph, rebuilt from its view: what a fetch to it may say."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from graphql import (
    GraphQLDirective,
    GraphQLSchema,
    TypeNode,
    build_schema,
    get_named_type,
    is_specified_directive,
    print_ast,
    print_directive,
)

from router.supergraph.views import Kind, LocalField, LocalType, View

_STANDARD: Final = frozenset(("Int", "Float", "String", "Boolean", "ID"))


def subgraph_sdl(
    view: View, roots: dict[str, str], directives: Iterable[GraphQLDirective] = ()
) -> str:
    """SDL of the subgraph with `_entities`. `roots`: operation to the name of its root type.

    Executable directives of the supergraph are in every subgraph.
    """
    blocks = [_block(local) for name, local in view.types.items() if name not in _STANDARD]
    entities = sorted(
        local.name
        for local in view.types.values()
        if local.kind is Kind.OBJECT and any(key.resolvable for key in local.keys)
    )
    query = roots["query"]
    if entities:
        blocks.append("scalar _Any")
        blocks.append(f"union _Entity = {' | '.join(entities)}")
        blocks.append(f"extend type {query} {{ _entities(representations: [_Any!]!): [_Entity]! }}")
    if query not in view.types or not view.types[query].fields:
        blocks.append(
            f"{'extend ' if query in view.types else ''}type {query} {{ _service: String }}"
        )
    operations = " ".join(
        f"{operation}: {name}"
        for operation, name in roots.items()
        if operation == "query" or (name in view.types and view.types[name].fields)
    )
    blocks.append(f"schema {{ {operations} }}")
    known = {*view.types, *_STANDARD}
    blocks += [
        print_directive(one)
        for one in directives
        if not is_specified_directive(one)
        and all(get_named_type(argument.type).name in known for argument in one.args.values())
    ]
    return "\n\n".join(block for block in blocks if block)


def subgraph_schema(
    view: View, roots: dict[str, str], directives: Iterable[GraphQLDirective] = ()
) -> GraphQLSchema:
    """The schema, to validate fetches against. Not itself validated: views may have holes."""
    schema = build_schema(subgraph_sdl(view, roots, directives), assume_valid_sdl=True)
    schema._validation_errors = []
    return schema


def _block(local: LocalType) -> str:
    head = f"{local.kind.value} {local.name}"
    match local.kind:
        case Kind.OBJECT | Kind.INTERFACE:
            if not local.fields:
                return head
            implements = f" implements {' & '.join(local.interfaces)}" if local.interfaces else ""
            return f"{head}{implements} {_braces(_field(one) for one in local.fields.values())}"
        case Kind.UNION:
            return f"{head} = {' | '.join(local.members)}" if local.members else head
        case Kind.ENUM:
            return f"{head} {_braces(value.name.value for value in local.values)}"
        case Kind.INPUT:
            return f"{head} {_braces(_input(item, type_) for item, type_ in local.inputs)}"
        case Kind.SCALAR:
            return head


def _braces(lines: Iterable[str]) -> str:
    return "{\n" + "\n".join(f"  {line}" for line in lines) + "\n}"


def _field(field: LocalField) -> str:
    arguments = [_input(item, item.type) for item in field.arguments]
    arguments += [f"{item.name}: {item.type.rstrip('!')}" for item in field.context]
    text = f"({', '.join(arguments)})" if arguments else ""
    return f"{field.name}{text}: {print_ast(field.type)}"


def _input(item: object, type_: TypeNode) -> str:
    default = getattr(item, "default_value", None)
    name = getattr(item, "name").value  # noqa: B009 - a node of either input kind
    tail = f" = {print_ast(default)}" if default is not None else ""
    return f"{name}: {print_ast(type_)}{tail}"

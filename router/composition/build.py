"""From a parsed document to the records of `model`. Nothing is judged here."""

from __future__ import annotations

from collections.abc import Iterable

from graphql import (
    ConstDirectiveNode,
    DirectiveDefinitionNode,
    DocumentNode,
    EnumTypeDefinitionNode,
    EnumTypeExtensionNode,
    FieldDefinitionNode,
    InputObjectTypeDefinitionNode,
    InputObjectTypeExtensionNode,
    InputValueDefinitionNode,
    InterfaceTypeDefinitionNode,
    InterfaceTypeExtensionNode,
    Node,
    ObjectTypeDefinitionNode,
    ObjectTypeExtensionNode,
    ScalarTypeDefinitionNode,
    ScalarTypeExtensionNode,
    SchemaDefinitionNode,
    SchemaExtensionNode,
    StringValueNode,
    TypeDefinitionNode,
    TypeExtensionNode,
    UnionTypeDefinitionNode,
    UnionTypeExtensionNode,
)

from router.composition.model import (
    ROOT_NAMES,
    Directive,
    DirectiveDef,
    EnumValueDef,
    FieldDef,
    InputDef,
    Kind,
    Location,
    RootKind,
    Schema,
    TypeDef,
)
from router.composition.types import from_node as type_from_node
from router.composition.values import ABSENT
from router.composition.values import from_node as value_from_node

KINDS: dict[type[Node], Kind] = {
    ScalarTypeDefinitionNode: "scalar",
    ScalarTypeExtensionNode: "scalar",
    ObjectTypeDefinitionNode: "object",
    ObjectTypeExtensionNode: "object",
    InterfaceTypeDefinitionNode: "interface",
    InterfaceTypeExtensionNode: "interface",
    UnionTypeDefinitionNode: "union",
    UnionTypeExtensionNode: "union",
    EnumTypeDefinitionNode: "enum",
    EnumTypeExtensionNode: "enum",
    InputObjectTypeDefinitionNode: "input",
    InputObjectTypeExtensionNode: "input",
}


def build_schema(document: DocumentNode) -> Schema:
    """The records of a document. Of two definitions of one name the parts are joined.

    An extension may come before its definition or without one. Roots are those of the schema
    definition, else the types called Query, Mutation and Subscription.
    """
    schema = Schema()
    explicit_schema = False
    for node in document.definitions:
        match node:
            case SchemaDefinitionNode() | SchemaExtensionNode():
                explicit_schema |= isinstance(node, SchemaDefinitionNode)
                schema.description = _description(node) or schema.description
                schema.applied += _directives(node.directives, 0)
                for operation in node.operation_types or ():
                    kind: RootKind = operation.operation.value
                    schema.roots[kind] = operation.type.name.value
            case DirectiveDefinitionNode():
                schema.directives[node.name.value] = directive_definition(node)
            case TypeDefinitionNode() | TypeExtensionNode():
                _add_type(schema, node)
            case _:
                pass
    if not explicit_schema:
        for kind, name in ROOT_NAMES.items():
            if name in schema.types and schema.types[name].kind == "object":
                schema.roots.setdefault(kind, name)
    return schema


def location_of(node: Node) -> Location | None:
    """Line and column of a node, where it was parsed with locations."""
    return (node.loc.start_token.line, node.loc.start_token.column) if node.loc else None


def _add_type(schema: Schema, node: TypeDefinitionNode | TypeExtensionNode) -> None:
    name = node.name.value
    is_extension = isinstance(node, TypeExtensionNode)
    kind = KINDS[type(node)]
    found = schema.types.get(name)
    if found is None:
        found = schema.types[name] = TypeDef(
            kind, name, defined=not is_extension, location=location_of(node)
        )
    elif not is_extension:
        found.kind, found.defined, found.location = kind, True, location_of(node)
    extension = 0
    if is_extension:
        found.extensions += 1
        extension = found.extensions
    else:
        found.description = _description(node)
    found.directives += _directives(node.directives, extension)
    for interface in getattr(node, "interfaces", None) or ():
        if interface.name.value not in found.interfaces:
            found.interfaces.append(interface.name.value)
    for member in getattr(node, "types", None) or ():
        if member.name.value not in found.members:
            found.members.append(member.name.value)
    for value in getattr(node, "values", None) or ():
        found.values[value.name.value] = EnumValueDef(
            value.name.value, _description(value), _directives(value.directives), location_of(value)
        )
    for item in getattr(node, "fields", None) or ():
        if isinstance(item, FieldDefinitionNode):
            found.fields[item.name.value] = _field(name, item, extension)
        else:
            found.input_fields[item.name.value] = _input(item)


def _field(parent: str, node: FieldDefinitionNode, extension: int) -> FieldDef:
    return FieldDef(
        parent,
        node.name.value,
        type_from_node(node.type),
        {argument.name.value: _input(argument) for argument in node.arguments or ()},
        _description(node),
        _directives(node.directives),
        location_of(node),
        extension,
    )


def _input(node: InputValueDefinitionNode) -> InputDef:
    return InputDef(
        node.name.value,
        type_from_node(node.type),
        ABSENT if node.default_value is None else value_from_node(node.default_value),
        _description(node),
        _directives(node.directives),
        location_of(node),
    )


def directive_definition(node: DirectiveDefinitionNode) -> DirectiveDef:
    return DirectiveDef(
        node.name.value,
        [location.value for location in node.locations],
        {argument.name.value: _input(argument) for argument in node.arguments or ()},
        node.repeatable,
        _description(node),
        location_of(node),
    )


def _directives(nodes: Iterable[ConstDirectiveNode] | None, extension: int = 0) -> list[Directive]:
    return [
        Directive(
            node.name.value,
            {
                argument.name.value: value_from_node(argument.value)
                for argument in node.arguments or ()
            },
            extension,
            location_of(node),
        )
        for node in nodes or ()
    ]


def _description(node: Node) -> str | None:
    text = getattr(node, "description", None)
    return text.value if isinstance(text, StringValueNode) else None

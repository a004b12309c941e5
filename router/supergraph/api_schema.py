"""The schemas that span the graph: all of it, and the part that clients see."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

from graphql import (
    DefinitionNode,
    DirectiveDefinitionNode,
    DocumentNode,
    EnumTypeDefinitionNode,
    EnumValueDefinitionNode,
    FieldDefinitionNode,
    GraphQLSchema,
    InputObjectTypeDefinitionNode,
    InputValueDefinitionNode,
    InterfaceTypeDefinitionNode,
    NamedTypeNode,
    Node,
    ObjectTypeDefinitionNode,
    SchemaDefinitionNode,
    TypeDefinitionNode,
    UnionTypeDefinitionNode,
    build_ast_schema,
    validate_schema,
)

from router.supergraph.errors import SupergraphSchemaInvalid
from router.supergraph.features import Features

N = TypeVar("N", bound=Node)
_KEPT_DIRECTIVES = frozenset(("deprecated", "specifiedBy", "oneOf"))


def build_schemas(
    document: DocumentNode, features: Features
) -> tuple[GraphQLSchema, GraphQLSchema, dict[str, frozenset[str]]]:
    """(the whole graph, the API schema, values hidden per enum).

    Neither schema has join or link machinery. Raises SupergraphSchemaInvalid.
    """
    hidden = features.directive("inaccessible", "inaccessible")
    definitions = [node for node in document.definitions if not _machinery(node, features)]
    values: dict[str, frozenset[str]] = {}
    for node in definitions:
        if isinstance(node, EnumTypeDefinitionNode):
            names = frozenset(v.name.value for v in node.values or () if _has(v, hidden))
            if names:
                values[node.name.value] = names
    whole = _build(_Pruner(None, frozenset()).definitions(definitions))
    gone = frozenset(
        node.name.value
        for node in definitions
        if isinstance(node, TypeDefinitionNode) and _has(node, hidden)
    )
    api = _build(_Pruner(hidden, gone).definitions(definitions))
    return whole, api, values


def _build(definitions: Iterable[DefinitionNode]) -> GraphQLSchema:
    document = DocumentNode(definitions=tuple(definitions))
    try:
        schema = build_ast_schema(document, assume_valid_sdl=True)
    except (TypeError, ValueError, KeyError) as problem:
        raise SupergraphSchemaInvalid(str(problem)) from problem
    if problems := validate_schema(schema):
        raise SupergraphSchemaInvalid("; ".join(problem.message for problem in problems[:5]))
    return schema


def _machinery(node: DefinitionNode, features: Features) -> bool:
    if isinstance(node, TypeDefinitionNode | DirectiveDefinitionNode):
        return features.own(node)
    return not isinstance(node, SchemaDefinitionNode)


def _has(node: Any, directive: str | None) -> bool:
    if directive is None:
        return False
    return any(one.name.value == directive for one in node.directives or ())


class _Pruner:
    """Copies definitions without applied directives, and without what is hidden."""

    def __init__(self, hidden: str | None, gone: frozenset[str]) -> None:
        self.hidden, self.gone = hidden, gone

    def definitions(self, nodes: Iterable[DefinitionNode]) -> Iterable[DefinitionNode]:
        for node in nodes:
            if isinstance(node, TypeDefinitionNode) and node.name.value in self.gone:
                continue
            yield self._definition(node)

    def _definition(self, node: DefinitionNode) -> DefinitionNode:
        match node:
            case ObjectTypeDefinitionNode() | InterfaceTypeDefinitionNode():
                return self._copy(
                    node,
                    interfaces=self._names(node.interfaces),
                    fields=tuple(self._field(one) for one in self._seen(node.fields)),
                )
            case UnionTypeDefinitionNode():
                return self._copy(node, types=self._names(node.types))
            case EnumTypeDefinitionNode():
                kept: Iterable[EnumValueDefinitionNode] = self._seen(node.values)
                return self._copy(node, values=tuple(self._copy(value) for value in kept))
            case InputObjectTypeDefinitionNode():
                return self._copy(node, fields=self._inputs(node.fields))
            case SchemaDefinitionNode():
                types = tuple(
                    one for one in node.operation_types if one.type.name.value not in self.gone
                )
                return self._copy(node, operation_types=types)
            case DirectiveDefinitionNode():
                return node
            case _:
                return self._copy(node)

    def _field(self, node: FieldDefinitionNode) -> FieldDefinitionNode:
        return self._copy(node, arguments=self._inputs(node.arguments))

    def _inputs(
        self, nodes: Iterable[InputValueDefinitionNode] | None
    ) -> tuple[InputValueDefinitionNode, ...]:
        return tuple(self._copy(one) for one in self._seen(nodes))

    def _names(self, nodes: Iterable[NamedTypeNode] | None) -> tuple[NamedTypeNode, ...]:
        return tuple(one for one in nodes or () if one.name.value not in self.gone)

    def _seen(self, nodes: Iterable[N] | None) -> Iterable[N]:
        return (one for one in nodes or () if not _has(one, self.hidden))

    @staticmethod
    def _copy(node: N, **changes: Any) -> N:
        values = {key: getattr(node, key, None) for key in node.keys if key != "loc"}
        values["directives"] = tuple(
            one for one in values.get("directives") or () if one.name.value in _KEPT_DIRECTIVES
        )
        return type(node)(**{**values, **changes})

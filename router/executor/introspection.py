"""`__schema` and `__type`, answered from the API schema by graphql-core."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

from graphql import (
    DocumentNode,
    ExecutionResult,
    FieldNode,
    FragmentDefinitionNode,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
    SelectionNode,
    SelectionSetNode,
    VariableNode,
    Visitor,
    execute_sync,
    visit,
)

from router.executor.errors import ErrorSink
from router.executor.paths import JsonObject
from router.executor.shape import INTROSPECTION_FIELDS, ObjectShape

Introspect: TypeAlias = Callable[[JsonObject, Mapping[str, Any], ErrorSink], None]
"""Add the introspection fields to the tree's root."""


def compile_introspection(
    schema: GraphQLSchema,
    operation: OperationDefinitionNode,
    fragments: Mapping[str, FragmentDefinitionNode],
    root: ObjectShape,
    nodes: Iterable[FieldNode],
) -> Introspect | None:
    """None where the operation asks for no introspection. The answer is kept if it cannot vary."""
    if operation.operation is not OperationType.QUERY:
        return None
    keys = tuple(field.key for field in root.fields if field.name in INTROSPECTION_FIELDS)
    if not keys:
        return None
    document = _document(operation, fragments, nodes)
    constant = not _uses_variables(document)
    kept: list[ExecutionResult] = []

    def introspect(tree: JsonObject, variables: Mapping[str, Any], errors: ErrorSink) -> None:
        if kept:
            result = kept[0]
        else:
            result = execute_sync(schema, document, variable_values=dict(variables))
            if constant:
                kept.append(result)
        for key in keys:
            tree[key] = (result.data or {}).get(key)
        for error in result.errors or ():
            errors.add(
                {
                    "message": error.message,
                    "path": list(error.path or ()),
                    "extensions": {"code": "INTROSPECTION_FAILED"},
                }
            )

    return introspect


def introspection_nodes(
    selections: Iterable[SelectionNode], fragments: Mapping[str, FragmentDefinitionNode]
) -> list[FieldNode]:
    """The introspection fields of the root, wherever fragments hide them, conditions left aside:
    a field whose condition fails is not in the root's shape, so its value is not shown.
    """
    found: list[FieldNode] = []
    visited: set[str] = set()

    def collect(nodes: Iterable[SelectionNode]) -> None:
        for node in nodes:
            if isinstance(node, FieldNode):
                if node.name.value in INTROSPECTION_FIELDS:
                    found.append(node)
                continue
            inner: SelectionSetNode | None = getattr(node, "selection_set", None)
            if inner is None:
                name = node.name.value  # type: ignore[attr-defined]
                if name in visited:
                    continue
                visited.add(name)
                inner = fragments[name].selection_set
            collect(inner.selections)

    collect(selections)
    return found


def _document(
    operation: OperationDefinitionNode,
    fragments: Mapping[str, FragmentDefinitionNode],
    nodes: Iterable[FieldNode],
) -> DocumentNode:
    only = OperationDefinitionNode(
        operation=operation.operation,
        name=operation.name,
        variable_definitions=operation.variable_definitions,
        directives=(),
        selection_set=SelectionSetNode(selections=tuple(nodes)),
    )
    return DocumentNode(definitions=(only, *fragments.values()))


def _uses_variables(document: DocumentNode) -> bool:
    finder = _VariableFinder()
    visit(document, finder)
    return finder.found


class _VariableFinder(Visitor):
    """Looks for variables in values; definitions of variables do not count."""

    found = False

    def enter_variable_definition(self, *_: Any) -> Any:
        return self.SKIP

    def enter_variable(self, node: VariableNode, *_: Any) -> None:
        self.found = True

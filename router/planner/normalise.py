"""From parsed GraphQL to selections in normal form."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from graphql import (
    ArgumentNode,
    BooleanValueNode,
    DirectiveNode,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLField,
    GraphQLSchema,
    InlineFragmentNode,
    ListValueNode,
    NameNode,
    ObjectValueNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    ValueNode,
    VariableNode,
    get_named_type,
    is_list_type,
    is_non_null_type,
    parse,
    print_ast,
)

from router.planner.errors import OperationTooLarge, UnknownOperation
from router.planner.selection import TYPENAME, Conditions, Field, Selection
from router.supergraph import Supergraph

_INTROSPECTION: Final = frozenset(("__schema", "__type"))
_CONDITIONS: Final = {"include": True, "skip": False}


def find_operation(document: DocumentNode, name: str | None) -> OperationDefinitionNode:
    """The operation called `name`, or the only one. Raises UnknownOperation."""
    operations = [d for d in document.definitions if isinstance(d, OperationDefinitionNode)]
    names = tuple(one.name.value if one.name else "(anonymous)" for one in operations)
    if name:
        for one in operations:
            if one.name is not None and one.name.value == name:
                return one
    elif len(operations) == 1:
        return operations[0]
    raise UnknownOperation(name, names)


class Normaliser:
    """Normalises selection sets against one supergraph; keeps nothing between operations."""

    def __init__(
        self,
        supergraph: Supergraph,
        schema: GraphQLSchema,
        fragments: Mapping[str, FragmentDefinitionNode],
        selections_max: int,
        *,
        helper: bool = False,
    ) -> None:
        self.supergraph, self.schema, self.fragments = supergraph, schema, fragments
        self.left = self.selections_max = selections_max
        self.helper = helper

    def selection(self, node: SelectionSetNode, type_: str, *, ordered: bool = False) -> Selection:
        """The normal form of a selection set on `type_`. Raises OperationTooLarge."""
        result = Selection(type_, ordered=ordered)
        self._collect(node, type_, self.supergraph.possible_types(type_), result, ())
        return result

    def _collect(
        self,
        node: SelectionSetNode,
        type_: str,
        possible: frozenset[str],
        base: Selection,
        conditions: Conditions,
    ) -> None:
        """Add what `node`, read on `type_`, asks of the `possible` types of `base`."""
        for item in node.selections:
            self.left -= 1
            if self.left < 0:
                raise OperationTooLarge(self.selections_max)
            own = with_conditions(conditions, item.directives)
            if own is None:
                continue
            if isinstance(item, FieldNode):
                field = self._field(item, type_, own)
                for target in self._targets(base, type_, possible):
                    target.add(field)
                continue
            if isinstance(item, InlineFragmentNode):
                condition, sub = item.type_condition, item.selection_set
            elif isinstance(item, FragmentSpreadNode):
                fragment = self.fragments[item.name.value]
                condition, sub = fragment.type_condition, fragment.selection_set
            inner = condition.name.value if condition else type_
            if inner == type_:
                self._collect(sub, type_, possible, base, own)
                continue
            kept = possible & self.supergraph.possible_types(inner)
            if not kept:
                continue
            if kept == possible and self._is_subtype(type_, inner):
                inner = type_
            self._collect(sub, inner, kept, base, own)

    def _targets(
        self, base: Selection, type_: str, possible: frozenset[str]
    ) -> Iterator[Selection]:
        """Where fields on `type_` for the `possible` types belong in `base`."""
        whole = self.supergraph.possible_types(base.type)
        if possible == whole and (type_ == base.type or base.type in whole):
            yield base
        elif possible == whole & self.supergraph.possible_types(type_) and type_ != base.type:
            yield base.cast(type_)
        else:
            for name in sorted(possible):
                yield base.cast(name)

    def _is_subtype(self, type_: str, wider: str) -> bool:
        if self.supergraph.possible_types(type_) == {type_}:
            return True
        interfaces = getattr(self.schema.type_map.get(type_), "interfaces", ())
        return any(one.name == wider for one in interfaces)

    def _field(self, node: FieldNode, type_: str, conditions: Conditions) -> Field:
        name = node.name.value
        key = node.alias.value if node.alias else name
        if name.startswith("__"):
            return Field(key, name, "", "String", 0, None, conditions, helper=self.helper)
        definition = self._definition(type_, name)
        named = get_named_type(definition.type).name
        sub: Selection | None = None
        if node.selection_set is not None:
            sub = self.selection(node.selection_set, named)
            if sub.is_empty():
                sub.add(Field(TYPENAME, TYPENAME, "", "String", 0, None, helper=True))
        args, variables = _arguments(node.arguments or ())
        directives, more = _directives(node.directives or (), self.schema)
        return Field(
            key,
            name,
            args,
            named,
            list_depth(definition),
            sub,
            conditions,
            tuple(sorted({*variables, *more})),
            directives=directives,
            helper=self.helper,
        )

    def _definition(self, type_: str, name: str) -> GraphQLField:
        fields: Mapping[str, GraphQLField] = getattr(self.schema.type_map[type_], "fields", {})
        return fields[name]


def normalise_operation(
    supergraph: Supergraph,
    document: DocumentNode,
    operation: OperationDefinitionNode,
    selections_max: int,
) -> Selection:
    """The operation's root selection without introspection and without root `__typename`."""
    fragments = {
        one.name.value: one
        for one in document.definitions
        if isinstance(one, FragmentDefinitionNode)
    }
    normaliser = Normaliser(supergraph, supergraph.api_schema, fragments, selections_max)
    root = supergraph.roots[operation.operation.value]
    ordered = operation.operation is OperationType.MUTATION
    selection = normaliser.selection(operation.selection_set, root, ordered=ordered)
    for field in list(selection.fields.values()):
        if field.name in _INTROSPECTION or field.name == TYPENAME:
            del selection.fields[field.id]
    return selection


def field_set(supergraph: Supergraph, type_: str, text: str) -> Selection:
    """A field set (`@key`, `@requires`, `@provides`) on `type_` as a selection of helper fields."""
    text = text.strip()
    document = parse(text if text.startswith("{") else f"{{{text}}}", no_location=True)
    operation = document.definitions[0]
    assert isinstance(operation, OperationDefinitionNode)
    normaliser = Normaliser(supergraph, supergraph.schema, {}, 10_000, helper=True)
    return normaliser.selection(operation.selection_set, type_)


def list_depth(definition: GraphQLField) -> int:
    """How many lists are around the named type of a field."""
    depth, type_ = 0, definition.type
    while True:
        if is_non_null_type(type_):
            type_ = type_.of_type
        elif is_list_type(type_):
            depth, type_ = depth + 1, type_.of_type
        else:
            return depth


def with_conditions(
    conditions: Conditions, directives: Iterable[DirectiveNode] | None
) -> Conditions | None:
    """`conditions` with those of @skip and @include added; None where they never all hold."""
    if not directives:
        return conditions
    result = dict(conditions)
    for directive in directives:
        wanted = _CONDITIONS.get(directive.name.value)
        if wanted is None or not directive.arguments:
            continue
        value = directive.arguments[0].value
        if isinstance(value, BooleanValueNode) and value.value is not wanted:
            return None
        if (
            isinstance(value, VariableNode)
            and result.setdefault(value.name.value, wanted) != wanted
        ):
            return None
    return tuple(sorted(result.items()))


def _arguments(nodes: Iterable[ArgumentNode]) -> tuple[str, tuple[str, ...]]:
    parts: list[str] = []
    variables: set[str] = set()
    for node in sorted(nodes, key=lambda one: one.name.value):
        parts.append(f"{node.name.value}: {print_value(node.value)}")
        variables.update(_variables(node.value))
    return (f"({', '.join(parts)})" if parts else ""), tuple(sorted(variables))


def _directives(nodes: Iterable[DirectiveNode], schema: GraphQLSchema) -> tuple[str, set[str]]:
    """Directives that subgraphs get to see, as text, and the variables in them.

    Arguments left out stand with the graph's default: a subgraph's own definition may have none.
    """
    text, variables = "", set[str]()
    for node in nodes:
        if node.name.value not in _CONDITIONS:
            args, more = _arguments((*(node.arguments or ()), *_defaults(node, schema)))
            text += f" @{node.name.value}{args}"
            variables.update(more)
    return text, variables


def _defaults(node: DirectiveNode, schema: GraphQLSchema) -> Iterator[ArgumentNode]:
    """The arguments a directive is not given, as far as the graph has defaults for them."""
    definition = schema.get_directive(node.name.value)
    given = {argument.name.value for argument in node.arguments or ()}
    for name, argument in definition.args.items() if definition else ():
        default = argument.ast_node.default_value if argument.ast_node else None
        if name not in given and default is not None:
            yield ArgumentNode(name=NameNode(value=name), value=default)


def print_value(node: ValueNode) -> str:
    """A literal as text on one line."""
    if isinstance(node, VariableNode):
        return f"${node.name.value}"
    if isinstance(node, ListValueNode):
        return f"[{', '.join(map(print_value, node.values))}]"
    if isinstance(node, ObjectValueNode):
        fields = (f"{one.name.value}: {print_value(one.value)}" for one in node.fields)
        return f"{{{', '.join(fields)}}}"
    return print_ast(node)


def _variables(node: ValueNode) -> Iterator[str]:
    if isinstance(node, VariableNode):
        yield node.name.value
    elif isinstance(node, ListValueNode):
        for value in node.values:
            yield from _variables(value)
    elif isinstance(node, ObjectValueNode):
        for field in node.fields:
            yield from _variables(field.value)

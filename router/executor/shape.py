"""The shape of an answer: what the operation asks for, fragments spread and conditions decided.

GraphQL § 6.3.2 (CollectFields), done once per operation and set of Boolean variables. Types below
an abstract field are worked out when an object of that type first turns up.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from graphql import (
    BooleanValueNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLAbstractType,
    GraphQLEnumType,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLScalarType,
    GraphQLSchema,
    GraphQLUnionType,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionNode,
    VariableNode,
    is_abstract_type,
)

INTROSPECTION_FIELDS: Final = frozenset({"__schema", "__type"})


@dataclass(frozen=True, slots=True)
class LeafShape:
    """A scalar or enum. `values` are an enum's values that clients may see."""

    name: str
    values: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class RawShape:
    """A value taken as it is: introspection, which is complete already."""


@dataclass(frozen=True, slots=True, eq=False)
class ObjectShape:
    """The fields of an object of one type, in answer order.

    The type may be an interface: a subgraph that knows it as an @interfaceObject names no other.
    `unknowable` then says that the operation asks for more than the interface can tell, that is
    for `__typename` or for something else of some of its types.
    """

    typename: str
    unknowable: bool
    fields: tuple[FieldShape, ...]


@dataclass(slots=True, eq=False)
class CompositeShape:
    """An object whose type is `name`, or, when that is abstract, one of `possible`.

    Interfaces are among `possible` too: see ObjectShape.

    `by_type` fills as runtime types turn up; it never has more entries than `possible`.
    """

    name: str
    abstract: bool
    possible: frozenset[str]
    selections: tuple[FieldNode, ...]
    shapes: Shapes = field(repr=False)
    by_type: dict[str, ObjectShape] = field(default_factory=dict)

    def of(self, typename: str) -> ObjectShape:
        """The shape for a runtime type, which must be one of `possible`."""
        shape = self.by_type.get(typename)
        if shape is None:
            shape = self.by_type[typename] = self.shapes.object_shape(
                typename,
                [node.selection_set.selections for node in self.selections if node.selection_set],
            )
        return shape


@dataclass(frozen=True, slots=True)
class ListShape:
    """A list; `required` forbids null elements."""

    item: ValueShape
    required: bool


Parent: TypeAlias = GraphQLObjectType | GraphQLInterfaceType
ValueShape: TypeAlias = "LeafShape | RawShape | CompositeShape | ListShape"


@dataclass(frozen=True, slots=True)
class FieldShape:
    """One member of the answer. `typename` marks `__typename`: never read from the data."""

    key: str
    name: str
    parent: str
    value: ValueShape
    required: bool
    typename: bool = False


class Shapes:
    """Builds shapes for one operation under one set of Boolean variables."""

    def __init__(
        self,
        schema: GraphQLSchema,
        operation: OperationDefinitionNode,
        fragments: Mapping[str, FragmentDefinitionNode],
        conditions: Mapping[str, bool],
    ) -> None:
        self.schema = schema
        self.operation = operation
        self.fragments = fragments
        self.conditions = conditions

    def root(self) -> ObjectShape:
        """The shape of `data`."""
        root_type = self.schema.get_root_type(self.operation.operation)
        assert root_type is not None, "the operation is valid"
        return self.object_shape(root_type.name, [self.operation.selection_set.selections])

    def object_shape(
        self, typename: str, selection_sets: Iterable[Iterable[SelectionNode]]
    ) -> ObjectShape:
        """The fields that selections ask of an object of type `typename`."""
        parent = self.schema.get_type(typename)
        assert isinstance(parent, (GraphQLObjectType, GraphQLInterfaceType))
        sets = tuple(selection_sets)
        grouped = self._grouped(parent, sets)
        fields = tuple(self._field(parent, key, nodes) for key, nodes in grouped.items())
        unknowable = isinstance(parent, GraphQLInterfaceType) and (
            any(field.typename for field in fields)
            or any(
                self._grouped(member, sets) != grouped
                for member in self.schema.get_possible_types(parent)
            )
        )
        return ObjectShape(typename, unknowable, fields)

    def _grouped(
        self, parent: Parent, selection_sets: Iterable[Iterable[SelectionNode]]
    ) -> dict[str, list[FieldNode]]:
        grouped: dict[str, list[FieldNode]] = {}
        visited: set[str] = set()
        for selections in selection_sets:
            self._collect(parent, selections, grouped, visited)
        return grouped

    def _collect(
        self,
        parent: Parent,
        selections: Iterable[SelectionNode],
        grouped: dict[str, list[FieldNode]],
        visited: set[str],
    ) -> None:
        """Group fields by response key."""
        for node in selections:
            if not self._included(node):
                continue
            if isinstance(node, FieldNode):
                key = node.alias.value if node.alias else node.name.value
                grouped.setdefault(key, []).append(node)
            elif isinstance(node, InlineFragmentNode):
                condition = node.type_condition
                if condition is None or self._applies(parent, condition.name.value):
                    self._collect(parent, node.selection_set.selections, grouped, visited)
            elif isinstance(node, FragmentSpreadNode) and node.name.value not in visited:
                visited.add(node.name.value)
                fragment = self.fragments[node.name.value]
                if self._applies(parent, fragment.type_condition.name.value):
                    self._collect(parent, fragment.selection_set.selections, grouped, visited)

    def _included(self, node: SelectionNode) -> bool:
        for directive in node.directives or ():
            name = directive.name.value
            if name in {"skip", "include"}:
                assert directive.arguments, "the operation is valid"
                argument = directive.arguments[0].value
                if isinstance(argument, VariableNode):
                    value = self.conditions.get(argument.name.value, False)
                else:
                    assert isinstance(argument, BooleanValueNode)
                    value = argument.value
                if value is (name == "skip"):
                    return False
        return True

    def _applies(self, parent: Parent, condition: str) -> bool:
        if condition == parent.name:
            return True
        other = self.schema.get_type(condition)
        return isinstance(
            other, (GraphQLInterfaceType, GraphQLUnionType)
        ) and self.schema.is_sub_type(other, parent)

    def _field(self, parent: Parent, key: str, nodes: list[FieldNode]) -> FieldShape:
        name = nodes[0].name.value
        if name == "__typename":
            return FieldShape(key, name, parent.name, RawShape(), required=True, typename=True)
        if name in INTROSPECTION_FIELDS:
            required = name == "__schema"
            return FieldShape(key, name, parent.name, RawShape(), required=required)
        kind = parent.fields[name].type
        required = isinstance(kind, GraphQLNonNull)
        return FieldShape(key, name, parent.name, self._value(kind, tuple(nodes)), required)

    def _value(self, kind: GraphQLOutputType, nodes: tuple[FieldNode, ...]) -> ValueShape:
        if isinstance(kind, GraphQLNonNull):
            kind = kind.of_type
        if isinstance(kind, GraphQLList):
            item = kind.of_type
            return ListShape(self._value(item, nodes), isinstance(item, GraphQLNonNull))
        if isinstance(kind, GraphQLScalarType):
            return LeafShape(kind.name)
        if isinstance(kind, GraphQLEnumType):
            return LeafShape(kind.name, frozenset(kind.values))
        abstract = is_abstract_type(kind)
        return CompositeShape(
            kind.name, abstract, self._possible(kind), selections=nodes, shapes=self
        )

    def _possible(self, kind: GraphQLObjectType | GraphQLAbstractType) -> frozenset[str]:
        if isinstance(kind, GraphQLObjectType):
            return frozenset({kind.name})
        names = {item.name for item in self.schema.get_possible_types(kind)}
        if isinstance(kind, GraphQLInterfaceType):
            names.add(kind.name)
            names.update(item.name for item in self.schema.get_implementations(kind).interfaces)
        return frozenset(names)

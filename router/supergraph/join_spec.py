"""From the join directives of a supergraph to one `View` per subgraph.

Rules: a field without join__field is in every graph of its type; join__field without a graph means
the field exists through an @interfaceObject only; `type` narrows the type of the field there; an
@override takes the field from the subgraph it names, or makes both conditional on a label.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, TypeAlias

from graphql import (
    ConstDirectiveNode,
    ConstValueNode,
    DocumentNode,
    EnumTypeDefinitionNode,
    FieldDefinitionNode,
    InputObjectTypeDefinitionNode,
    InputValueDefinitionNode,
    InterfaceTypeDefinitionNode,
    ObjectTypeDefinitionNode,
    TypeDefinitionNode,
    TypeNode,
    UnionTypeDefinitionNode,
    parse_type,
    value_from_ast_untyped,
)

from router.supergraph.errors import NotASupergraph, SubgraphNameTwice, UnknownGraph
from router.supergraph.features import Features
from router.supergraph.views import (
    ContextArgument,
    Kind,
    Label,
    LocalField,
    LocalKey,
    LocalType,
    Subgraph,
    View,
)

Arguments: TypeAlias = dict[str, ConstValueNode]
_KINDS: Final = {
    "object_type_definition": Kind.OBJECT,
    "interface_type_definition": Kind.INTERFACE,
    "union_type_definition": Kind.UNION,
    "enum_type_definition": Kind.ENUM,
    "input_object_type_definition": Kind.INPUT,
    "scalar_type_definition": Kind.SCALAR,
}


def read_views(document: DocumentNode, features: Features) -> dict[str, View]:
    """Views by graph (the enum value), in the order of the enum. Raises SupergraphError."""
    return _Reader(document, features).read()


class _Reader:
    def __init__(self, document: DocumentNode, features: Features) -> None:
        self.document, self.features = document, features
        join = features.join
        self.type_directive = join.directive("type")
        self.field_directive = join.directive("field")
        self.implements_directive = join.directive("implements")
        self.member_directive = join.directive("unionMember")
        self.value_directive = join.directive("enumValue")
        self.views: dict[str, View] = {}

    def read(self) -> dict[str, View]:
        self.views = {graph: View(subgraph) for graph, subgraph in self._subgraphs().items()}
        for definition in self.document.definitions:
            if isinstance(definition, TypeDefinitionNode) and not self.features.own(definition):
                self._read_type(definition)
        return self.views

    def _subgraphs(self) -> dict[str, Subgraph]:
        name = f"{self.features.join.alias}__Graph"
        for definition in self.document.definitions:
            if isinstance(definition, EnumTypeDefinitionNode) and definition.name.value == name:
                break
        else:
            raise NotASupergraph(f"there is no enum {name}")
        subgraphs: dict[str, Subgraph] = {}
        seen: set[str] = set()
        for value in definition.values or ():
            graph = value.name.value
            given = next(iter(_all(value.directives, self.features.join.directive("graph"))), {})
            subgraph = Subgraph(_text(given, "name") or graph, _text(given, "url") or "", graph)
            if subgraph.name in seen:
                raise SubgraphNameTwice(subgraph.name)
            seen.add(subgraph.name)
            subgraphs[graph] = subgraph
        if not subgraphs:
            raise NotASupergraph(f"enum {name} has no values")
        return subgraphs

    def _read_type(self, definition: TypeDefinitionNode) -> None:
        name = definition.name.value
        joins = list(_all(definition.directives, self.type_directive))
        local: dict[str, LocalType] = {}
        for join in joins:
            graph = self._graph(join, name)
            if graph not in local:
                local[graph] = LocalType(name, _KINDS[definition.kind])
            here = local[graph]
            if _flag(join, "isInterfaceObject"):
                here.kind, here.interface_object = Kind.OBJECT, True
            if key := _text(join, "key"):
                here.keys.append(LocalKey(key, _flag(join, "resolvable", default=True)))
        for graph, here in local.items():
            self.views[graph].types[name] = here
        match definition:
            case ObjectTypeDefinitionNode() | InterfaceTypeDefinitionNode():
                self._read_interfaces(definition, local)
                for field in definition.fields or ():
                    self._read_field(name, field, local)
            case UnionTypeDefinitionNode():
                self._read_members(definition, local)
            case EnumTypeDefinitionNode():
                for value in definition.values or ():
                    for graph in self._graphs(value.directives, self.value_directive, name, local):
                        local[graph].values.append(value)
            case InputObjectTypeDefinitionNode():
                for item in definition.fields or ():
                    self._read_input(name, item, local)

    def _read_interfaces(
        self,
        definition: ObjectTypeDefinitionNode | InterfaceTypeDefinitionNode,
        local: dict[str, LocalType],
    ) -> None:
        for join in _all(definition.directives, self.implements_directive):
            graph = self._graph(join, definition.name.value)
            interface = _text(join, "interface")
            if interface and graph in local and interface not in local[graph].interfaces:
                local[graph].interfaces.append(interface)

    def _read_members(
        self, definition: UnionTypeDefinitionNode, local: dict[str, LocalType]
    ) -> None:
        name = definition.name.value
        joins = list(_all(definition.directives, self.member_directive))
        for join in joins:
            graph, member = self._graph(join, name), _text(join, "member")
            if member and graph in local:
                local[graph].members.append(member)
        if not joins:
            for here in local.values():
                here.members.extend(member.name.value for member in definition.types or ())

    def _read_field(
        self, parent: str, field: FieldDefinitionNode, local: dict[str, LocalType]
    ) -> None:
        name = field.name.value
        joins = list(_all(field.directives, self.field_directive))
        arguments = field.arguments or ()
        if not joins:
            for here in local.values():
                here.fields[name] = LocalField(name, field.type, arguments)
            return
        labels = self._overrides(joins)
        for join in joins:
            if "graph" not in join:
                continue
            graph = self._graph(join, f"{parent}.{name}")
            if graph not in local:
                continue
            source = self.views[graph].subgraph.name
            label: Label | None = None
            taken = _flag(join, "usedOverridden")
            if source in labels:
                taken, label = labels[source] is None, _label(labels[source], active=False)
            elif given := _text(join, "overrideLabel"):
                label = Label(given, active=_text(join, "override") is not None)
            local[graph].fields[name] = LocalField(
                name,
                _type(join, field.type),
                arguments,
                external=_flag(join, "external"),
                requires=_text(join, "requires"),
                provides=_text(join, "provides"),
                taken=taken,
                label=label,
                context=_context(join),
            )

    @staticmethod
    def _overrides(joins: Iterable[Arguments]) -> dict[str, str | None]:
        """Name of the subgraph a field is taken from, and the label, None if always."""
        return {
            source: _text(join, "overrideLabel")
            for join in joins
            if (source := _text(join, "override"))
        }

    def _read_input(
        self, parent: str, item: InputValueDefinitionNode, local: dict[str, LocalType]
    ) -> None:
        joins = list(_all(item.directives, self.field_directive))
        if not joins:
            for here in local.values():
                here.inputs.append((item, item.type))
        for join in joins:
            graph = self._graph(join, f"{parent}.{item.name.value}")
            if graph in local:
                local[graph].inputs.append((item, _type(join, item.type)))

    def _graphs(
        self,
        directives: Iterable[ConstDirectiveNode] | None,
        name: str,
        coordinate: str,
        local: Mapping[str, LocalType],
    ) -> list[str]:
        graphs = [self._graph(join, coordinate) for join in _all(directives, name)]
        return [graph for graph in graphs if graph in local] if graphs else list(local)

    def _graph(self, join: Arguments, coordinate: str) -> str:
        node = join.get("graph")
        graph = str(getattr(node, "value", None))
        if graph not in self.views:
            raise UnknownGraph(coordinate, graph)
        return graph


def _all(directives: Iterable[ConstDirectiveNode] | None, name: str) -> Iterable[Arguments]:
    for directive in directives or ():
        if directive.name.value == name:
            yield {item.name.value: item.value for item in directive.arguments or ()}


def _text(join: Arguments, name: str) -> str | None:
    value = getattr(join.get(name), "value", None)
    return value if isinstance(value, str) else None


def _flag(join: Arguments, name: str, *, default: bool = False) -> bool:
    value = getattr(join.get(name), "value", None)
    return value if isinstance(value, bool) else default


def _label(label: str | None, *, active: bool) -> Label | None:
    return Label(label, active) if label is not None else None


def _type(join: Arguments, default: TypeNode) -> TypeNode:
    text = _text(join, "type")
    return parse_type(text, no_location=True) if text else default


def _context(join: Arguments) -> tuple[ContextArgument, ...]:
    node = join.get("contextArguments")
    if node is None:
        return ()
    given = value_from_ast_untyped(node)
    return tuple(
        ContextArgument(item["name"], item["type"], item["context"], item["selection"])
        for item in (given if isinstance(given, list) else [given])
    )

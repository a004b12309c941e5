"""The query graph: which subgraph resolves what, and how to get from one to another.

A `Node` is a type in a subgraph; edges are fields it resolves there. A node made for @provides has
more edges than the plain one. An `Entry` is a way into a node through `_entities`: its key is what
must be known first. Nodes, edges and entries are made when first asked for. One graph is for one
set of active override labels, so that edges are unconditional in that respect.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from graphql import GraphQLField, get_named_type, is_abstract_type, print_ast

from router.planner.normalise import field_set
from router.planner.selection import TYPENAME, Field, Selection
from router.supergraph import Supergraph
from router.supergraph.views import ContextArgument, Kind, Label, LocalField, LocalType, View

_LEAF_KINDS: Final = frozenset((Kind.ENUM, Kind.SCALAR))


@dataclass(frozen=True, slots=True, eq=False)
class Edge:
    """A field resolved by a node.

    `target` is None for a leaf, `shape` its type as text in that subgraph. `requires` and `context`
    say what must be sent along; such a field is asked for by an entity fetch of its own.
    """

    name: str
    target: Node | None
    shape: str
    requires: Selection | None = None
    context: tuple[ContextArgument, ...] = ()
    conditional: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """A way into `node`: by the fields of `key`, or without any for a root type."""

    node: Node
    key: Selection | None


class _Edges(dict[str, "Edge | None"]):
    """Edges of a node by field name, found when first looked up."""

    __slots__ = ("node",)

    def __init__(self, node: Node) -> None:
        super().__init__()
        self.node = node

    def __missing__(self, name: str) -> Edge | None:
        edge = self[name] = self.node.graph.find_edge(self.node, name)
        return edge


class Node:
    """A type in a subgraph.

    `possible` are object types its objects can have: those the subgraph knows, or for an
    @interfaceObject (`fake`) all of the interface's. `provided` are fields resolved here only
    because the way here provides them.
    """

    __slots__ = (
        "abstract",
        "casts",
        "edges",
        "fake",
        "graph",
        "possible",
        "provided",
        "subgraph",
        "type",
    )

    def __init__(
        self,
        graph: QueryGraph,
        subgraph: int,
        local: LocalType,
        possible: frozenset[str],
        provided: Selection | None,
    ) -> None:
        self.graph, self.subgraph, self.type = graph, subgraph, local.name
        self.fake = local.interface_object
        self.abstract = local.kind in (Kind.INTERFACE, Kind.UNION)
        self.possible, self.provided = possible, provided
        self.edges = _Edges(self)
        self.casts: dict[str, Node | None] = {}

    def cast(self, type_: str) -> Node | None:
        """This node for objects of `type_` alone, an object type or an abstract one.

        None where the subgraph cannot tell them apart, or has none. An @interfaceObject stays what
        it is: whoever casts it finds out the runtime type elsewhere.
        """
        if type_ not in self.casts:
            self.casts[type_] = self.graph.find_cast(self, type_)
        return self.casts[type_]

    def __repr__(self) -> str:
        return f"{self.type}/{self.graph.names[self.subgraph]}{'+' if self.provided else ''}"


class QueryGraph:
    """All nodes of a supergraph under one set of active labels."""

    def __init__(self, supergraph: Supergraph, labels: frozenset[str] = frozenset()) -> None:
        self.supergraph, self.labels = supergraph, labels
        self.views: tuple[View, ...] = tuple(supergraph.views.values())
        self.names: tuple[str, ...] = tuple(view.subgraph.name for view in self.views)
        self._nodes: dict[tuple[int, str, str], Node | None] = {}
        self._entries: dict[str, tuple[Entry, ...]] = {}
        self._field_sets: dict[tuple[str, str], Selection] = {}
        self._choices: dict[tuple[str, str], int] = {}
        self._root_types = frozenset(supergraph.roots.values())
        self._query = supergraph.roots["query"]
        self.fakes: frozenset[str] = frozenset(
            name
            for view in self.views
            for name, local in view.types.items()
            if local.interface_object
        )
        """Interfaces that some subgraph knows as an @interfaceObject."""

    def roots(self, type_: str) -> tuple[Node, ...]:
        """The nodes of a root type, one per subgraph that has fields there."""
        found = (self.node(index, type_) for index in range(len(self.views)))
        return tuple(node for node in found if node and self._local(node).fields)

    def node(self, subgraph: int, type_: str, provided: Selection | None = None) -> Node | None:
        """The node of a composite type in a subgraph; None where the subgraph lacks it."""
        key = (subgraph, type_, repr(provided) if provided else "")
        if key in self._nodes:
            return self._nodes[key]
        local = self.views[subgraph].types.get(type_)
        node: Node | None = None
        if local is not None and local.kind not in _LEAF_KINDS:
            if local.interface_object:
                possible = self.supergraph.possible_types(type_)
            else:
                possible = self.views[subgraph].possible_types(type_)
            node = Node(self, subgraph, local, possible, provided)
        self._nodes[key] = node
        return node

    def plain(self, node: Node) -> Node:
        """The node without what was provided on the way to it."""
        if node.provided is None:
            return node
        found = self.node(node.subgraph, node.type)
        assert found is not None
        return found

    def entries(self, type_: str) -> tuple[Entry, ...]:
        """Ways into nodes for objects of `type_`, an object type or an interface."""
        found = self._entries.get(type_)
        if found is None:
            found = self._entries[type_] = tuple(self._find_entries(type_))
        return found

    def _find_entries(self, type_: str) -> list[Entry]:
        if type_ == self._query:
            return [Entry(node, None) for node in self.roots(type_)]
        definition = self.supergraph.schema.type_map[type_]
        interfaces = [one.name for one in getattr(definition, "interfaces", ())]
        entries: list[Entry] = []
        for index, view in enumerate(self.views):
            for name in (type_, *interfaces):
                local = view.types.get(name)
                if local is None or (name != type_ and not local.interface_object):
                    continue
                node = self.node(index, name)
                if node is not None:
                    entries += [
                        Entry(node, self.field_set(type_, key.fields))
                        for key in local.keys
                        if key.resolvable
                    ]
        return entries

    def field_set(self, type_: str, text: str) -> Selection:
        """A field set on `type_`, parsed once."""
        found = self._field_sets.get((type_, text))
        if found is None:
            found = self._field_sets[type_, text] = field_set(self.supergraph, type_, text)
        return found

    def choices(self, type_: str, field: str) -> int:
        """In how many subgraphs the field is, the type taken as it is or as an interface object."""
        found = self._choices.get((type_, field))
        if found is None:
            definition = self.supergraph.schema.type_map.get(type_)
            names = {type_, *(one.name for one in getattr(definition, "interfaces", ()))}
            found = sum(
                any(
                    (node := self.node(index, name)) is not None
                    and (name == type_ or node.fake)
                    and node.edges[field] is not None
                    for name in names
                )
                for index in range(len(self.views))
            )
            self._choices[type_, field] = found
        return found

    def field_on(self, field: Field, type_: str) -> Field:
        """A field of an abstract type as one of its object types has it, maybe of narrower type."""
        if field.sub is None:
            return field
        definition = self.supergraph.schema.type_map[type_]
        fields: dict[str, GraphQLField] = getattr(definition, "fields", {})
        named = get_named_type(fields[field.name].type).name
        if named == field.type:
            return field
        possible = self.supergraph.possible_types(named)
        sub = field.sub.narrowed(named, possible)
        if sub.is_empty():
            sub.add(Field(TYPENAME, TYPENAME, "", "String", 0, None, helper=True))
        return field.copy(sub=sub)

    def is_abstract(self, type_: str) -> bool:
        """Whether a type of the supergraph is an interface or a union."""
        return is_abstract_type(self.supergraph.schema.type_map[type_])

    def find_edge(self, node: Node, name: str) -> Edge | None:
        """The edge of `node` for a field, if its subgraph resolves it."""
        if name == TYPENAME:
            return None if node.fake else Edge(name, None, "String!")
        local = self._local(node)
        field = local.fields.get(name)
        if field is None:
            return None
        given = self._provided(node, name)
        if given is None and not self._resolves(node, local, field):
            return None
        type_name = named_type(field)
        shape = print_ast(field.type)
        kind = self._kind(node.subgraph, type_name)
        if kind is None or kind in _LEAF_KINDS:
            return Edge(name, None, shape, *self._needs(node, field, given))
        provided = Selection(type_name)
        if given is not None and (given.fields or given.casts):
            possible = self.supergraph.possible_types(type_name)
            provided.add_all(given.narrowed(type_name, possible))
        if field.provides:
            provided.add_all(self.field_set(type_name, field.provides))
        target = self.node(node.subgraph, type_name, None if provided.is_empty() else provided)
        if target is None:
            return None
        return Edge(name, target, shape, *self._needs(node, field, given))

    def _needs(
        self, node: Node, field: LocalField, given: Selection | None
    ) -> tuple[Selection | None, tuple[ContextArgument, ...], bool]:
        if given is not None or not (field.requires or field.context):
            return None, (), False
        requires = self.field_set(node.type, field.requires) if field.requires else None
        return requires, field.context, True

    def _resolves(self, node: Node, local: LocalType, field: LocalField) -> bool:
        """Whether the subgraph itself resolves the field for every object of the node."""
        if field.taken or not self._active(field.label):
            return False
        if local.kind is not Kind.INTERFACE:
            return not field.external or bool(field.requires)
        for name in node.possible:
            member = self.node(node.subgraph, name, self._passed_down(node, name))
            edge = member.edges[field.name] if member else None
            if edge is None or edge.conditional:
                return False
        return True

    def _active(self, label: Label | None) -> bool:
        return label is None or (label.label in self.labels) == label.active

    def _provided(self, node: Node, name: str) -> Selection | None:
        """What the way to the node provides below the field; empty for a leaf, None for nothing."""
        if node.provided is None:
            return None
        for field in node.provided.fields.values():
            if field.name == name:
                return field.sub if field.sub is not None else Selection("")
        return None

    def find_cast(self, node: Node, type_: str) -> Node | None:
        """See Node.cast."""
        if node.type == type_:
            return node
        wanted = self.supergraph.possible_types(type_)
        if node.fake:
            return node if wanted & node.possible else None
        if not node.abstract:
            return node if node.type in wanted else None
        if type_ in node.possible:
            return self.node(node.subgraph, type_, self._passed_down(node, type_))
        local = self.node(node.subgraph, type_, self._passed_down(node, type_))
        if local is None or not local.abstract:
            return None
        common = wanted & node.possible
        return local if common and common <= local.possible else None

    def _passed_down(self, node: Node, type_: str) -> Selection | None:
        """What is provided on an abstract node, as far as it concerns one of its types."""
        if node.provided is None:
            return None
        narrowed = node.provided.narrowed(type_, self.supergraph.possible_types(type_))
        return narrowed if narrowed.fields or narrowed.casts else None

    def _local(self, node: Node) -> LocalType:
        return self.views[node.subgraph].types[node.type]

    def _kind(self, subgraph: int, type_: str) -> Kind | None:
        local = self.views[subgraph].types.get(type_)
        return local.kind if local else None


def named_type(field: LocalField) -> str:
    """The name inside all lists and non-nulls of a field's type."""
    node = field.type
    while not hasattr(node, "name"):
        node = node.type  # type: ignore[attr-defined]
    return str(node.name.value)

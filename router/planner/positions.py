"""Positions: the places of an operation where objects stand, and who has been asked there.

A position is reached by a field, or by a cast from the position of the same objects. A `Place` is a
position where a step selects on a node.
"""

from __future__ import annotations

from dataclasses import dataclass

from router.planner.fetch_graph import Step, Tree
from router.planner.plan import LIST, Path, TypeFilter
from router.planner.query_graph import Edge, Node
from router.planner.selection import Conditions, Field, FieldId, Selection
from router.supergraph import Supergraph


@dataclass(slots=True)
class Place:
    """Where a step has the objects of a position."""

    step: Step
    tree: Tree
    node: Node


@dataclass(frozen=True, slots=True, eq=False)
class Label:
    """How a node can be had at a position, and at what price.

    `rank` orders labels: first how deep the plan gets, then the weight of what must be added, then
    the wave. `added` has a bit for each fetch to add. `via` says how; None where it is there.
    """

    rank: int
    wave: int
    added: int
    via: Via | None


@dataclass(frozen=True, slots=True, eq=False)
class Via:
    """The last move to a node: by a field or cast from `source`, or by an entry with `key`."""

    source: Node | None
    edge: Edge | None = None
    key: Selection | None = None


class Scope:
    """Response keys in use by the objects at one place of the response, and their types.

    `contested` keys stand for different fields of objects of different types.
    """

    __slots__ = ("contested", "helpers", "possible", "taken")

    def __init__(self) -> None:
        self.possible: frozenset[str] = frozenset()
        self.contested: set[str] = set()
        self.taken: dict[str, tuple[str, str]] = {}
        self.helpers: dict[tuple[str, str], str] = {}

    def claim(self, selection: Selection) -> None:
        """The client's selection uses its keys."""
        for field in selection.fields.values():
            meaning = (field.name, field.args)
            if self.taken.setdefault(field.key, meaning) != meaning:
                self.contested.add(field.key)
        for cast in selection.casts.values():
            self.claim(cast)

    def helper(self, field: Field) -> Field:
        """The field under a key that does not clash with what the client asks for."""
        wanted = (field.name, field.args)
        key = self.helpers.get(wanted)
        if key is None:
            key, number = field.name, 0
            while key in self.contested or self.taken.setdefault(key, wanted) != wanted:
                key, number = f"_lonja{number}_{field.name}", number + 1
            self.helpers[wanted] = key
        return field if key == field.key else field.copy(key=key)


class Position:
    """See the module. `allowed` are the types objects here can have; None if that is one type.

    `asked` are the client's fields here: response key to name.
    """

    __slots__ = (
        "allowed",
        "asked",
        "base_path",
        "cast",
        "casts",
        "children",
        "conditional",
        "field",
        "id",
        "labels",
        "near",
        "parent",
        "path",
        "places",
        "scope",
        "type",
        "version",
    )

    def __init__(
        self,
        number: int,
        type_: str,
        parent: Position | None,
        field: Field | None,
        scope: Scope,
        base_path: Path,
        path: Path,
    ) -> None:
        self.id, self.type, self.parent, self.field = number, type_, parent, field
        self.scope, self.base_path, self.path = scope, base_path, path
        self.asked: dict[str, str] = {}
        self.children: dict[FieldId, Position] = {}
        self.casts: dict[str, Position] = {}
        self.places: dict[Node, Place] = {}
        self.conditional: dict[tuple[Node, str], Place] = {}
        self.labels: dict[Node, Label] = {}
        self.version = -1
        self.near: tuple[Node, ...] = ()
        self.allowed: frozenset[str] | None = None

    def ask(self, selection: Selection) -> None:
        """The client asks for the fields of a selection here."""
        self.asked.update((field.key, field.name) for field in selection.fields.values())

    def conditions(self) -> Conditions:
        """The conditions of the fields that lead here."""
        found: set[tuple[str, bool]] = set()
        above: Position | None = self
        while above is not None:
            found.update(above.field.conditions if above.field else ())
            above = above.parent
        return tuple(sorted(found))

    def is_cast_of(self, types: frozenset[str]) -> bool:
        """Whether this is a cast from the position of objects of one of these types."""
        return self.field is None and self.parent is not None and self.parent.type in types

    def has_entity_step(self, node: Node) -> bool:
        """Whether the subgraph of `node` is already asked for these very objects as entities."""
        place = self.places.get(node)
        if place is not None and place.step.inputs and place.step.path == self.base_path:
            return True
        return any(found is node for found, _ in self.conditional)


def plain_path(path: Path) -> Path:
    """The path without its type filters."""
    return tuple(one for one in path if not isinstance(one, TypeFilter))


class Positions:
    """Makes positions, each once."""

    def __init__(self, supergraph: Supergraph) -> None:
        self.supergraph = supergraph
        self._count = 0
        self._scopes: dict[Path, Scope] = {}

    def root(self, type_: str) -> Position:
        """The position of a root type."""
        return self._new(type_, None, None, self._scope(()), (), ())

    def child(self, parent: Position, field: Field) -> Position:
        """The position below a composite field."""
        found = parent.children.get(field.id)
        if found is None:
            path = (*parent.path, field.key, *(LIST,) * field.lists)
            found = self._new(field.type, parent, field, self._scope(path), path, path)
            parent.children[field.id] = found
        elif found.field is not None and found.field.helper and not field.helper:
            found.field = field
        return found

    def cast(self, parent: Position, type_: str) -> Position:
        """The position of those objects at `parent` that are of `type_`."""
        if type_ == parent.type:
            return parent
        found = parent.casts.get(type_)
        if found is None:
            possible = self.supergraph.possible_types(type_)
            path = (*parent.base_path, TypeFilter(tuple(sorted(possible))))
            found = self._new(type_, parent, None, parent.scope, parent.base_path, path)
            parent.casts[type_] = found
        return found

    def possible_at(self, path: Path) -> frozenset[str]:
        """Object types that can stand at a path without filters."""
        scope = self._scopes.get(path)
        return scope.possible if scope else frozenset()

    def _scope(self, path: Path) -> Scope:
        return self._scopes.setdefault(plain_path(path), Scope())

    def _new(
        self,
        type_: str,
        parent: Position | None,
        field: Field | None,
        scope: Scope,
        base_path: Path,
        path: Path,
    ) -> Position:
        self._count += 1
        if field is not None or parent is None:
            scope.possible |= self.supergraph.possible_types(type_)
        return Position(self._count, type_, parent, field, scope, base_path, path)

"""Data without values: what a plan's fetches bring, by runtime type. For `check` alone.

Nothing here knows how the planner works; selections are read from GraphQL text again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from graphql import (
    BooleanValueNode,
    DirectiveNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    SelectionSetNode,
    VariableNode,
    print_ast,
)

from router.planner.plan import LIST, Path, TypeFilter


@dataclass(slots=True)
class Item:
    """A member of an object: the field it is of, and the objects it holds (None: a leaf)."""

    name: str
    arguments: str
    child: Thing | None


@dataclass(slots=True, eq=False)
class Thing:
    """All objects that can stand at one place: members by runtime type.

    `types` are those that every subgraph asked for the place may return, None before any was;
    `named` those whose `__typename` in the data is right, `called` those under whose name an
    @interfaceObject hides.
    """

    types: frozenset[str] | None = None
    members: dict[str, dict[str, Item]] = field(default_factory=dict)
    named: set[str] = field(default_factory=set)
    called: dict[str, str] = field(default_factory=dict)

    def narrow(self, types: frozenset[str]) -> None:
        """A subgraph returns objects of these types here."""
        self.types = types if self.types is None else self.types & types
        for name in types:
            self.members.setdefault(name, {})

    def copy(self) -> Thing:
        """A deep copy."""
        return Thing(
            self.types,
            {
                name: {
                    key: Item(item.name, item.arguments, item.child and item.child.copy())
                    for key, item in members.items()
                }
                for name, members in self.members.items()
            },
            set(self.named),
            dict(self.called),
        )

    def absorb(self, other: Thing) -> None:
        """Add what `other`, a changed copy of this thing, has come to know."""
        if other.types is not None:
            self.types = other.types if self.types is None else self.types & other.types
        self.named |= other.named
        self.called |= other.called
        for name, members in other.members.items():
            mine = self.members.setdefault(name, {})
            for key, item in members.items():
                known = mine.get(key)
                if known is None:
                    mine[key] = item
                elif known.child is not None and item.child is not None:
                    known.child.absorb(item.child)

    def typename(self, runtime: str) -> str:
        """The `__typename` that objects of a type have in the data."""
        return runtime if runtime in self.named else self.called.get(runtime, runtime)

    def at(
        self, path: Path, types: frozenset[str] | None = None
    ) -> Iterator[tuple[Thing, frozenset[str]]]:
        """The things at a path below this one, with the types that its filters let through."""
        mine = (self.types or frozenset()) if types is None else types
        if not path:
            yield self, mine
            return
        first, rest = path[0], path[1:]
        if isinstance(first, TypeFilter):
            passed = frozenset(name for name in mine if self.typename(name) in first.types)
            yield from self.at(rest, passed)
        elif first == LIST:
            yield from self.at(rest, mine)
        else:
            seen: list[Thing] = []
            for name in sorted(mine):
                item = self.members.get(name, {}).get(first)
                if item is not None and item.child is not None and item.child not in seen:
                    seen.append(item.child)
                    yield from item.child.at(rest)


def merge_item(members: dict[str, Item], key: str, name: str, arguments: str, leaf: bool) -> Item:
    """Put a member in, or find it there; the same key must be the same field."""
    item = members.get(key)
    if item is None:
        item = members[key] = Item(name, arguments, None if leaf else Thing())
    return item


@dataclass(frozen=True, slots=True)
class Selected:
    """A field of a selection set: `on` is the type it is asked for on, `under` the fragments'."""

    node: FieldNode
    on: str

    @property
    def key(self) -> str:
        return self.node.alias.value if self.node.alias else self.node.name.value

    def arguments(self, but: frozenset[str] = frozenset()) -> str:
        """The arguments as text in one order, without those named in `but`."""
        shown = sorted(
            print_ast(argument)
            for argument in self.node.arguments or ()
            if argument.name.value not in but
        )
        return ", ".join(" ".join(one.split()) for one in shown)


def selected(
    selection: SelectionSetNode,
    on: str,
    runtime: str,
    possible: Mapping[str, frozenset[str]],
    fragments: Mapping[str, FragmentDefinitionNode],
    values: Mapping[str, bool],
) -> Iterator[Selected]:
    """Fields of the selection set that an object of type `runtime` gets (GraphQL § 6.3.2)."""
    for item in selection.selections:
        if not included(item.directives, values):
            continue
        if isinstance(item, FieldNode):
            yield Selected(item, on)
            continue
        if isinstance(item, FragmentSpreadNode):
            fragment = fragments[item.name.value]
            inner, sub = fragment.type_condition.name.value, fragment.selection_set
        else:
            assert isinstance(item, InlineFragmentNode)
            inner = item.type_condition.name.value if item.type_condition else on
            sub = item.selection_set
        if runtime in possible.get(inner, frozenset((inner,))):
            yield from selected(sub, inner, runtime, possible, fragments, values)


def included(directives: Iterable[DirectiveNode] | None, values: Mapping[str, bool]) -> bool:
    """Whether @skip and @include let a selection through, for given variables."""
    for directive in directives or ():
        if directive.name.value in ("skip", "include") and directive.arguments:
            value = directive.arguments[0].value
            if isinstance(value, VariableNode):
                given = values[value.name.value]
            else:
                assert isinstance(value, BooleanValueNode)
                given = value.value
            if given is not (directive.name.value == "include"):
                return False
    return True


def condition_variables(node: object) -> set[str]:
    """Variables that conditions below an AST node depend on."""
    found: set[str] = set()
    stack: list[object] = [node]
    while stack:
        one = stack.pop()
        if isinstance(one, list | tuple):
            stack.extend(one)
            continue
        for directive in getattr(one, "directives", None) or ():
            if directive.name.value in ("skip", "include"):
                value = directive.arguments[0].value
                if isinstance(value, VariableNode):
                    found.add(value.name.value)
        selection = getattr(one, "selection_set", None)
        if selection is not None:
            stack.extend(selection.selections)
    return found

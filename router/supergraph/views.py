"""What one subgraph knows: its part of each type, as the join directives tell it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from graphql import (
    ConstDirectiveNode,
    EnumValueDefinitionNode,
    InputValueDefinitionNode,
    TypeNode,
)


class Kind(Enum):
    """The kind of a type in one subgraph (an @interfaceObject is an OBJECT there)."""

    OBJECT = "type"
    INTERFACE = "interface"
    UNION = "union"
    ENUM = "enum"
    INPUT = "input"
    SCALAR = "scalar"


@dataclass(frozen=True, slots=True)
class Subgraph:
    """A subgraph: its name, where it is, and its value in the enum of subgraphs."""

    name: str
    url: str
    graph: str


@dataclass(frozen=True, slots=True)
class Label:
    """Of a progressive @override: the field is here where `label` is active iff `active`."""

    label: str
    active: bool


@dataclass(frozen=True, slots=True)
class ContextArgument:
    """An argument filled from a context: `selection` is a field set on the types that set it."""

    name: str
    type: str
    context: str
    selection: str


@dataclass(frozen=True, slots=True)
class LocalField:
    """A field as one subgraph has it. `taken` where an @override gave it to another subgraph.

    `external` fields are known there, for keys and requirements, but not resolved, unless an
    extension marks a key of its own so (Federation 1), which composition has cleaned up.
    """

    name: str
    type: TypeNode
    arguments: tuple[InputValueDefinitionNode, ...] = ()
    external: bool = False
    requires: str | None = None
    provides: str | None = None
    taken: bool = False
    label: Label | None = None
    context: tuple[ContextArgument, ...] = ()


@dataclass(frozen=True, slots=True)
class LocalKey:
    """A @key: a field set, and whether `_entities` answers to it."""

    fields: str
    resolvable: bool


@dataclass(slots=True)
class LocalType:
    """A type as one subgraph has it. Only the members its kind has are filled."""

    name: str
    kind: Kind
    interface_object: bool = False
    fields: dict[str, LocalField] = field(default_factory=dict)
    keys: list[LocalKey] = field(default_factory=list)
    interfaces: list[str] = field(default_factory=list)
    members: list[str] = field(default_factory=list)
    values: list[EnumValueDefinitionNode] = field(default_factory=list)
    inputs: list[tuple[InputValueDefinitionNode, TypeNode]] = field(default_factory=list)
    directives: tuple[ConstDirectiveNode, ...] = ()


@dataclass(slots=True)
class View:
    """One subgraph's types by name."""

    subgraph: Subgraph
    types: dict[str, LocalType] = field(default_factory=dict)

    def possible_types(self, name: str) -> frozenset[str]:
        """Object types that a value of type `name` can have in this subgraph."""
        local = self.types.get(name)
        if local is None:
            return frozenset()
        if local.kind is Kind.UNION:
            return frozenset(local.members)
        if local.kind is Kind.INTERFACE:
            return frozenset(
                other.name
                for other in self.types.values()
                if other.kind is Kind.OBJECT and name in other.interfaces
            )
        return frozenset((name,))

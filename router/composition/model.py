"""A schema as plain mutable records: what composition reads, changes and prints.

graphql-core's `GraphQLSchema` refuses what a subgraph may be (types that exist only as extensions,
unknown directives, no query root) and keeps no trace of extensions; these records do.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from router.composition.types import NonNull, TypeRef
from router.composition.values import ABSENT, Absent, Value

Kind = Literal["scalar", "object", "interface", "union", "enum", "input"]
RootKind = Literal["query", "mutation", "subscription"]

ROOT_NAMES: dict[RootKind, str] = {
    "query": "Query",
    "mutation": "Mutation",
    "subscription": "Subscription",
}
BUILT_IN_SCALARS = frozenset({"Int", "Float", "String", "Boolean", "ID"})
BUILT_IN_DIRECTIVES = frozenset({"skip", "include", "deprecated", "specifiedBy", "oneOf", "defer"})

Location = tuple[int, int]
"""Line and column in the subgraph's source, from 1."""


@dataclass(slots=True)
class Directive:
    """One application. `extension` is 0 on the definition and n on the type's nth extension."""

    name: str
    args: dict[str, Value] = field(default_factory=dict)
    extension: int = 0
    location: Location | None = None

    def string(self, name: str) -> str | None:
        """The argument, where it is a string."""
        value = self.args.get(name)
        return value if isinstance(value, str) else None


@dataclass(slots=True)
class InputDef:
    """An argument or an input field. `default` is ABSENT when there is none."""

    name: str
    type: TypeRef
    default: Value | Absent = ABSENT
    description: str | None = None
    directives: list[Directive] = field(default_factory=list)
    location: Location | None = None

    @property
    def required(self) -> bool:
        """Must be given: non-null and without default."""
        return isinstance(self.type, NonNull) and self.default is ABSENT


@dataclass(slots=True)
class FieldDef:
    """A field of an object or interface. `parent` is the type's name.

    `extension` is 0 in the definition and n in the type's nth extension.
    """

    parent: str
    name: str
    type: TypeRef
    args: dict[str, InputDef] = field(default_factory=dict)
    description: str | None = None
    directives: list[Directive] = field(default_factory=list)
    location: Location | None = None
    extension: int = 0

    @property
    def coordinate(self) -> str:
        return f"{self.parent}.{self.name}"


@dataclass(slots=True)
class EnumValueDef:
    """One value of an enum."""

    name: str
    description: str | None = None
    directives: list[Directive] = field(default_factory=list)
    location: Location | None = None


@dataclass(slots=True)
class TypeDef:
    """A named type; only the members of its kind are filled.

    `defined` is false for a type that exists only as extensions; `extensions` counts those.
    """

    kind: Kind
    name: str
    description: str | None = None
    directives: list[Directive] = field(default_factory=list)
    fields: dict[str, FieldDef] = field(default_factory=dict)
    input_fields: dict[str, InputDef] = field(default_factory=dict)
    interfaces: list[str] = field(default_factory=list)
    members: list[str] = field(default_factory=list)
    values: dict[str, EnumValueDef] = field(default_factory=dict)
    defined: bool = True
    extensions: int = 0
    location: Location | None = None

    @property
    def composite(self) -> bool:
        """Has selections: object, interface or union."""
        return self.kind in ("object", "interface", "union")


@dataclass(slots=True)
class DirectiveDef:
    """A directive definition."""

    name: str
    locations: list[str]
    args: dict[str, InputDef] = field(default_factory=dict)
    repeatable: bool = False
    description: str | None = None
    location: Location | None = None


@dataclass(slots=True)
class Schema:
    """A whole schema. `roots` holds type names, only for roots whose type exists."""

    types: dict[str, TypeDef] = field(default_factory=dict)
    directives: dict[str, DirectiveDef] = field(default_factory=dict)
    roots: dict[RootKind, str] = field(default_factory=dict)
    applied: list[Directive] = field(default_factory=list)
    description: str | None = None

    def possible_types(self, name: str) -> list[str]:
        """Object types that a value of this type may have, in order of definition."""
        found = self.types.get(name)
        if found is None:
            return []
        if found.kind == "object":
            return [name]
        if found.kind == "union":
            return [
                member
                for member in found.members
                if member in self.types and self.types[member].kind == "object"
            ]
        return self.implementations().get(name, []) if found.kind == "interface" else []

    def implementations(self) -> dict[str, list[str]]:
        """Interface to the object types that declare it."""
        answer: dict[str, list[str]] = {}
        for definition in self.types.values():
            if definition.kind == "object":
                for interface in definition.interfaces:
                    answer.setdefault(interface, []).append(definition.name)
        return answer

    def fields(self) -> Iterator[tuple[TypeDef, FieldDef]]:
        """Every field of every object and interface."""
        for definition in self.types.values():
            for item in definition.fields.values():
                yield definition, item


Element = TypeDef | FieldDef | InputDef | EnumValueDef
"""What directives are applied to, and what has a description (the schema itself apart)."""


FEDERATED = "~"
"""What starts the name of every federation directive once its local name is understood.

No GraphQL name has it, so `~key` is the federation directive whatever a schema calls it.
"""


def applied(element: Element, name: str | None) -> list[Directive]:
    """The applications of one directive; none for `None`, an unknown name."""
    return [one for one in element.directives if one.name == name] if name else []

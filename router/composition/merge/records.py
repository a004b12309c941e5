"""What merging leaves behind for rules and hints to look at: every element with its sources.

`sources` go from a subgraph's index to its element. None stands for "this subgraph has the parent
but not the element"; a subgraph without the parent is not there at all.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from router.composition.composed import ComposedDirectives
from router.composition.model import (
    Directive,
    DirectiveDef,
    EnumValueDef,
    FieldDef,
    InputDef,
    Kind,
    Schema,
    TypeDef,
)
from router.composition.problems import Place, place
from router.composition.subgraph import SubgraphSchema
from router.composition.types import TypeRef
from router.composition.values import ABSENT, Absent, Value

OverrideCase = Literal[
    "on_interface",
    "on_interface_object",
    "unknown_source",
    "from_self",
    "source_overrides",
    "source_gone",
    "source_abstracts",
    "source_requires",
    "source_provides",
    "external_here",
    "source_external",
    "used_there",
    "unused_there",
    "bad_label",
]


@dataclass(frozen=True, slots=True)
class OverrideFinding:
    """One `@override`: whose it is, what it says, and how it stands with its source."""

    case: OverrideCase
    index: int
    source: str
    label: str | None = None
    migrating: bool = False


@dataclass(slots=True)
class Overrides:
    """Which instances of a field give way: `used` must stay for field sets, `unused` vanish."""

    used: set[int] = field(default_factory=set)
    unused: set[int] = field(default_factory=set)
    labels: dict[int, str] = field(default_factory=dict)
    findings: list[OverrideFinding] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class MergedRef:
    """The type chosen for an element, and whether the sources agree on it."""

    ref: TypeRef
    equal: bool
    incompatible: bool = False


@dataclass(frozen=True, slots=True)
class MergedDefault:
    """The default chosen: only what all have. `inconsistent`: not all have one."""

    value: Value | Absent = ABSENT
    inconsistent: bool = False
    incompatible: bool = False


@dataclass(slots=True)
class InputMerge:
    """An argument or an input field, whether or not it reaches the supergraph (`kept`)."""

    coordinate: str
    name: str
    sources: dict[int, InputDef | None]
    ref: MergedRef
    default: MergedDefault
    kept: bool = True
    contextual: frozenset[int] = frozenset()
    merged: InputDef | None = None

    def present(self) -> dict[int, InputDef]:
        return {index: one for index, one in self.sources.items() if one is not None}


@dataclass(slots=True)
class FieldMerge:
    """A field of an object or interface. `external` are the sources that do not resolve it."""

    parent: str
    kind: Kind
    name: str
    sources: dict[int, FieldDef | None]
    external: set[int]
    abstracted: dict[int, list[FieldDef]]
    overrides: Overrides
    ref: MergedRef
    args: dict[str, InputMerge]
    merged: FieldDef
    from_interface_object: bool = False

    @property
    def coordinate(self) -> str:
        return f"{self.parent}.{self.name}"

    def present(self) -> dict[int, FieldDef]:
        return {index: one for index, one in self.sources.items() if one is not None}


@dataclass(slots=True)
class TypeMerge:
    """A type and those of its sources that have the kind that won."""

    name: str
    kind: Kind
    sources: dict[int, TypeDef]
    merged: TypeDef
    fields: dict[str, FieldMerge] = field(default_factory=dict)
    input_fields: dict[str, InputMerge] = field(default_factory=dict)
    values: dict[str, dict[int, EnumValueDef | None]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DirectiveConflict:
    """A directive that may stand once, applied differently. `strategies`: how it was settled."""

    coordinate: str
    directive: str
    options: dict[int, Directive]
    chosen: Directive
    strategies: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class DescriptionConflict:
    """Descriptions that differ. `chosen` is the most frequent, else the first."""

    coordinate: str
    options: dict[int, str]
    chosen: str


@dataclass(slots=True)
class EnumUsage:
    """Where an enum is used: an example coordinate for each way."""

    input: str | None = None
    output: str | None = None


@dataclass(slots=True)
class Merge:
    """The merged schema and all records. `schema` has join directives but not their definitions."""

    subgraphs: list[SubgraphSchema]
    composed: ComposedDirectives
    schema: Schema = field(default_factory=Schema)
    types: dict[str, TypeMerge] = field(default_factory=dict)
    kinds: dict[str, dict[int, str]] = field(default_factory=dict)
    enum_usage: dict[str, EnumUsage] = field(default_factory=dict)
    directives: dict[str, dict[int, DirectiveDef | None]] = field(default_factory=dict)
    directive_args: dict[str, dict[str, InputMerge]] = field(default_factory=dict)
    directive_conflicts: list[DirectiveConflict] = field(default_factory=list)
    descriptions: list[DescriptionConflict] = field(default_factory=list)

    def name(self, index: int) -> str:
        return self.subgraphs[index].name

    def names(self, indexes: object) -> list[str]:
        """The subgraphs' names, in order."""
        chosen = set(indexes)  # type: ignore[call-overload]
        return [one.name for index, one in enumerate(self.subgraphs) if index in chosen]

    def fields(self) -> Iterator[FieldMerge]:
        for one in self.types.values():
            yield from one.fields.values()

    def places(self, sources: object) -> tuple[Place, ...]:
        """Where the sources of an element are, in order of their subgraphs."""
        answer: tuple[Place, ...] = ()
        for index, one in sorted(sources.items()):  # type: ignore[attr-defined]
            if one is not None:
                answer += place(self.name(index), one.location)
        return answer

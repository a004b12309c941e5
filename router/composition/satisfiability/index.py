"""What each subgraph can resolve, laid out for the walk.

Everything here is read from the merge once; the walk asks the same questions many times.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from router.composition.fieldset import Selections, Spread, field_set_of, leaf_shape, target_fields
from router.composition.merge.records import Merge
from router.composition.model import ROOT_NAMES, FieldDef, TypeDef, applied
from router.composition.names import KEY, PROVIDES, REQUIRES
from router.composition.types import base_name

STUB_FIELDS_MAX = 4
"""Fields of a type that may count as a mere reference to an entity."""

Labels = frozenset[tuple[str, bool]]
"""Labels of progressive overrides whose value is settled on the way."""


@dataclass(frozen=True, slots=True)
class Position:
    """Where the walk stands: data of `type` (a local name) fetched from a subgraph.

    `provided` are external fields that this way brings along all the same (`@provides`).
    """

    subgraph: int
    type: str
    provided: Selections = ()


@dataclass(frozen=True, slots=True)
class EntityTarget:
    """A subgraph that can be entered by key, and the type that it then has."""

    subgraph: int
    type: str
    key: Selections
    shape: frozenset[object]
    text: str


@dataclass(frozen=True, slots=True)
class LocalField:
    """A field in one subgraph, with what its directives come to."""

    field: FieldDef
    external: bool
    gone: bool
    label: tuple[str, bool] | None
    requires: Selections
    requires_text: str
    provides: Selections


class Index:
    """The subgraphs' types by name, their possible types, and the ways in between."""

    def __init__(self, merge: Merge) -> None:
        self.merge = merge
        self.types: list[dict[str, TypeDef]] = [one.schema.types for one in merge.subgraphs]
        self.names = [one.name for one in merge.subgraphs]
        self.interface_objects = [one.facts.interface_objects for one in merge.subgraphs]
        self._implementations = [one.schema.implementations() for one in merge.subgraphs]
        self._super_implementations = merge.schema.implementations()
        self._fields: dict[tuple[int, str, str], LocalField | None] = {}
        self._targets: dict[str, tuple[EntityTarget, ...]] = {}
        self._leaves: dict[tuple[int, str], tuple[str, ...] | None] = {}
        self._reentries: dict[tuple[int, str], bool] = {}
        self._plain: dict[tuple[int, str, str], bool] = {}
        self.roots = frozenset(ROOT_NAMES.values())

    def local_field(self, subgraph: int, type_name: str, name: str) -> LocalField | None:
        """The field of a type of one subgraph; None when it has none."""
        key = (subgraph, type_name, name)
        if key not in self._fields:
            definition = self.types[subgraph].get(type_name)
            field = definition.fields.get(name) if definition else None
            self._fields[key] = self._local_field(subgraph, field) if field else None
        return self._fields[key]

    def _local_field(self, subgraph: int, field: FieldDef) -> LocalField:
        merged = self.merge.types.get(field.parent)
        record = merged.fields.get(field.name) if merged else None
        gone, label = False, None
        if record is not None:
            overridden = subgraph in record.overrides.used or subgraph in record.overrides.unused
            if subgraph in record.overrides.labels:
                label = (record.overrides.labels[subgraph], not overridden)
            else:
                gone = overridden
        requires = applied(field, REQUIRES)
        provides = applied(field, PROVIDES)
        text = requires[0].string("fields") if requires else None
        return LocalField(
            field,
            field.coordinate in self.merge.subgraphs[subgraph].facts.external,
            gone,
            label,
            field_set_of(text),
            text or "",
            field_set_of(provides[0].args.get("fields")) if provides else (),
        )

    def possible(self, subgraph: int, name: str) -> list[str]:
        """Object types of one subgraph that a value of the type may have there."""
        definition = self.types[subgraph].get(name)
        if definition is None:
            return []
        if definition.kind == "interface":
            return self._implementations[subgraph].get(name, [])
        if definition.kind == "union":
            return definition.members
        return [name] if definition.kind == "object" else []

    def super_possible(self, name: str) -> list[str]:
        """Object types of the supergraph that a value of the type may have."""
        definition = self.merge.schema.types[name]
        if definition.kind == "interface":
            return self._super_implementations.get(name, [])
        return definition.members if definition.kind == "union" else [name]

    def targets(self, name: str) -> tuple[EntityTarget, ...]:
        """Every way to enter a subgraph by a key of the supergraph's type `name`."""
        if name not in self._targets:
            definition = self.merge.schema.types[name]
            found: list[EntityTarget] = []
            for subgraph, types in enumerate(self.types):
                if name in types:
                    found += self._keys(subgraph, types[name])
                    continue
                for interface in definition.interfaces:
                    if interface in self.interface_objects[subgraph]:
                        found += self._keys(subgraph, types[interface])
            self._targets[name] = tuple(found)
        return self._targets[name]

    def _keys(self, subgraph: int, definition: TypeDef) -> list[EntityTarget]:
        answer = []
        for key in applied(definition, KEY):
            if key.args.get("resolvable") is not False:
                text = key.string("fields") or ""
                selections = field_set_of(text)
                answer.append(
                    EntityTarget(
                        subgraph, definition.name, selections, leaf_shape(selections), text
                    )
                )
        return answer

    def interface_key_shapes(self, subgraph: int, interface: str) -> set[frozenset[object]]:
        """The resolvable keys of an interface where it is one."""
        definition = self.types[subgraph].get(interface)
        if definition is None or definition.kind != "interface":
            return set()
        return {target.shape for target in self._keys(subgraph, definition)}

    def leaves_only(self, at: Position) -> tuple[str, ...] | None:
        """The fields of a type that has few and only leaves; None for any other."""
        key = (at.subgraph, at.type)
        if key not in self._leaves:
            types = self.types[at.subgraph]
            fields = types[at.type].fields if at.type in types else {}
            few = len(fields) <= STUB_FIELDS_MAX and not any(
                base_name(field.type) in types and types[base_name(field.type)].composite
                for field in fields.values()
            )
            self._leaves[key] = tuple(fields) if few else None
        return self._leaves[key]

    def can_reenter(self, subgraph: int, name: str) -> bool:
        """Whether what `@requires` asked for can be brought back: the type has a key of its own.

        A key of local fields will do even if it is not resolvable for others (Federation says so).
        """
        key = (subgraph, name)
        if key not in self._reentries:
            schema = self.merge.subgraphs[subgraph].schema
            external = self.merge.subgraphs[subgraph].facts.external
            self._reentries[key] = any(
                not any(
                    field.coordinate in external
                    for field in target_fields(
                        schema,
                        name,
                        field_set_of(one.args.get("fields")),
                        implementations=False,
                    )
                )
                for one in applied(self.types[subgraph][name], KEY)
            )
        return self._reentries[key]

    def resolved_by_all(self, subgraph: int, interface: str, name: str) -> bool:
        """Whether each local implementation of an interface resolves the field by itself."""
        key = (subgraph, interface, name)
        if key not in self._plain:
            fields = [
                self.local_field(subgraph, one, name) for one in self.possible(subgraph, interface)
            ]
            self._plain[key] = all(
                one is not None
                and not one.external
                and not one.gone
                and one.label is None
                and not one.requires
                for one in fields
            )
        return self._plain[key]

    def provided_below(self, position: Position, name: str) -> tuple[bool, Selections]:
        """Whether `provided` has the field, and what it provides below it."""
        if not position.provided:
            return False, ()
        return _provided(self._supertypes(position), position.provided, name)

    def _supertypes(self, position: Position) -> frozenset[str]:
        """Type conditions that hold for values of the position's type."""
        definition = self.types[position.subgraph][position.type]
        unions = [
            one.name
            for one in self.types[position.subgraph].values()
            if one.kind == "union" and position.type in one.members
        ]
        return frozenset({position.type, *definition.interfaces, *unions})


@lru_cache(maxsize=10_000)
def _provided(types: frozenset[str], selections: Selections, name: str) -> tuple[bool, Selections]:
    found = False
    below: Selections = ()
    for item in selections:
        if isinstance(item, Spread):
            if item.on is None or item.on in types:
                inner, more = _provided(types, item.selections, name)
                found, below = found or inner, (*below, *more)
        elif item.name == name:
            found, below = True, (*below, *item.selections)
    return found, below


def settled(labels: Labels, label: tuple[str, bool] | None) -> bool:
    """Whether an edge may be taken: its label is not settled otherwise."""
    return label is None or (label[0], not label[1]) not in labels


def by_subgraph(positions: Mapping[Position, object] | frozenset[Position]) -> list[int]:
    """The subgraphs of positions, each once, in order."""
    return sorted({position.subgraph for position in positions})

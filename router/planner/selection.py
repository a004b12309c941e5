"""Selections in normal form, of operations and of field sets alike.

A `Selection` on a type has fields, and casts to other types one level deep: fragments are inlined,
impossible ones dropped, nested ones flattened, equal response keys merged, and the conditions of
@skip and @include with variables stand on the fields. Constant conditions are gone.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

FieldId: TypeAlias = tuple[str, str, str, "Conditions"]
Conditions: TypeAlias = tuple[tuple[str, bool], ...]
"""Sorted (variable, value it must have) pairs, all of which must hold."""

TYPENAME = "__typename"


class Field:
    """A selected field.

    `key` is the response key, `args` the arguments as text with parentheses (empty without), `type`
    the named type in the supergraph, `lists` how many lists are around it, `sub` None for a leaf.
    `directives` are others than @skip and @include, as text with a blank before each.
    `helper` fields are not the client's: keys and requirements.
    """

    __slots__ = (
        "args",
        "conditions",
        "directives",
        "helper",
        "key",
        "lists",
        "name",
        "sub",
        "type",
        "variables",
    )

    def __init__(
        self,
        key: str,
        name: str,
        args: str,
        type_: str,
        lists: int,
        sub: Selection | None,
        conditions: Conditions = (),
        variables: tuple[str, ...] = (),
        *,
        directives: str = "",
        helper: bool = False,
    ) -> None:
        self.key, self.name, self.args, self.directives = key, name, args, directives
        self.type, self.lists, self.sub = type_, lists, sub
        self.conditions, self.variables, self.helper = conditions, variables, helper

    @property
    def id(self) -> FieldId:
        """Fields of one id in one selection are one field."""
        return (self.key, self.name, self.args + self.directives, self.conditions)

    def copy(self, *, key: str | None = None, sub: Selection | None = None) -> Field:
        """The same field under another key or with other selections."""
        return Field(
            key or self.key,
            self.name,
            self.args,
            sub.type if sub is not None else self.type,
            self.lists,
            sub if sub is not None else self.sub,
            self.conditions,
            self.variables,
            directives=self.directives,
            helper=self.helper,
        )

    def __repr__(self) -> str:
        alias = f"{self.key}: " if self.key != self.name else ""
        return f"{alias}{self.name}{self.args}{self.directives}{self.sub or ''}"


class Selection:
    """Fields on `type`, and casts by the name of the type cast to.

    In an `ordered` one, where the fields of a mutation are, none gives way to a later one.
    """

    __slots__ = ("casts", "fields", "ordered", "type")

    def __init__(self, type_: str, *, ordered: bool = False) -> None:
        self.type, self.ordered = type_, ordered
        self.fields: dict[FieldId, Field] = {}
        self.casts: dict[str, Selection] = {}

    def add(self, field: Field) -> None:
        """Add a field, merging it with what has its key; `field` itself is not changed."""
        present = self.fields.get(field.id)
        if present is None and field.conditions:
            present = self._weaker(field)
            if present is not None and present.sub is not None and field.sub is not None:
                extra = tuple(one for one in field.conditions if one not in present.conditions)
                field = field.copy(sub=conditioned(field.sub, extra))
        if present is None:
            if not self.ordered:
                self._drop_stronger(field)
            self.fields[field.id] = field
            return
        if present.sub is not None and field.sub is not None:
            merged = Selection(present.sub.type)
            merged.add_all(present.sub)
            merged.add_all(field.sub)
            self.fields[present.id] = present.copy(sub=merged)
        if present.helper and not field.helper:
            self.fields[present.id].helper = False

    def _weaker(self, field: Field) -> Field | None:
        """A field of the same key asked for under fewer conditions."""
        wanted = set(field.conditions)
        for other in self.fields.values():
            if other.id[:3] == field.id[:3] and wanted.issuperset(other.conditions):
                return other
        return None

    def _drop_stronger(self, field: Field) -> None:
        """Leaves already selected under more conditions say nothing new beside `field`."""
        if field.sub is None:
            given = set(field.conditions)
            for other in list(self.fields.values()):
                if other.id[:3] == field.id[:3] and given.issubset(other.conditions):
                    del self.fields[other.id]

    def add_all(self, other: Selection) -> None:
        """Add everything of a selection on the same type."""
        for field in other.fields.values():
            self.add(field)
        for name, cast in other.casts.items():
            self.cast(name).add_all(cast)

    def cast(self, name: str) -> Selection:
        """The selection for objects of type `name`, made if missing."""
        found = self.casts.get(name)
        if found is None:
            found = self.casts[name] = Selection(name)
        return found

    def is_empty(self) -> bool:
        """Whether nothing is selected at all."""
        return not self.fields and all(cast.is_empty() for cast in self.casts.values())

    def narrowed(self, type_: str, possible: frozenset[str]) -> Selection:
        """What this selection asks of objects of `type_`, a type narrower than this one's.

        `possible` are the object types of `type_`.
        """
        if type_ == self.type:
            return self
        result = Selection(type_)
        for field in self.fields.values():
            result.add(field)
        for name, cast in self.casts.items():
            if name == type_:
                result.add_all(cast)
            elif name in possible:
                result.cast(name).add_all(cast)
        return result

    def __repr__(self) -> str:
        parts: Iterable[object] = (
            *self.fields.values(),
            *(f"... on {name}{cast}" for name, cast in self.casts.items()),
        )
        return f"{{{' '.join(map(str, parts))}}}"


def conditioned(selection: Selection, conditions: Conditions) -> Selection:
    """The selection with conditions added to each of its fields."""
    if not conditions:
        return selection
    result = Selection(selection.type)
    for field in selection.fields.values():
        one = field.copy()
        one.conditions = tuple(sorted({*field.conditions, *conditions}))
        result.add(one)
    for name, cast in selection.casts.items():
        result.cast(name).add_all(conditioned(cast, conditions))
    return result

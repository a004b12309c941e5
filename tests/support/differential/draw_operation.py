"""Drawing operations: variables, fragments, aliases that clash, conditions, introspection.

What is drawn is valid by construction but for rare overlaps of fragments used twice; the caller
validates and draws again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import Any

from graphql import (
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNamedType,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    get_named_type,
    is_abstract_type,
    is_leaf_type,
    is_required_argument,
)

from tests.support.differential.case import Operation

FIELDS_MAX = 40
ALIASES = ("a", "b", "c", "id", "f0")
Composite = GraphQLObjectType | GraphQLInterfaceType | GraphQLUnionType


def draw_operation(random: Random, schema: GraphQLSchema) -> Operation:
    """A query, or a mutation where there are any."""
    return _Drawing(random, schema).draw()


@dataclass
class _Taken:
    """What a response key stands for in a scope, and the scope below it."""

    parents: list[str]
    field: str
    arguments: str
    shape: str
    scope: dict[str, _Taken] = field(default_factory=dict)


Scope = dict[str, _Taken]


class _Drawing:
    def __init__(self, random: Random, schema: GraphQLSchema) -> None:
        self.random, self.schema = random, schema
        self.left = random.choice((4, 10, 20, FIELDS_MAX))
        self.declared: dict[str, str] = {}
        self.values: dict[str, Any] = {}
        self.fragments: dict[str, tuple[str, str]] = {}
        self.aliases = random.choice((0.0, 0.1, 0.4))
        self.conditions = random.choice((0.0, 0.1, 0.3))

    def chance(self, probability: float) -> bool:
        return self.random.random() < probability

    def draw(self) -> Operation:
        mutation = self.schema.mutation_type
        root = self.schema.query_type
        kind = "query"
        if mutation is not None and self.chance(0.35):
            root, kind = mutation, "mutation"
        assert root is not None
        scope: Scope = {}
        body = self._selection(root, scope, self.random.choice((3, 4, 5, 6)), top=True)
        variables = ", ".join(f"${name}: {kind_}" for name, kind_ in self.declared.items())
        named = " Named" if self.chance(0.3) else ""
        text = f"{kind}{named}{f'({variables})' if variables else ''} {body}"
        for name, (on, inner) in self.fragments.items():
            text += f"\nfragment {name} on {on} {inner}"
        return Operation(text, self.values, ("new",) if self.chance(0.5) else ())

    def _selection(self, type_: Composite, scope: Scope, depth: int, *, top: bool = False) -> str:
        parts: list[str] = []
        fields = {} if isinstance(type_, GraphQLUnionType) else type_.fields
        names = list(fields)
        self.random.shuffle(names)
        for name in names[: self.random.randint(1, 5)]:
            part = self._field(type_, name, fields[name], scope, depth)
            if part:
                parts.append(part)
                if self.chance(0.06):
                    parts.append(part)
        if depth > 0 and self.left > 0:
            parts += self._casts(type_, scope, depth)
        if self.chance(0.12) or not parts:
            parts.append(self._typename(type_, scope))
        if top and self.chance(0.1):
            known = self.random.choice([*self.schema.type_map, "Nothing"])
            parts.append(f'about: __type(name: "{known}") {{ name kind }}')
        self.random.shuffle(parts)
        return f"{{ {' '.join(parts)} }}"

    def _typename(self, type_: Composite, scope: Scope) -> str:
        key = "kind" if self.chance(0.2) else "__typename"
        self._take(scope, key, type_, "__typename", "", "String!")
        return ("kind: " if key == "kind" else "") + "__typename" + self._condition()

    def _field(
        self, type_: Composite, name: str, field_: GraphQLField, scope: Scope, depth: int
    ) -> str:
        inner = get_named_type(field_.type)
        if self.left <= 0 or (not is_leaf_type(inner) and depth <= 0):
            return ""
        self.left -= 1
        arguments = self._arguments(field_)
        key = name
        if arguments or self.chance(self.aliases):
            key = self.random.choice((name, *ALIASES))
        shape = _shape(field_.type)
        taken = self._take(scope, key, type_, name, arguments, shape)
        while taken is None:
            key = f"x{self.random.randint(0, 999)}"
            taken = self._take(scope, key, type_, name, arguments, shape)
        text = name if key == name else f"{key}: {name}"
        text += arguments + self._condition()
        if is_leaf_type(inner):
            return text
        assert isinstance(inner, (GraphQLObjectType, GraphQLInterfaceType, GraphQLUnionType))
        return f"{text} {self._selection(inner, taken.scope, depth - 1)}"

    def _take(
        self, scope: Scope, key: str, type_: Composite, name: str, arguments: str, shape: str
    ) -> _Taken | None:
        """The scope below a response key, if the key can mean this here."""
        taken = scope.get(key)
        if taken is None:
            scope[key] = taken = _Taken([type_.name], name, arguments, shape)
            return taken
        if taken.shape != shape:
            return None
        apart = all(
            parent != type_.name
            and not is_abstract_type(type_)
            and not is_abstract_type(self.schema.type_map[parent])
            for parent in taken.parents
        )
        if not apart and (taken.field, taken.arguments) != (name, arguments):
            return None
        if apart and (taken.field, taken.arguments) != (name, arguments):
            taken.field = "?"
        taken.parents.append(type_.name)
        return taken

    def _casts(self, type_: Composite, scope: Scope, depth: int) -> list[str]:
        found: list[str] = []
        possible = self.schema.get_possible_types(type_) if is_abstract_type(type_) else [type_]
        wanted: list[Composite] = [
            one
            for one in possible
            if isinstance(one, GraphQLObjectType)
            and self.chance(0.6 if is_abstract_type(type_) else 0.08)
        ]
        wanted += [
            one
            for one in self.schema.type_map.values()
            if isinstance(one, (GraphQLInterfaceType, GraphQLUnionType))
            and self.chance(0.12)
            and set(self.schema.get_possible_types(one)) & set(possible)
        ]
        for one in wanted:
            if self.left <= 0:
                break
            if self.fragments and self.chance(0.05):
                name = self.random.choice(list(self.fragments))
                if self.fragments[name][0] == one.name:
                    found.append(f"...{name}{self._condition()}")
                    continue
            inner = self._selection(one, scope, depth - 1)
            if self.chance(0.25):
                name = f"F{len(self.fragments)}"
                self.fragments[name] = (one.name, inner)
                found.append(f"...{name}{self._condition()}")
            else:
                found.append(f"... on {one.name}{self._condition()} {inner}")
        if self.chance(0.05):
            found.append(f"...{self._condition()} {self._selection(type_, scope, depth - 1)}")
        return found

    def _condition(self) -> str:
        if not self.chance(self.conditions):
            return ""
        text = ""
        for directive in self.random.sample(("skip", "include"), k=1 + self.chance(0.1)):
            if self.chance(0.2):
                text += f" @{directive}(if: {self.random.choice(('true', 'false'))})"
            else:
                text += f" @{directive}(if: ${self._flag()})"
        return text

    def _flag(self) -> str:
        name = f"b{self.random.randint(0, 2)}"
        if name not in self.declared:
            if self.chance(0.2):
                self.declared[name] = self.random.choice(("Boolean! = true", "Boolean! = false"))
                if self.chance(0.5):
                    return name
            else:
                self.declared[name] = "Boolean!"
            self.values[name] = self.chance(0.5)
        return name

    def _arguments(self, field_: GraphQLField) -> str:
        given = [
            f"{name}: {self._argument(argument.type)}"
            for name, argument in field_.args.items()
            if is_required_argument(argument) or self.chance(0.6)
        ]
        return f"({', '.join(given)})" if given else ""

    def _argument(self, type_: Any) -> str:
        if self.chance(0.4):
            return f"${self._variable(type_)}"
        return self._literal(type_, 2)

    def _variable(self, type_: Any) -> str:
        known = [name for name, text in self.declared.items() if text.split(" =")[0] == str(type_)]
        if known and self.chance(0.6):
            return self.random.choice(known)
        name = f"v{len(self.declared)}"
        default = ""
        if self.chance(0.25):
            default = f" = {self._literal(type_, 1, constant=True)}"
        self.declared[name] = f"{type_}{default}"
        omitted = default or not isinstance(type_, GraphQLNonNull)
        if not (omitted and self.chance(0.35)):
            self.values[name] = self._value(type_, 2)
        return name

    def _literal(self, type_: Any, depth: int, *, constant: bool = False) -> str:
        if isinstance(type_, GraphQLNonNull):
            return self._literal(type_.of_type, depth, constant=constant)
        # What is null here is null for a nullable type only: callers have unwrapped non-null.
        if isinstance(type_, GraphQLList):
            items = range(self.random.randint(0, 2))
            inner = (self._literal(type_.of_type, depth, constant=constant) for _ in items)
            return f"[{', '.join(inner)}]"
        if isinstance(type_, GraphQLInputObjectType):
            parts = []
            for name, one in type_.fields.items():
                if depth <= 0 and isinstance(get_named_type(one.type), GraphQLInputObjectType):
                    continue
                if self.chance(0.4):
                    if not constant and self.chance(0.3):
                        parts.append(f"{name}: ${self._variable(one.type)}")
                    else:
                        value = self._literal(one.type, depth - 1, constant=constant)
                        parts.append(f"{name}: {value}")
            return f"{{ {', '.join(parts)} }}"
        return _literal_text(self._leaf(type_), type_)

    def _value(self, type_: Any, depth: int) -> Any:
        if isinstance(type_, GraphQLNonNull):
            return self._present(type_.of_type, depth)
        return None if self.chance(0.15) else self._present(type_, depth)

    def _present(self, type_: Any, depth: int) -> Any:
        if isinstance(type_, GraphQLList):
            return [self._value(type_.of_type, depth) for _ in range(self.random.randint(0, 2))]
        if isinstance(type_, GraphQLInputObjectType):
            return {
                name: self._value(one.type, depth - 1)
                for name, one in type_.fields.items()
                if self.chance(0.5)
                and (depth > 0 or not isinstance(get_named_type(one.type), GraphQLInputObjectType))
            }
        return self._leaf(type_)

    def _leaf(self, type_: GraphQLNamedType) -> Any:
        if isinstance(type_, GraphQLEnumType):
            return self.random.choice(list(type_.values))
        match type_.name:
            case "Int":
                return self.random.randint(0, 3)
            case "Boolean":
                return self.chance(0.5)
            case _:
                return self.random.choice(("", "s", 'q"uote', "Ünï"))


def _shape(type_: Any) -> str:
    """The type as overlaps see it: wrappers, and the name of a leaf."""
    inner = get_named_type(type_)
    return str(type_) if is_leaf_type(inner) else str(type_).replace(str(inner), "{}")


def _literal_text(value: Any, type_: GraphQLNamedType) -> str:
    if isinstance(type_, GraphQLEnumType):
        return str(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return '"' + value.replace('"', '\\"') + '"'
    return str(value)

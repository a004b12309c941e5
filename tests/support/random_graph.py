"""Random federated graphs and random operations on them, from a seed.

`random_subgraphs` splits types over subgraphs with keys, shared and required and provided fields,
interfaces, unions and interface objects. Not every draw composes: the caller asks composition.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from graphql import (
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    get_named_type,
    is_abstract_type,
    is_leaf_type,
)

LINK = (
    'extend schema @link(url: "https://specs.apollo.dev/federation/v2.5", import: ["@key",'
    ' "@shareable", "@external", "@requires", "@provides", "@interfaceObject", "@override"])\n'
)
SCALARS = ("Int", "String", "Boolean", "ID")


@dataclass
class FieldDraw:
    """A field of the whole graph, and the subgraphs that resolve it."""

    name: str
    type: str
    owners: set[int]
    argument: bool = False
    shared: bool = False


@dataclass
class TypeDraw:
    """A type of the whole graph. `keys` are per subgraph, empty for a value type."""

    name: str
    fields: list[FieldDraw] = field(default_factory=list)
    keys: dict[int, list[str]] = field(default_factory=dict)
    interfaces: list[str] = field(default_factory=list)


def random_subgraphs(
    random: Random, *, count: int = 3, types: int = 4, rich: bool = False
) -> dict[str, str]:
    """SDL by subgraph name. `rich` adds interfaces with fields, and fields of abstract types."""
    return _Draw(random, count, types, rich).subgraphs()


class _Draw:
    def __init__(self, random: Random, count: int, types: int, rich: bool) -> None:
        self.random, self.count, self.rich = random, count, rich
        self.names = [f"T{number}" for number in range(types)]
        self.types: dict[str, TypeDraw] = {}
        self.union = random.random() < 0.5
        self.interface = random.random() < 0.6
        self.fake: int | None = None
        self.implementers: list[str] = []
        self.provided: dict[tuple[int, str], FieldDraw] = {}

    def subgraphs(self) -> dict[str, str]:
        for name in self.names:
            self.types[name] = self._type(name)
        members = self.random.sample(self.names, k=min(2, len(self.names)))
        entities = [name for name in self.names if self.types[name].keys]
        full = [name for name in entities if len(self.types[name].keys) == self.count]
        full = [n for n in full if all("id" in k for k in self.types[n].keys.values())]
        implementers = self.implementers = full[:2]
        if self.interface and implementers and self.random.random() < 0.5 and self.count > 1:
            self.fake = self.random.randrange(self.count)
            for name in implementers:
                self._forget(self.types[name], self.fake)
        if self.rich:
            self._enrich(members)
        texts: dict[str, str] = {}
        for index in range(self.count):
            blocks = [LINK, self._query(index, members, implementers)]
            here = [name for name in self.names if self._present(self.types[name], index)]
            lines = {name: self._lines(self.types[name], index) for name in here}
            blocks += [self._object(self.types[name], index, lines[name]) for name in here]
            if self.union and any(name in here for name in members):
                blocks.append(f"union U = {' | '.join(n for n in members if n in here)}")
            blocks += self._interface(index, implementers, here)
            texts[f"s{index}"] = "\n".join(blocks)
        return texts

    def _enrich(self, members: list[str]) -> None:
        real = sorted(set(range(self.count)) - {self.fake})
        for name in self.implementers:
            for label in ("label", "mark"):
                owners = set(self.random.sample(real, k=self.random.randint(1, len(real))))
                self.types[name].fields.append(FieldDraw(label, "String", owners))
        for number, name in enumerate(self.names):
            keyed = sorted(self.types[name].keys)
            if not keyed or self.random.random() < 0.5:
                continue
            owner = self.random.choice(keyed)
            abstract = "I" if self.interface and self.random.random() < 0.6 else "U"
            known = (
                owner == self.fake
                or any(self._implements(self.types[n], owner) for n in self.implementers)
                if abstract == "I"
                else self.union and any(self._present(self.types[n], owner) for n in members)
            )
            if known:
                wrapped = self.random.choice((abstract, f"[{abstract}]"))
                self.types[name].fields.append(FieldDraw(f"x{number}", wrapped, {owner}))

    def _type(self, name: str) -> TypeDraw:
        random = self.random
        draw = TypeDraw(name)
        everywhere = set(range(self.count))
        if random.random() < 0.85:
            holders = everywhere if random.random() < 0.8 else self._some()
            for index in holders:
                draw.keys[index] = random.choice((["id"], ["id"], ["id"], ["id", "code"]))
            if random.random() < 0.2:
                draw.keys[random.choice(sorted(holders))] = ["id", "code"]
                draw.keys[random.choice(sorted(holders))] = ["code"]
        for number in range(random.randint(2, 4)):
            owners = self._some() if draw.keys else set(everywhere)
            argument, shared = random.random() < 0.15, random.random() < 0.5
            scalar = random.choice(SCALARS)
            draw.fields.append(FieldDraw(f"f{number}", scalar, owners, argument, shared))
        for number in range(random.randint(0, 2)):
            target = random.choice(self.names)
            wrapped = random.choice((target, f"[{target}]", f"[{target}!]", f"{target}"))
            owners = self._some() if draw.keys else set(everywhere)
            draw.fields.append(FieldDraw(f"r{number}", wrapped, owners))
        return draw

    def _some(self) -> set[int]:
        everything = range(self.count)
        return set(self.random.sample(everything, k=self.random.randint(1, self.count)))

    @staticmethod
    def _forget(draw: TypeDraw, index: int) -> None:
        draw.keys.pop(index, None)
        for one in draw.fields:
            one.owners.discard(index)
        draw.fields = [one for one in draw.fields if one.owners]

    def _present(self, draw: TypeDraw, index: int) -> bool:
        return index in draw.keys or any(index in one.owners for one in draw.fields)

    def _visible(self, type_: str, index: int) -> bool:
        name = type_.strip("[]!")
        return self._present(self.types[name], index) if name in self.types else True

    def _object(self, draw: TypeDraw, index: int, lines: dict[str, str]) -> str:
        keys = draw.keys.get(index, [])
        provided = self.provided.get((index, draw.name))
        if provided is not None:
            lines.setdefault(provided.name, f"{provided.name}: {provided.type} @external")
        if not lines:
            lines["only"] = "only: Int @shareable"
        head = f"type {draw.name}"
        if self._implements(draw, index):
            head += " implements I"
        head += "".join(f' @key(fields: "{key}")' for key in keys)
        return f"{head} {{ {' '.join(lines.values())} }}"

    def _lines(self, draw: TypeDraw, index: int) -> dict[str, str]:
        keys = draw.keys.get(index, [])
        lines: dict[str, str] = {key: f"{key}: ID!" for key in keys}
        for one in draw.fields:
            if index in one.owners and self._visible(one.type, index):
                argument = "(n: Int)" if one.argument else ""
                shared = " @shareable" if len(one.owners) > 1 or one.shared else ""
                lines[one.name] = (
                    f"{one.name}{argument}: {one.type}{shared}{self._provides(one, index)}"
                )
        if keys:
            self._require(draw, index, lines)
        return lines

    def _implements(self, draw: TypeDraw, index: int) -> bool:
        return (
            self.interface
            and index != self.fake
            and draw.name in self.implementers
            and "id" in draw.keys.get(index, [])
        )

    def _require(self, draw: TypeDraw, index: int, lines: dict[str, str]) -> None:
        foreign = self._foreign(draw, index)
        if foreign and self.random.random() < 0.6:
            wanted = self.random.choice(foreign)
            lines[wanted.name] = f"{wanted.name}: {wanted.type} @external"
            lines[f"q{index}"] = f'q{index}: String @requires(fields: "{wanted.name}")'

    def _provides(self, one: FieldDraw, index: int) -> str:
        """A @provides of a field of the target, which is then external in this subgraph."""
        target = self.types.get(one.type.strip("[]!"))
        if target is None or index not in target.keys or self.random.random() < 0.5:
            return ""
        key = (index, target.name)
        if key not in self.provided:
            foreign = [
                one for one in self._foreign(target, index) if one.shared or len(one.owners) > 1
            ]
            if not foreign:
                return ""
            self.provided[key] = self.random.choice(foreign)
        return f' @provides(fields: "{self.provided[key].name}")'

    @staticmethod
    def _foreign(draw: TypeDraw, index: int) -> list[FieldDraw]:
        """Leaves that other subgraphs resolve."""
        return [
            one
            for one in draw.fields
            if index not in one.owners and one.type in SCALARS and not one.argument
        ]

    def _interface(self, index: int, implementers: list[str], here: list[str]) -> list[str]:
        if not self.interface or not implementers:
            return []
        if index == self.fake:
            return ['type I @key(fields: "id") @interfaceObject { id: ID! extra: String }']
        mine = [
            self.types[name]
            for name in implementers
            if name in here and self._implements(self.types[name], index)
        ]
        if not mine:
            return []
        key = ' @key(fields: "id")' if self.fake is not None else ""
        common = [
            f" {label}: String"
            for label in ("label", "mark")
            if all(any(f.name == label and index in f.owners for f in one.fields) for one in mine)
        ]
        return [f"interface I{key} {{ id: ID!{''.join(common)} }}"]

    def _query(self, index: int, members: list[str], implementers: list[str]) -> str:
        fields: list[str] = [f"only{index}: Int"]
        for name in self.names:
            if self._present(self.types[name], index) and self.random.random() < 0.5:
                listed = self.random.choice((name, f"[{name}]"))
                fields.append(f"{name.lower()}s{index}: {listed}")
        if self.union and any(self._present(self.types[name], index) for name in members):
            fields.append(f"u{index}: [U]")
        if self.interface and implementers:
            real = any(self._implements(self.types[name], index) for name in implementers)
            if index == self.fake or real:
                fields.append(f"i{index}: [I]")
        return f"type Query {{ {' '.join(fields)} }}"


def random_operation(random: Random, schema: GraphQLSchema, *, depth: int = 4) -> str:
    """A valid query on the schema, with aliases, fragments, arguments and conditions."""
    query = schema.query_type
    assert query is not None
    body = _selection(random, schema, query, depth)
    declared = (("$a", "Boolean!"), ("$b", "Boolean!"), ("$n", "Int"))
    used = [f"{name}: {type_}" for name, type_ in declared if f"{name})" in body]
    return f"query {f'({chr(44).join(used)})' if used else ''} {body}"


def _selection(
    random: Random,
    schema: GraphQLSchema,
    type_: GraphQLObjectType | GraphQLInterfaceType | GraphQLUnionType,
    depth: int,
) -> str:
    parts: list[str] = []
    fields = {} if isinstance(type_, GraphQLUnionType) else type_.fields
    for name in random.sample(list(fields), k=min(len(fields), random.randint(1, 4))):
        inner = get_named_type(fields[name].type)
        arguments = f"(n: {random.choice(('1', '2', '$n'))})" if fields[name].args else ""
        alias = f"a{random.randint(0, 99999)}: " if arguments or random.random() < 0.1 else ""
        condition = random.choice(("", "", "", "", " @include(if: $a)", " @skip(if: $b)"))
        if is_leaf_type(inner):
            parts.append(f"{alias}{name}{arguments}{condition}")
        elif depth > 0:
            below = _selection(random, schema, inner, depth - 1)  # type: ignore[arg-type]
            parts.append(f"{alias}{name}{arguments}{condition} {below}")
    if is_abstract_type(type_):
        parts += [
            f"... on {member.name} {_selection(random, schema, member, depth - 1)}"
            for member in schema.get_possible_types(type_)
            if depth > 0 and random.random() < 0.7
        ]
    if not parts or random.random() < 0.1:
        parts.append("__typename")
    return f"{{ {' '.join(parts)} }}"

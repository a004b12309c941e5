"""Drawing a graph and a valid split of it, from a seed.

The split is valid by construction: from every place every field can be reached by keys that the
subgraph knows itself (`_connect` sees to it), so composition may refuse none.
"""

from __future__ import annotations

from random import Random

from tests.support.differential.case import Graph
from tests.support.differential.draw_data import draw_data
from tests.support.differential.model import (
    AbstractModel,
    FieldModel,
    GraphModel,
    TypeModel,
    key_names,
)
from tests.support.differential.text import subgraph_texts, whole_text

LEAVES = ("Int", "String", "Boolean", "ID", "Float", "Color", "Blob")
WRAPPERS = ("{}", "{}", "{}", "{}!", "[{}]", "[{}!]", "[{}!]!", "[[{}]]", "[[{}!]!]")
ARGUMENTS = (
    "(n: Int)",
    "(n: Int! = 2, s: String)",
    "(by: Order)",
    "(by: Order!, n: Int)",
    "(c: Color = RED)",
    "(c: [Color!])",
    "(many: [Order!])",
)


def draw_graph(random: Random) -> Graph:
    """A graph with its data."""
    model = _Drawing(random).draw()
    return Graph(whole_text(model), subgraph_texts(model, random), draw_data(model, random))


class _Drawing:
    def __init__(self, random: Random) -> None:
        self.random = random
        self.model = GraphModel(random.randint(2, random.choice((3, 4, 5))))
        self.everyone = list(range(self.model.count))

    def draw(self) -> GraphModel:
        self._types()
        self._abstracts()
        self._leaves()
        self._references()
        self._key_choices()
        self._fakes()
        self._roots()
        self._connect()
        self._overrides()
        self._requires()
        self._provides()
        self._details()
        self._connect()
        return self.model

    def chance(self, probability: float) -> bool:
        return self.random.random() < probability

    def some(self, among: list[int]) -> set[int]:
        most = self.random.choice((1, 1, 2, len(among)))
        return set(self.random.sample(among, k=min(len(among), self.random.randint(1, most))))

    def _types(self) -> None:
        for number in range(self.random.randint(2, 5)):
            entity = number == 0 or self.chance(0.75)
            type_ = self.model.types[f"T{number}"] = TypeModel(f"T{number}", entity)
            if not entity:
                continue
            for name in ("id", "code", "k1", "k2"):
                kind = self.random.choice(("String!", "ID!")) if name == "code" else "ID!"
                kind = "Int!" if name == "k2" else kind
                type_.fields[name] = FieldModel(name, kind, steady=True, never_null=True)

    def _abstracts(self) -> None:
        names = list(self.model.types)
        for number in range(self.random.randint(0, 2)):
            members = self.random.sample(names, k=min(len(names), self.random.randint(1, 3)))
            one = AbstractModel(f"U{number}", sorted(members), union=True)
            self.model.abstracts[one.name] = one
        for number in range(self.random.randint(0, 2)):
            members = sorted(
                self.random.sample(names, k=min(len(names), self.random.randint(1, 3)))
            )
            one = AbstractModel(f"I{number}", members)
            for extra in range(self.random.randint(1, 2)):
                name = f"i{number}{'ab'[extra]}"
                kind = self.random.choice(("Int", "String!", "[String]", "Color"))
                for member in members:
                    own = FieldModel(name, kind)
                    self.model.types[member].fields[name] = own
                one.fields.append(name)
            entities = all(self.model.types[member].entity for member in members)
            if entities and self.chance(0.7):
                one.fields.append("id")
            self.model.abstracts[one.name] = one
            for member in members:
                self.model.types[member].interfaces.append(one.name)
            if entities and "id" in one.fields and self.chance(0.6):
                self._fake(one)

    def _fake(self, one: AbstractModel) -> None:
        if any(self.model.fake_of(member) for member in one.members):
            return
        one.fake, one.home = self.random.sample(self.everyone, k=2)

    def _leaves(self) -> None:
        for type_ in self.model.types.values():
            allowed = [one for one in self.everyone if self.model.may_know(type_.name, one)]
            for number in range(self.random.randint(1, 4)):
                base = self.random.choice(LEAVES)
                one = FieldModel(f"f{number}", self.random.choice(WRAPPERS).format(base))
                if self.chance(0.25) and base in ("Int", "String") and "[" not in one.type:
                    one.arguments = self.random.choice(ARGUMENTS)
                one.volatile = one.type in ("String", "String!") and self.chance(0.3)
                type_.fields[one.name] = one
            if not type_.entity:
                continue
            for one in type_.fields.values():
                if one.name in ("id", "code", "k1", "k2"):
                    continue
                one.owners = self.some(allowed)
        for type_ in self.model.types.values():
            if type_.entity:
                for one in list(type_.fields.values()):
                    for owner in sorted(one.owners):
                        self._stub(type_, owner)

    def _stub(self, type_: TypeModel, index: int) -> None:
        if index not in type_.present:
            key = self.random.choice(("id", "id", "id", "code", "k1 k2"))
            self.model.know(type_.name, index, stub=key)

    def _references(self) -> None:
        model = self.model
        targets = [*model.types, *model.abstracts]
        for type_ in model.types.values():
            for number in range(self.random.randint(0, 3)):
                target = self.random.choice(targets)
                wrapped = self.random.choice(WRAPPERS).format(target)
                one = FieldModel(f"r{number}", wrapped)
                if "[" in wrapped and self.chance(0.2):
                    one.arguments = self.random.choice(ARGUMENTS)
                if not type_.entity:
                    # Values are known whole wherever they are known: only to what all may know.
                    if target in model.types and model.types[target].entity:
                        type_.fields[one.name] = one
                        for index in type_.present:
                            if not model.may_know(target, index):
                                del type_.fields[one.name]
                                break
                            one.owners.add(index)
                            model.know(target, index)
                    continue
                able = [
                    index
                    for index in self.everyone
                    if model.may_know(type_.name, index) and model.may_know(target, index)
                ]
                if not able:
                    continue
                one.owners = self.some(able)
                type_.fields[one.name] = one
                for owner in sorted(one.owners):
                    self._stub(type_, owner)
                    self._use(target, owner, len(one.owners) > 1)

    def _use(self, target: str, index: int, shared: bool) -> None:
        """Have a subgraph return a type."""
        model = self.model
        model.know(target, index, everything=shared or self.chance(0.5))
        abstract = model.abstracts.get(target)
        if abstract is not None and not abstract.union and abstract.fake != index:
            self._anchor(abstract, index)

    def _anchor(self, abstract: AbstractModel, index: int) -> None:
        """An interface needs a field where it is known: have its first one resolved there."""
        for member in self.model.local_members(abstract, index):
            self.model.types[member].fields[abstract.fields[0]].owners.add(index)

    def _key_choices(self) -> None:
        for type_ in list(self.model.types.values()):
            if not type_.entity:
                continue
            if not type_.present:
                allowed = [one for one in self.everyone if self.model.may_know(type_.name, one)]
                self._stub(type_, self.random.choice(allowed))
            self._nested_key(type_)
            for index in sorted(type_.present):
                if self.chance(0.3):
                    key = self.random.choice(("id", "code", "k1 k2"))
                    self.model.add_key(type_, index, key, True)
                if self.chance(0.15):
                    key, _ = type_.keys[index][0]
                    type_.keys[index][0] = (key, False)

    def _nested_key(self, type_: TypeModel) -> None:
        if not self.chance(0.25):
            return
        spot = TypeModel(f"{type_.name}Spot", False)
        spot.fields["x"] = FieldModel("x", "ID!", steady=True, never_null=True)
        spot.fields["y"] = FieldModel("y", "Int!", steady=True, never_null=True)
        self.model.types[spot.name] = spot
        type_.fields["spot"] = FieldModel("spot", f"{spot.name}!", steady=True, never_null=True)
        for index in sorted(type_.present):
            if self.chance(0.5):
                self.model.add_key(type_, index, "spot { x y }", True)
        if not type_.fields["spot"].owners:
            self.model.add_key(type_, min(type_.present), "spot { x y }", True)

    def _fakes(self) -> None:
        model = self.model
        for one in model.abstracts.values():
            if one.fake is None or one.home is None:
                continue
            if not all(model.may_know(member, one.home) for member in one.members):
                one.fake = one.home = None
                continue
            for member in one.members:
                model.know(member, one.home)
                model.add_key(model.types[member], one.home, "id", True)
                keys = model.types[member].keys[one.home]
                model.types[member].keys[one.home] = [
                    (key, resolvable or key == "id") for key, resolvable in keys
                ]
            one.present.add(one.home)
            self._anchor(one, one.home)
            for number in range(self.random.randint(1, 2)):
                base = self.random.choice((*LEAVES, *self.model.types))
                if not model.may_know(base, one.fake):
                    base = "Int"
                wrapped = self.random.choice(WRAPPERS).format(base)
                extra = FieldModel(f"e{one.name[1:]}{number}", wrapped, {one.fake})
                # Where nothing but this is asked, a failure may take objects of other types along.
                extra.steady = extra.never_null = extra.type.endswith("!")
                one.extra[extra.name] = extra
                model.know(base, one.fake)
        for one in model.abstracts.values():
            for index in sorted(one.present):
                if not one.union:
                    self._anchor(one, index)

    def _roots(self) -> None:
        model = self.model
        targets = [*model.types, *model.abstracts]
        for number in range(self.random.randint(2, 5)):
            target = self.random.choice([*targets, *targets, "Int"])
            able = [index for index in self.everyone if model.may_know(target, index)]
            if not able:
                continue
            owners = {self.random.choice(able)} if self.chance(0.7) else self.some(able)
            if target in model.abstracts and model.abstracts[target].fake in owners:
                owners = {self.random.choice(sorted(owners))}
            wrapped = self.random.choice(WRAPPERS).format(target)
            arguments = self.random.choice(ARGUMENTS) if self.chance(0.2) else ""
            if "[" not in wrapped and target != "Int":
                arguments = ""
            model.query[f"q{number}"] = FieldModel(f"q{number}", wrapped, owners, arguments)
            for owner in owners:
                self._use(target, owner, len(owners) > 1)
        if not model.query:
            model.query["q"] = FieldModel("q", "Int", {0})
        if self.chance(0.4):
            for number in range(self.random.randint(1, 4)):
                target = self.random.choice([*targets, "Int"])
                able = [index for index in self.everyone if model.may_know(target, index)]
                if not able:
                    continue
                owner = self.random.choice(able)
                wrapped = self.random.choice(("{}", "[{}]")).format(target)
                one = FieldModel(f"m{number}", wrapped, {owner}, steady=True)
                model.mutation[one.name] = one
                self._use(target, owner, False)
        for one in model.types.values():
            if not one.present:
                able = [index for index in self.everyone if model.may_know(one.name, index)]
                model.know(one.name, self.random.choice(able or self.everyone))
        for abstract in model.abstracts.values():
            if not abstract.present:
                able = [index for index in self.everyone if model.may_know(abstract.name, index)]
                if able:
                    self._use(abstract.name, self.random.choice(able), True)
            for index in sorted(abstract.present):
                if not abstract.union:
                    self._anchor(abstract, index)
            if abstract.present:
                self._complete(abstract)
            if "id" in abstract.fields:
                for member in (model.types[name] for name in abstract.members):
                    if not member.fields["id"].owners:
                        model.add_key(member, min(member.present), "id", True)
        if any(not one.present for one in model.abstracts.values()):
            self._drop_unknown()

    def _complete(self, abstract: AbstractModel) -> None:
        """Every member has to be a member somewhere."""
        known = {
            member
            for index in abstract.present
            for member in self.model.local_members(abstract, index)
        }
        for member in [one for one in abstract.members if one not in known]:
            places = (*sorted(abstract.present), *self.everyone)
            index = next(one for one in places if self.model.may_know(member, one))
            abstract.present.add(index)
            self.model.know(member, index)
            if not abstract.union:
                self._anchor(abstract, index)

    def _drop_unknown(self) -> None:
        model = self.model
        for name in [one.name for one in model.abstracts.values() if not one.present]:
            for field_name in model.abstracts[name].fields:
                for member in model.abstracts[name].members:
                    if field_name != "id":
                        model.types[member].fields[field_name].owners |= {
                            min(model.types[member].present)
                        }
            for member in model.abstracts[name].members:
                if name in model.types[member].interfaces:
                    model.types[member].interfaces.remove(name)
            del model.abstracts[name]

    def _connect(self) -> None:
        """Give every entity keys by which all its fields can be reached from everywhere."""
        for type_ in self.model.types.values():
            if type_.entity and not all(
                self._reaches(type_, index, active)
                for index in type_.present
                for active in (True, False)
            ):
                for index in sorted(type_.present):
                    self.model.add_key(type_, index, "id", True)
                    type_.keys[index] = [(key, True) for key, _ in type_.keys[index]]

    def _reaches(self, type_: TypeModel, index: int, active: bool) -> bool:
        wanted = {name for name, one in type_.fields.items() if one.owners}
        known = self._own(type_, index, active)
        visited = {index}
        grown = True
        while grown:
            grown = False
            for other in type_.present - visited:
                if any(
                    resolvable and set(key_names(key)) <= known
                    for key, resolvable in type_.keys[other]
                ):
                    known |= self._own(type_, other, active)
                    visited.add(other)
                    grown = True
        fake = self.model.fake_of(type_.name)
        if fake is not None and "id" not in self._own(type_, index, active):
            return False
        return wanted <= known

    @staticmethod
    def _own(type_: TypeModel, index: int, active: bool) -> set[str]:
        """Fields that a subgraph resolves, with the labels of overrides active or not."""
        found = {name for name, one in type_.fields.items() if index in one.owners}
        for name, one in type_.fields.items():
            for taker, (source, label) in one.overrides.items():
                if label and not active:
                    found.discard(name) if index == taker else None
                    if index == source:
                        found.add(name)
        return found

    def _overrides(self) -> None:
        for type_ in self.model.types.values():
            for one in list(type_.fields.values()):
                if not type_.entity or len(one.owners) != 1 or one.steady or not self.chance(0.12):
                    continue
                if any(one.name in self.model.abstracts[name].fields for name in type_.interfaces):
                    continue
                (owner,) = one.owners
                others = [
                    index
                    for index in sorted(type_.present - {owner})
                    if one.base in LEAVES and self._resolvable(type_, index)
                ]
                if not others:
                    continue
                taker = self.random.choice(others)
                one.overrides[taker] = (owner, "new" if self.chance(0.4) else None)
                one.owners = {taker}

    @staticmethod
    def _resolvable(type_: TypeModel, index: int) -> bool:
        return any(resolvable for _, resolvable in type_.keys[index])

    def _requires(self) -> None:
        model = self.model
        for type_ in list(model.types.values()):
            if not type_.entity:
                continue
            for index in sorted(type_.present):
                if self._resolvable(type_, index) and self.chance(0.35):
                    wanted = self._wanted(type_, index)
                    if wanted:
                        one = FieldModel(f"c{index}", self.random.choice(("String", "String!")))
                        one.owners, one.requires = {index}, {index: " ".join(wanted)}
                        one.steady = True
                        type_.fields[one.name] = one

    def _wanted(self, type_: TypeModel, index: int) -> list[str]:
        foreign = [
            one
            for one in type_.fields.values()
            if index not in one.owners
            and one.name != "id"
            and one.owners
            and not any(index == source for source, _ in one.overrides.values())
            and not one.volatile
            and "Blob" not in one.type
        ]
        wanted: list[str] = []
        for one in self.random.sample(foreign, k=min(len(foreign), self.random.randint(1, 2))):
            text = self._wanted_field(one, index)
            if text:
                one.externals.add(index)
                one.steady = True
                wanted.append(text)
        return wanted

    def _wanted_field(self, one: FieldModel, index: int) -> str:
        model = self.model
        given = ""
        if one.arguments:
            if "by: Order!" in one.arguments:
                given = f"(by: {{ a: {self.random.randint(0, 2)} }})"
            elif "n: Int" in one.arguments and self.chance(0.8):
                given = f"(n: {self.random.randint(0, 2)})"
        if one.base in LEAVES or one.base == "String":
            return one.name + given
        self._calm(one.base, set())
        target = model.types.get(one.base)
        if target is None:
            return self._wanted_abstract(one, index, given)
        if index not in target.present:
            if target.entity and model.may_know(target.name, index):
                model.know(target.name, index)
            else:
                return ""
        inner = self._wanted_leaf(target, index)
        return f"{one.name}{given} {{ {inner} }}" if inner else ""

    def _calm(self, name: str, seen: set[str]) -> None:
        """Objects that are required must not be nulled by what the client asks of them."""
        if name in seen:
            return
        seen.add(name)
        abstract = self.model.abstracts.get(name)
        if abstract is not None:
            for member in abstract.members:
                self._calm(member, seen)
            for one in abstract.extra.values():
                one.steady = True
        elif name in self.model.types:
            fake = self.model.fake_of(name)
            extra = fake.extra if fake else {}
            for one in [*self.model.types[name].fields.values(), *extra.values()]:
                if "!" in one.type:
                    one.steady = True
                    self._calm(one.base, seen)

    def _wanted_leaf(self, target: TypeModel, index: int) -> str:
        leaves = [
            inner
            for inner in target.fields.values()
            if inner.base in LEAVES
            and inner.base != "Blob"
            and inner.owners
            and (inner.name != "id" or index in inner.owners)
            and not (inner.arguments or inner.computed or inner.volatile)
            and not any(index == source for source, _ in inner.overrides.values())
            and (target.entity or index in inner.owners)
        ]
        if not leaves:
            return ""
        inner = self.random.choice(leaves)
        inner.steady = True
        if index not in inner.owners:
            inner.externals.add(index)
        return inner.name

    def _wanted_abstract(self, one: FieldModel, index: int, given: str) -> str:
        model = self.model
        abstract = model.abstracts[one.base]
        if abstract.fake is not None or index not in abstract.present:
            return ""
        if set(model.local_members(abstract, index)) != set(abstract.members):
            return ""
        parts = []
        for member in abstract.members:
            inner = self._wanted_leaf(model.types[member], index) if self.chance(0.8) else ""
            if inner:
                parts.append(f"... on {member} {{ {inner} }}")
        return f"{one.name}{given} {{ {' '.join(parts)} }}" if parts else ""

    def _provides(self) -> None:
        model = self.model
        holders = [model.query, *(type_.fields for type_ in model.types.values() if type_.entity)]
        for fields in holders:
            for one in list(fields.values()):
                target = model.types.get(one.base)
                if target is None or not target.entity or one.computed or not self.chance(0.4):
                    continue
                for index in sorted(one.owners):
                    if index not in target.present or index in one.provides:
                        continue
                    foreign = [
                        inner
                        for inner in target.fields.values()
                        if index not in inner.owners
                        and inner.name != "id"
                        and inner.base in LEAVES
                        and inner.owners
                        and not (inner.arguments or inner.overrides or inner.computed)
                    ]
                    if foreign:
                        inner = self.random.choice(foreign)
                        inner.externals.add(index)
                        inner.shareable = inner.steady = True
                        one.provides[index] = inner.name

    def _details(self) -> None:
        for type_ in self.model.types.values():
            seen = {name for one in type_.interfaces for name in self.model.abstracts[one].fields}
            for one in type_.fields.values():
                if one.type.endswith("!") and "[" not in one.type and self.chance(0.2):
                    one.never_null = True
                if (
                    len(one.owners) > 1
                    and one.base in LEAVES
                    and not one.type.endswith("!")
                    and self.chance(0.2)
                    and not one.externals
                ):
                    one.never_null = one.steady = True
                    one.stricter = {index for index in sorted(one.owners)[1:] if self.chance(0.5)}
                if (
                    type_.entity
                    and one.name not in seen
                    and one.owners
                    and not (one.arguments)
                    and self.chance(0.06)
                ):
                    one.inaccessible = True
            if all(one.inaccessible or not one.owners for one in type_.fields.values()):
                for one in type_.fields.values():
                    one.inaccessible = False

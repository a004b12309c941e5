"""What is drawn: types and fields of the whole, and which subgraph does what."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class FieldModel:
    """A field of the whole graph. `type` has its wrappers; `owners` resolve it."""

    name: str
    type: str
    owners: set[int] = field(default_factory=set)
    arguments: str = ""
    externals: set[int] = field(default_factory=set)
    requires: dict[int, str] = field(default_factory=dict)
    provides: dict[int, str] = field(default_factory=dict)
    overrides: dict[int, tuple[int, str | None]] = field(default_factory=dict)
    stricter: set[int] = field(default_factory=set)
    shareable: bool = False
    inaccessible: bool = False
    steady: bool = False
    """Never an error: it is a key, or required, or provided."""
    never_null: bool = False
    volatile: bool = False

    @property
    def base(self) -> str:
        """The type inside the wrappers."""
        return self.type.replace("[", "").replace("]", "").replace("!", "")

    @property
    def computed(self) -> bool:
        """Whether it is made of required fields."""
        return bool(self.requires)


@dataclass
class TypeModel:
    """An object type. `keys` of each subgraph it is in: (field set, resolvable)."""

    name: str
    entity: bool
    fields: dict[str, FieldModel] = field(default_factory=dict)
    present: set[int] = field(default_factory=set)
    keys: dict[int, list[tuple[str, bool]]] = field(default_factory=dict)
    interfaces: list[str] = field(default_factory=list)


@dataclass
class AbstractModel:
    """An interface or a union. `fields` are names, empty for a union."""

    name: str
    members: list[str]
    fields: list[str] = field(default_factory=list)
    union: bool = False
    present: set[int] = field(default_factory=set)
    fake: int | None = None
    """The subgraph that knows the interface as an @interfaceObject."""
    home: int | None = None
    """The subgraph where such an interface has its key."""
    extra: dict[str, FieldModel] = field(default_factory=dict)
    """Fields that the @interfaceObject adds."""


KEY_FIELDS = {"id": ("id",), "code": ("code",), "k1 k2": ("k1", "k2")}


@dataclass
class GraphModel:
    """Everything."""

    count: int
    types: dict[str, TypeModel] = field(default_factory=dict)
    abstracts: dict[str, AbstractModel] = field(default_factory=dict)
    query: dict[str, FieldModel] = field(default_factory=dict)
    mutation: dict[str, FieldModel] = field(default_factory=dict)

    def fake_of(self, type_: str) -> AbstractModel | None:
        """The interface of a type that is an @interfaceObject somewhere."""
        for one in self.abstracts.values():
            if one.fake is not None and type_ in one.members:
                return one
        return None

    def may_know(self, name: str, index: int, seen: frozenset[str] = frozenset()) -> bool:
        """Whether a subgraph may mention a type: not where it only knows its interface."""
        if name in seen:
            return True
        seen |= {name}
        if name in self.abstracts:
            abstract = self.abstracts[name]
            if abstract.fake == index:
                return True
            return all(self.may_know(member, index, seen) for member in abstract.members)
        if name in self.types:
            fake = self.fake_of(name)
            if fake is not None and fake.fake == index:
                return False
            type_ = self.types[name]
            if not type_.entity:
                return all(self.may_know(one.base, index, seen) for one in type_.fields.values())
            spots = [one for one in type_.fields.values() if one.name == "spot"]
            return all(self.may_know(one.base, index, seen) for one in spots)
        return True

    def know(self, name: str, index: int, *, stub: str = "id", everything: bool = False) -> None:
        """Have a subgraph mention a type, and all that this brings along."""
        if name in self.types:
            self._know_object(self.types[name], index, stub)
            return
        abstract = self.abstracts.get(name)
        if abstract is None or (index in abstract.present and not everything):
            return
        if abstract.fake == index:
            return
        abstract.present.add(index)
        here = [one for one in abstract.members if index in self.types[one].present]
        for member in abstract.members if everything or abstract.home == index else here[:0]:
            self.know(member, index)
        if not here and not everything:
            self.know(abstract.members[0], index)

    def _know_object(self, type_: TypeModel, index: int, stub: str) -> None:
        if index in type_.present:
            return
        type_.present.add(index)
        for name in type_.interfaces:
            if index in self.abstracts[name].present:
                type_.fields[self.abstracts[name].fields[0]].owners.add(index)
        if type_.entity:
            self.add_key(type_, index, stub, True)
            return
        for one in type_.fields.values():
            one.owners.add(index)
            self.know(one.base, index, everything=True)

    def add_key(self, type_: TypeModel, index: int, key: str, resolvable: bool) -> None:
        """Give a subgraph a key of an entity."""
        if all(one != key for one, _ in type_.keys.setdefault(index, [])):
            type_.keys[index].append((key, resolvable))
        for name in key_names(key):
            type_.fields[name].owners.add(index)
            self.know(type_.fields[name].base, index)

    def local_members(self, abstract: AbstractModel, index: int) -> list[str]:
        """Members that a subgraph knows."""
        return [one for one in abstract.members if index in self.types[one].present]

    def local_fields(self, abstract: AbstractModel, index: int) -> list[str]:
        """Fields of an interface that a subgraph can declare: all members there resolve them."""
        members = [self.types[one] for one in self.local_members(abstract, index)]
        return [
            name
            for name in abstract.fields
            if all(index in one.fields[name].owners for one in members)
        ]


def key_names(key: str) -> list[str]:
    """The top names of a key's field set."""
    names, depth = [], 0
    for word in key.split():
        if word == "{":
            depth += 1
        elif word == "}":
            depth -= 1
        elif depth == 0:
            names.append(word)
    return names

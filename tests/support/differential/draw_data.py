"""Drawing the data of a graph: nulls, empty lists, errors, and references to what may be there."""

from __future__ import annotations

from random import Random
from typing import Any

from tests.support.differential.model import FieldModel, GraphModel

FAULT = 0.04
NULL = 0.15
OBJECTS_MAX = 4


def draw_data(model: GraphModel, random: Random) -> dict[str, dict[str, Any]]:
    """Objects by id."""
    return _Drawing(model, random).draw()


class _Drawing:
    def __init__(self, model: GraphModel, random: Random) -> None:
        self.model, self.random = model, random
        self.ids = {
            name: [f"{name}-{number}" for number in range(random.randint(1, OBJECTS_MAX))]
            for name in model.types
        }
        for name in model.types:
            if name.endswith("Spot"):
                self.ids[name] = [f"{name}-{number}" for number in range(OBJECTS_MAX)]

    def draw(self) -> dict[str, dict[str, Any]]:
        data: dict[str, dict[str, Any]] = {}
        for name, type_ in self.model.types.items():
            fake = self.model.fake_of(name)
            extra = fake.extra if fake else {}
            for number, id_ in enumerate(self.ids[name]):
                data[id_] = {"__typename": name}
                for one in [*type_.fields.values(), *extra.values()]:
                    if one.owners and not one.computed:
                        data[id_][one.name] = self._field(one, id_, number)
        for name, fields in (("Query", self.model.query), ("Mutation", self.model.mutation)):
            data[name] = {"__typename": name}
            for one in fields.values():
                data[name][one.name] = self._field(one, one.name, 0)
        return data

    def _field(self, one: FieldModel, id_: str, number: int) -> Any:
        match one.name:
            case "id" | "x":
                return id_
            case "code":
                return f"code-{id_}"
            case "k1":
                return f"k-{number // 2}"
            case "k2" | "y":
                return number
            case "spot":
                return {"@": self.ids[one.base][number % len(self.ids[one.base])]}
        if not one.steady and self.random.random() < FAULT:
            return {"!": f"{one.name} of {id_} fails"}
        return self._value(one, one.type, not one.never_null)

    def _value(self, one: FieldModel, type_: str, nullable: bool) -> Any:
        random = self.random
        if type_.endswith("!"):
            if not one.steady and not one.never_null and random.random() < FAULT / 2:
                return None
            type_ = type_[:-1]
            empty = None
        else:
            empty = 0
            if nullable and random.random() < NULL:
                return None
        if type_.startswith("["):
            items = [
                self._value(one, type_[1:-1], True) for _ in range(random.choice((0, 1, 2, 2, 3)))
            ]
            if not self._targets(one) and one.base not in _SCALARS:
                return []
            if not one.steady and items and random.random() < FAULT / 3:
                items[random.randrange(len(items))] = {"!": f"an item of {one.name} fails"}
            return items
        if one.base in _SCALARS:
            return {"~": "now"} if one.volatile else self._leaf(one.base)
        targets = self._targets(one)
        if not targets:
            assert empty is not None or one.base in self.model.abstracts
            return None
        return {"@": random.choice(targets)}

    def _leaf(self, base: str) -> Any:
        random = self.random
        match base:
            case "Int":
                return random.randint(-5, 99)
            case "Float":
                return random.randint(0, 40) / 8
            case "String":
                return random.choice(("", "one", "two", "drei", "ñ"))
            case "Boolean":
                return random.random() < 0.5
            case "ID":
                return f"#{random.randint(0, 99)}"
            case "Color":
                return random.choice(("RED", "GREEN", "BLUE"))
            case _:
                return {"#": random.choice(({"a": [1, {"b": None}]}, [1, [2]], "text", 7, {}, []))}

    def _targets(self, one: FieldModel) -> list[str]:
        """Ids of what every owner of the field knows."""
        if one.base in self.model.types:
            return self.ids[one.base]
        abstract = self.model.abstracts.get(one.base)
        if abstract is None:
            return []
        names = [
            name
            for name in abstract.members
            if all(
                owner == abstract.fake or owner in self.model.types[name].present
                for owner in one.owners
            )
        ]
        return [id_ for name in names for id_ in self.ids[name]]


_SCALARS = frozenset({"Int", "Float", "String", "Boolean", "ID", "Color", "Blob"})

"""Moving from data in one subgraph to a field, directly or by way of entity fetches.

From a position one can go to every subgraph whose key can be had: the *reach*. A key, or what
`@requires` asks for, can be had when its fields can, from any member of the reach. Fields that
need each other in a circle cannot be had: the reach is a least fixpoint.
"""

from __future__ import annotations

from router.composition.fieldset import Pick, Selections
from router.composition.satisfiability.index import (
    EntityTarget,
    Index,
    Labels,
    LocalField,
    Position,
    settled,
)
from router.composition.types import base_name

Positions = frozenset[Position]
NOWHERE: Positions = frozenset()

REACHES_MAX = 500_000
"""Reaches remembered; past that they are computed again."""


class Moves:
    """The moves of one graph. All answers depend on the labels settled so far."""

    def __init__(self, index: Index) -> None:
        self.index = index
        self._reaches: dict[tuple[Position, str, Labels], Positions] = {}
        self._open: dict[tuple[Position, str, Labels], int] = {}
        self._partial: dict[tuple[Position, str, Labels], Positions] = {}
        self._required: dict[tuple[Position, str, str, Labels], int] = {}
        self._shallowest = 0

    def reach(self, start: Position, type_name: str, labels: Labels) -> Positions:
        """The positions from which fields of the supergraph's type can be had, `start` included.

        Asked while it is being computed, it answers what it has so far.
        """
        key = (start, type_name, labels)
        if key in self._reaches:
            return self._reaches[key]
        if key in self._open:
            self._shallowest = min(self._shallowest, self._open[key])
            return self._partial[key]
        depth = len(self._open) + 1
        outer, self._shallowest = self._shallowest, depth
        self._open[key] = depth
        self._partial[key] = frozenset({start})
        try:
            answer = self._spread(key)
        finally:
            del self._open[key], self._partial[key]
        complete = self._shallowest >= depth
        self._shallowest = min(outer, self._shallowest)
        if complete and len(self._reaches) < REACHES_MAX:
            self._reaches[key] = answer
        return answer

    def _spread(self, key: tuple[Position, str, Labels]) -> Positions:
        start, type_name, labels = key
        if type_name in self.index.roots:
            return frozenset(
                Position(subgraph, type_name)
                for subgraph, types in enumerate(self.index.types)
                if type_name in types
            ) | {start}
        waiting = [
            target
            for target in self.index.targets(type_name)
            if (target.subgraph, target.type) != (start.subgraph, start.type)
        ]
        while True:
            reached = self._partial[key]
            entered: set[Position] = set()
            kept: list[EntityTarget] = []
            had: dict[frozenset[object], bool] = {}
            for target in waiting:
                if not self.typename_known(reached, type_name, target):
                    kept.append(target)
                    continue
                if target.shape not in had:
                    had[target.shape] = self.can_have(reached, type_name, target.key, labels)
                if had[target.shape]:
                    entered.add(Position(target.subgraph, target.type))
                else:
                    kept.append(target)
            waiting = kept
            grown = reached | entered
            if len(grown) == len(reached):
                return reached
            self._partial[key] = grown

    def typename_known(self, reached: Positions, type_name: str, target: EntityTarget) -> bool:
        """Whether a representation for the target can name its type.

        An `@interfaceObject` does not know the concrete type of its objects: it can lead only to
        the interface's own key, or to another `@interfaceObject` for the same interface.
        """
        for position in reached:
            if position.type in (type_name, target.type):
                return True
            shapes = self.index.interface_key_shapes(target.subgraph, position.type)
            if target.shape in shapes:
                return True
        return False

    def can_have(
        self, reached: Positions, type_name: str, wanted: Selections, labels: Labels
    ) -> bool:
        """Whether all that is wanted of the type can be had from members of a reach."""
        return all(
            self._can_have_one(reached, type_name, item, labels)
            if isinstance(item, Pick)
            else self._can_have_on(reached, type_name, item.on, item.selections, labels)
            for item in wanted
        )

    def _can_have_on(
        self,
        reached: Positions,
        type_name: str,
        condition: str | None,
        wanted: Selections,
        labels: Labels,
    ) -> bool:
        if condition is None or condition == type_name:
            return self.can_have(reached, type_name, wanted, labels)
        if condition not in self.index.merge.schema.types:
            return False
        possible = set(self.index.super_possible(type_name))
        for name in self.index.super_possible(condition):
            if name not in possible:
                continue
            narrowed = [self.narrow(position, name) for position in reached]
            positions = [position for position in narrowed if position is not None]
            if not positions:
                continue
            around: set[Position] = set()
            for position in positions:
                around |= self.reach(position, name, labels)
            if not self.can_have(frozenset(around), name, wanted, labels):
                return False
        return True

    def _can_have_one(self, reached: Positions, type_name: str, item: Pick, labels: Labels) -> bool:
        if item.name == "__typename":
            return True
        found: set[Position] = set()
        for position in reached:
            found |= self.step(position, type_name, item.name, labels)
            if found and not item.selections:
                return True
        if not found:
            return False
        merged = self.index.merge.schema.types[type_name].fields.get(item.name)
        if merged is None:
            return False
        below = base_name(merged.type)
        around: set[Position] = set()
        for position in found:
            around |= self.reach(position, below, labels)
        return self.can_have(frozenset(around), below, item.selections, labels)

    def resolve(self, start: Position, type_name: str, name: str, labels: Labels) -> Positions:
        """Where a field leads from a position, directly and by entity fetches."""
        answer: set[Position] = set()
        for position in self.reach(start, type_name, labels):
            answer |= self.step(position, type_name, name, labels)
        return frozenset(answer)

    def step(self, at: Position, type_name: str, name: str, labels: Labels) -> Positions:
        """Where a field leads within the position's own subgraph; nowhere if it cannot be had."""
        definition = self.index.types[at.subgraph].get(at.type)
        if definition is None:
            return NOWHERE
        local = self.index.local_field(at.subgraph, at.type, name)
        provided, below = self.index.provided_below(at, name)
        if definition.kind == "interface":
            plain = local is not None and self.index.resolved_by_all(at.subgraph, at.type, name)
            if local is not None and (plain or provided):
                return self._next(at, local, below)
            return self._each_implementation(at, type_name, name, labels)
        if local is None or local.gone or not settled(labels, local.label):
            return NOWHERE
        if local.external and not provided:
            return NOWHERE
        if local.requires and not self.requirement_met(at, type_name, local, labels):
            return NOWHERE
        return self._next(at, local, below)

    def requirement_met(
        self, at: Position, type_name: str, local: LocalField, labels: Labels
    ) -> bool:
        """Whether what `@requires` asks for can be had and then brought back here by key.

        Fields that require each other cannot be had. What is found out while one of them is being
        asked for holds only until then, and is not remembered.
        """
        key = (at, type_name, local.field.name, labels)
        if key in self._required:
            self._shallowest = min(self._shallowest, self._required[key])
            return False
        self._required[key] = len(self._open)
        try:
            if self.can_have(frozenset({at}), type_name, local.requires, labels):
                return True
            return self.index.can_reenter(at.subgraph, at.type) and self.can_have(
                self.reach(at, type_name, labels), type_name, local.requires, labels
            )
        finally:
            del self._required[key]

    def narrow(self, at: Position, name: str) -> Position | None:
        """The position under a condition on an object type; None when it can never hold there."""
        if at.type == name or at.type in self.index.interface_objects[at.subgraph]:
            return at
        if name in self.index.possible(at.subgraph, at.type):
            return Position(at.subgraph, name, at.provided)
        return None

    def _each_implementation(
        self, at: Position, type_name: str, name: str, labels: Labels
    ) -> Positions:
        possible = set(self.index.super_possible(type_name))
        answer: set[Position] = set()
        runtime = [one for one in self.index.possible(at.subgraph, at.type) if one in possible]
        for one in runtime:
            there = self.resolve(Position(at.subgraph, one, at.provided), one, name, labels)
            if not there:
                return NOWHERE
            answer |= there
        if not runtime:
            local = self.index.local_field(at.subgraph, at.type, name)
            return self._next(at, local, ()) if local else NOWHERE
        return frozenset(answer)

    def _next(self, at: Position, local: LocalField, below: Selections) -> Positions:
        name = base_name(local.field.type)
        definition = self.index.types[at.subgraph].get(name)
        provided = (*below, *local.provides)
        if definition is None or not definition.composite:
            return frozenset({Position(at.subgraph, name)})
        return frozenset({Position(at.subgraph, name, provided)})

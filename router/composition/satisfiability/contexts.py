"""Which contexts are set on the way to a field that takes one (`@fromContext`).

A context is set for all that is selected below a type with `@context`, not for the type's own
fields, and only for arguments of the same subgraph. Source: Federation `@context`.
"""

from __future__ import annotations

from router.composition.context_values import split_context
from router.composition.model import applied
from router.composition.names import CONTEXT, FROM_CONTEXT
from router.composition.satisfiability.index import Index, Position

Ancestors = frozenset[str]
"""Types passed on the way, of those that set some context."""


class Contexts:
    """The context arguments of a graph; costs nothing where there are none."""

    def __init__(self, index: Index) -> None:
        self.index = index
        self._needed: dict[tuple[int, str, str], list[frozenset[str]]] = {}
        self._setters: frozenset[str] = frozenset()
        for subgraph in range(len(index.types)):
            self._collect(subgraph)

    def _collect(self, subgraph: int) -> None:
        setters: dict[str, set[str]] = {}
        for definition in self.index.types[subgraph].values():
            for one in applied(definition, CONTEXT):
                names = {definition.name, *self.index.possible(subgraph, definition.name)}
                setters.setdefault(one.string("name") or "", set()).update(names)
        for definition in self.index.types[subgraph].values():
            for field in definition.fields.values():
                needed = [
                    frozenset(setters.get(split_context(one.string("field") or "")[0] or "", ()))
                    for argument in field.args.values()
                    for one in applied(argument, FROM_CONTEXT)
                ]
                if needed:
                    self._needed[subgraph, definition.name, field.name] = needed
                    self._setters = self._setters.union(*needed)

    def below(self, ancestors: Ancestors, type_name: str) -> Ancestors:
        """The ancestors of what is selected on a type."""
        return ancestors | {type_name} if type_name in self._setters else ancestors

    def met(self, at: Position, name: str, ancestors: Ancestors) -> bool:
        """Whether every context that a field of a position takes is set on the way."""
        needed = self._needed.get((at.subgraph, at.type, name))
        return needed is None or all(setters & ancestors for setters in needed)

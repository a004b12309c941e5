"""A shared field of abstract type must be able to give the same object from each subgraph."""

from __future__ import annotations

from collections.abc import Callable

from router.composition.model import FieldDef, applied
from router.composition.problems import CompositionError, CompositionHint, listing
from router.composition.satisfiability.index import Index
from router.composition.satisfiability.moves import Positions
from router.composition.types import base_name


class RuntimeTypes:
    """Compares possible types; keeps one hint a field."""

    def __init__(self, index: Index) -> None:
        self.index = index
        self.hidden = index.merge.composed.federated.get("inaccessible")
        self.hints: dict[str, CompositionHint] = {}

    def check(
        self, field: FieldDef, positions: Positions, query: Callable[[], str]
    ) -> CompositionError | None:
        """An error when no type is common; a hint is kept when some are not."""
        allowed = {
            one
            for one in self.index.super_possible(base_name(field.type))
            if not applied(self.index.merge.schema.types[one], self.hidden)
        }
        types: dict[int, set[str]] = {}
        for position in positions:
            definition = self.index.types[position.subgraph].get(position.type)
            if (
                definition is None
                or position.type in (self.index.interface_objects[position.subgraph])
            ):
                continue
            found = types.setdefault(position.subgraph, set())
            found.update(self.index.possible(position.subgraph, position.type))
        for subgraph, found in list(types.items()):
            if len(found) == 1 and not found & allowed:
                del types[subgraph]
        if len(types) < 2 or not any(types.values()):
            return None
        common = allowed.intersection(*types.values())
        subgraphs = tuple(self.index.names[one] for one in sorted(types))
        shown = "; ".join(
            f'in "{self.index.names[one]}" {listing(sorted(types[one])) if types[one] else "none"}'
            for one in sorted(types)
        )
        if not common:
            message = (
                f"{field.coordinate} is @shareable, but there is no type that all its subgraphs "
                f"can return: {shown}. It is reached by this query:\n{query()}"
            )
            return CompositionError(
                "SHAREABLE_HAS_MISMATCHED_RUNTIME_TYPES", message, subgraphs, (field.coordinate,)
            )
        if any(found != common for found in types.values()):
            self.hints.setdefault(
                field.coordinate,
                CompositionHint(
                    "INCONSISTENT_RUNTIME_TYPES_FOR_SHAREABLE_RETURN",
                    f"{field.coordinate} is @shareable, but its subgraphs can return different "
                    f"types: {shown}. Return only {listing(sorted(common))}",
                    subgraphs,
                    (field.coordinate,),
                ),
            )
        return None

"""PROVIDES_ON_NON_OBJECT_FIELD: `@provides` stands on fields whose type has fields."""

from __future__ import annotations

from collections.abc import Iterator

from router.composition.problems import CompositionError
from router.composition.rules.report import in_subgraph
from router.composition.rules.schema.field_set_uses import field_set_uses
from router.composition.subgraph import SubgraphSchema


def check(subgraph: SubgraphSchema) -> Iterator[CompositionError]:
    for use in field_set_uses(subgraph):
        if use.parent is None and use.coordinate not in subgraph.facts.external:
            yield in_subgraph(
                subgraph,
                "PROVIDES_ON_NON_OBJECT_FIELD",
                f"{use.shown} on {use.coordinate}: its type has no fields to provide",
                use.coordinate,
                use.directive,
            )

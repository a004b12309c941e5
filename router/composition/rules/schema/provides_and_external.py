"""EXTERNAL_COLLISION_WITH_ANOTHER_DIRECTIVE: an external field provides nothing."""

from __future__ import annotations

from collections.abc import Iterator

from router.composition.problems import CompositionError
from router.composition.rules.report import in_subgraph
from router.composition.rules.schema.field_set_uses import field_set_uses
from router.composition.subgraph import SubgraphSchema


def check(subgraph: SubgraphSchema) -> Iterator[CompositionError]:
    for use in field_set_uses(subgraph):
        if use.name == "provides" and use.coordinate in subgraph.facts.external:
            yield in_subgraph(
                subgraph,
                "EXTERNAL_COLLISION_WITH_ANOTHER_DIRECTIVE",
                f"{use.coordinate} is both @external and @provides: a subgraph that does not "
                f"resolve a field cannot provide through it",
                use.coordinate,
                use.directive,
            )

"""EXTERNAL_UNUSED: an external field that no field set and no interface needs is of no use."""

from __future__ import annotations

from collections.abc import Iterator

from router.composition.problems import CompositionError
from router.composition.rules.report import in_subgraph
from router.composition.subgraph import SubgraphSchema


def check(subgraph: SubgraphSchema) -> Iterator[CompositionError]:
    facts = subgraph.facts
    for _, field in subgraph.schema.fields():
        if field.coordinate in facts.external and field.coordinate not in facts.used:
            yield in_subgraph(
                subgraph,
                "EXTERNAL_UNUSED",
                f"{field.coordinate} is @external, but no @key, @requires, @provides, @fromContext "
                f"or interface needs it: remove the field, or @external if it is resolved here",
                field.coordinate,
                field,
            )

"""EXTERNAL_ON_INTERFACE: fields of an interface are not resolved, so cannot be external."""

from __future__ import annotations

from collections.abc import Iterator

from router.composition.problems import CompositionError
from router.composition.rules.report import in_subgraph
from router.composition.subgraph import SubgraphSchema


def check(subgraph: SubgraphSchema) -> Iterator[CompositionError]:
    for definition, field in subgraph.schema.fields():
        if definition.kind == "interface" and field.coordinate in subgraph.facts.external:
            yield in_subgraph(
                subgraph,
                "EXTERNAL_ON_INTERFACE",
                f"{field.coordinate} is @external on an interface: mark the fields of the "
                f"implementations instead",
                field.coordinate,
                field,
            )

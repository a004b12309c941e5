"""COST_APPLIED_TO_INTERFACE_FIELD: cost is known of what is resolved, not of an interface."""

from __future__ import annotations

from collections.abc import Iterator

from router.composition.model import applied
from router.composition.names import COST
from router.composition.problems import CompositionError
from router.composition.rules.report import in_subgraph
from router.composition.subgraph import SubgraphSchema


def check(subgraph: SubgraphSchema) -> Iterator[CompositionError]:
    for definition, field in subgraph.schema.fields():
        if definition.kind == "interface" and applied(field, COST):
            yield in_subgraph(
                subgraph,
                "COST_APPLIED_TO_INTERFACE_FIELD",
                f"@cost on {field.coordinate}: put it on the fields of the implementations",
                field.coordinate,
                field,
            )

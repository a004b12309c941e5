"""KEY/PROVIDES/REQUIRES_INVALID_FIELDS_TYPE: `fields` is a string."""

from __future__ import annotations

from collections.abc import Iterator

from router.composition.problems import CompositionError
from router.composition.rules.report import in_subgraph
from router.composition.rules.schema.field_set_uses import field_set_uses
from router.composition.subgraph import SubgraphSchema
from router.composition.values import show


def check(subgraph: SubgraphSchema) -> Iterator[CompositionError]:
    for use in field_set_uses(subgraph):
        value = use.directive.args.get("fields")
        if not isinstance(value, str):
            yield in_subgraph(
                subgraph,
                f"{use.code_prefix}_INVALID_FIELDS_TYPE",
                f"`fields` of @{use.name} on {use.coordinate} is {show(value)}: "
                f"write it as one string",
                use.coordinate,
                use.directive,
            )

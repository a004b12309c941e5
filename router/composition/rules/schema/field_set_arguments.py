"""KEY/PROVIDES_FIELDS_HAS_ARGS: only `@requires` may select fields that take arguments."""

from __future__ import annotations

from collections.abc import Iterator

from router.composition.problems import CompositionError
from router.composition.rules.report import in_subgraph
from router.composition.rules.schema.field_set_uses import field_set_uses, picked_fields
from router.composition.subgraph import SubgraphSchema


def check(subgraph: SubgraphSchema) -> Iterator[CompositionError]:
    for use in field_set_uses(subgraph):
        if use.parent is None or use.name == "requires":
            continue
        for _, field, _ in picked_fields(subgraph.schema, use.parent, use.selections()):
            if field.args:
                yield in_subgraph(
                    subgraph,
                    f"{use.code_prefix}_FIELDS_HAS_ARGS",
                    f"{use.shown} on {use.coordinate} selects {field.coordinate}, which takes "
                    f"arguments: @{use.name} can select only fields without",
                    use.coordinate,
                    field,
                )

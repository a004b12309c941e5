"""KEY_FIELDS_SELECT_INVALID_TYPE: a key holds no field of interface or union type."""

from __future__ import annotations

from collections.abc import Iterator

from router.composition.problems import CompositionError
from router.composition.rules.report import in_subgraph
from router.composition.rules.schema.field_set_uses import field_set_uses, picked_fields
from router.composition.subgraph import SubgraphSchema
from router.composition.types import base_name


def check(subgraph: SubgraphSchema) -> Iterator[CompositionError]:
    for use in field_set_uses(subgraph):
        if use.parent is None or use.name != "key":
            continue
        for _, field, _ in picked_fields(subgraph.schema, use.parent, use.selections()):
            target = subgraph.schema.types.get(base_name(field.type))
            if target is not None and target.kind in ("interface", "union"):
                yield in_subgraph(
                    subgraph,
                    "KEY_FIELDS_SELECT_INVALID_TYPE",
                    f"{use.shown} on {use.coordinate} selects {field.coordinate}, whose type "
                    f'"{target.name}" is of kind {target.kind}: a key takes scalars, enums and '
                    f"objects",
                    use.coordinate,
                    field,
                )

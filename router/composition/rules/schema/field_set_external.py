"""PROVIDES/REQUIRES_FIELDS_MISSING_EXTERNAL: what is provided or required is otherwise external.

A leaf that the subgraph resolves anyway has no place there, unless something above it is external.
"""

from __future__ import annotations

from collections.abc import Iterator

from router.composition.fieldset import Pick, Selections
from router.composition.model import FieldDef, TypeDef
from router.composition.problems import CompositionError
from router.composition.rules.report import in_subgraph
from router.composition.rules.schema.field_set_uses import field_set_uses
from router.composition.subgraph import SubgraphSchema
from router.composition.types import base_name


def check(subgraph: SubgraphSchema) -> Iterator[CompositionError]:
    for use in field_set_uses(subgraph):
        if use.parent is None or use.name == "key":
            continue
        for field in _resolved(subgraph, use.parent, use.selections()):
            reason = (
                "a key field of an extension, which counts as resolved here"
                if field.coordinate in subgraph.facts.fake_external
                else "not @external"
            )
            yield in_subgraph(
                subgraph,
                f"{use.code_prefix}_FIELDS_MISSING_EXTERNAL",
                f"{use.shown} on {use.coordinate} selects {field.coordinate}, which is {reason}: "
                f"leave it out, or mark it @external if this subgraph does not resolve it",
                use.coordinate,
                field,
            )


def _resolved(
    subgraph: SubgraphSchema, parent: TypeDef, selections: Selections
) -> Iterator[FieldDef]:
    for item in selections:
        if not isinstance(item, Pick):
            below = subgraph.schema.types.get(item.on) if item.on else parent
            if below is not None:
                yield from _resolved(subgraph, below, item.selections)
            continue
        field = parent.fields.get(item.name)
        if field is None or _external(subgraph, parent, field):
            continue
        if not item.selections:
            if field.coordinate not in subgraph.facts.external:
                yield field
            continue
        target = subgraph.schema.types.get(base_name(field.type))
        if target is not None:
            yield from _resolved(subgraph, target, item.selections)


def _external(subgraph: SubgraphSchema, parent: TypeDef, field: FieldDef) -> bool:
    """External here, or on some implementation of the interface."""
    external = subgraph.facts.external
    if field.coordinate in external:
        return True
    if parent.kind != "interface" or not _composite(subgraph, field):
        return False
    return any(
        f"{name}.{field.name}" in external for name in subgraph.schema.possible_types(parent.name)
    )


def _composite(subgraph: SubgraphSchema, field: FieldDef) -> bool:
    target = subgraph.schema.types.get(base_name(field.type))
    return target is not None and target.composite

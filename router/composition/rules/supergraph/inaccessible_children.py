"""ONLY_INACCESSIBLE_CHILDREN: a type that clients see shows them something."""

from __future__ import annotations

from collections.abc import Iterator

from router.composition.merge.records import Merge
from router.composition.model import Element, TypeDef
from router.composition.problems import CompositionError
from router.composition.rules.supergraph.inaccessible import Visibility


def check(merge: Merge) -> Iterator[CompositionError]:
    view = Visibility(merge)
    if not view.in_use:
        return
    for definition in view.own_types():
        children = _children(view, definition)
        if not children or view.hidden(definition):
            continue
        if all(view.hidden(child) for child in children.values()):
            first = next(iter(children))
            yield view.error(
                "ONLY_INACCESSIBLE_CHILDREN",
                f'"{definition.name}" is shown but all in it is @inaccessible: hide the type, or '
                f"show something of it",
                first,
                definition.name,
            )


def _children(view: Visibility, definition: TypeDef) -> dict[str, Element]:
    if definition.kind == "union":
        return {
            name: view.schema.types[name]
            for name in definition.members
            if name in view.schema.types
        }
    groups = (definition.fields, definition.input_fields, definition.values)
    return {f"{definition.name}.{name}": child for group in groups for name, child in group.items()}

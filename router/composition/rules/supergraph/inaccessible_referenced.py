"""REFERENCED_INACCESSIBLE: what clients see is not of a type that they do not."""

from __future__ import annotations

from collections.abc import Iterator

from router.composition.merge.records import Merge
from router.composition.problems import CompositionError
from router.composition.rules.supergraph.inaccessible import Visibility
from router.composition.types import base_name


def check(merge: Merge) -> Iterator[CompositionError]:
    view = Visibility(merge)
    if not view.in_use:
        return
    for coordinate, element, shown in view.references():
        target = view.schema.types.get(base_name(element.type))
        if shown and target is not None and view.hidden(target):
            yield view.error(
                "REFERENCED_INACCESSIBLE",
                f'"{target.name}" is @inaccessible, but {coordinate} of that type is not: '
                f"hide both or neither",
                target.name,
                coordinate,
            )

"""TYPE_KIND_MISMATCH: a type has one kind; an `@interfaceObject` goes with interfaces."""

from __future__ import annotations

from collections.abc import Iterator

from router.composition.merge.records import Merge
from router.composition.problems import CompositionError
from router.composition.rules.report import across, variants


def check(merge: Merge) -> Iterator[CompositionError]:
    for name, kinds in merge.kinds.items():
        plain = {kind.replace("interface object", "interface") for kind in kinds.values()}
        if len(plain) > 1:
            sources = {i: merge.subgraphs[i].schema.types[name] for i in kinds}
            yield across(
                merge,
                "TYPE_KIND_MISMATCH",
                f'"{name}" is of kind {variants(merge, kinds)}: give it one kind, or two names',
                name,
                sources,
            )

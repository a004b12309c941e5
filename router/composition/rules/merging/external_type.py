"""EXTERNAL_TYPE_MISMATCH: an external field has the type of the field it refers to, or a wider one.

A narrower type would promise what the resolving subgraph does not.
"""

from __future__ import annotations

from collections.abc import Iterator

from router.composition.merge.merge import subtyping
from router.composition.merge.records import Merge
from router.composition.problems import CompositionError
from router.composition.rules.merging.external_base import nowhere_resolved
from router.composition.rules.report import across, variants
from router.composition.types import is_strict_subtype


def check(merge: Merge) -> Iterator[CompositionError]:
    named = subtyping(merge)
    for field in merge.fields():
        if not field.external or nowhere_resolved(merge, field):
            continue
        chosen = field.ref.ref
        for index in field.external:
            source = field.present()[index]
            if source.type == chosen:
                continue
            if not field.ref.equal and is_strict_subtype(chosen, source.type, named):
                continue
            types = {i: f"`{one.type}`" for i, one in field.present().items()}
            yield across(
                merge,
                "EXTERNAL_TYPE_MISMATCH",
                f"{field.coordinate} is {variants(merge, types)}: give the @external field the "
                f"type of the one that is resolved",
                field.coordinate,
                field.sources,
            )
            break

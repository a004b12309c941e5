"""INVALID_FIELD_SHARING: a field resolved by several subgraphs is `@shareable` in each.

And no field of the subscription root is, since an event has one source.
"""

from __future__ import annotations

from collections.abc import Iterator

from router.composition.merge.records import FieldMerge, Merge
from router.composition.model import FieldDef, applied
from router.composition.names import SHAREABLE
from router.composition.problems import CompositionError
from router.composition.rules.report import across, subgraphs_named


def check(merge: Merge) -> Iterator[CompositionError]:
    for field in merge.fields():
        if field.kind != "object":
            continue
        if field.parent == "Subscription":
            yield from _shared_subscription(merge, field)
        resolving = list(_resolving(merge, field))
        closed = [
            index
            for index, source in resolving
            if source.coordinate not in merge.subgraphs[index].facts.shareable
        ]
        if closed and len(resolving) > 1:
            yield across(
                merge,
                "INVALID_FIELD_SHARING",
                f"{field.coordinate} is resolved in "
                f"{subgraphs_named(merge, [i for i, _ in resolving])} but is not @shareable in "
                f"{subgraphs_named(merge, closed)}: mark it @shareable in all, or resolve it in "
                f"one{_misspelt_override(merge, field)}",
                field.coordinate,
                dict(resolving),
            )


def _resolving(merge: Merge, field: FieldMerge) -> Iterator[tuple[int, FieldDef]]:
    gone = field.overrides.used | field.overrides.unused
    for index, source in field.present().items():
        fully_external = merge.subgraphs[index].facts.fully_external(field.coordinate)
        if index not in gone and not fully_external:
            yield index, source
    for index, found in field.abstracted.items():
        for source in found:
            if not merge.subgraphs[index].facts.fully_external(source.coordinate):
                yield index, source


def _misspelt_override(merge: Merge, field: FieldMerge) -> str:
    for finding in field.overrides.findings:
        if finding.case == "unknown_source":
            return (
                f' (the @override in "{merge.name(finding.index)}" names "{finding.source}", '
                f"which is no subgraph)"
            )
    return ""


def _shared_subscription(merge: Merge, field: FieldMerge) -> Iterator[CompositionError]:
    shared = {
        index: source
        for index, source in field.present().items()
        if applied(source, SHAREABLE)
        or applied(merge.subgraphs[index].schema.types[field.parent], SHAREABLE)
    }
    if shared:
        yield across(
            merge,
            "INVALID_FIELD_SHARING",
            f"{field.coordinate} is @shareable in {subgraphs_named(merge, shared)}: a "
            f"subscription comes from one subgraph",
            field.coordinate,
            shared,
        )

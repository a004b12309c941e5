"""INTERFACE_FIELD_NO_IMPLEM: after merging, an implementation has all fields of its interfaces."""

from __future__ import annotations

from collections.abc import Iterator

from router.composition.merge.records import Merge
from router.composition.problems import CompositionError
from router.composition.rules.report import across, subgraphs_named


def check(merge: Merge) -> Iterator[CompositionError]:
    for one in merge.types.values():
        for name in one.merged.interfaces:
            interface = merge.types.get(name)
            if interface is None:
                continue
            for field in interface.fields.values():
                if field.name in one.merged.fields:
                    continue
                implementing = {
                    index: source
                    for index, source in one.sources.items()
                    if name in source.interfaces
                }
                yield across(
                    merge,
                    "INTERFACE_FIELD_NO_IMPLEM",
                    f'"{one.name}" implements "{name}" in {subgraphs_named(merge, implementing)} '
                    f"but nowhere has field {field.name}, which the interface has in "
                    f"{subgraphs_named(merge, field.present())}: add it",
                    f"{one.name}.{field.name}",
                    implementing,
                )

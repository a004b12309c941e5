"""INCONSISTENT_ENUM_VALUE_FOR_INPUT_ENUM, INCONSISTENT_ENUM_VALUE_FOR_OUTPUT_ENUM.

The first is dropped, the second kept.
"""

from __future__ import annotations

from collections.abc import Iterator

from router.composition.merge.records import EnumUsage, Merge
from router.composition.problems import CompositionHint
from router.composition.rules.report import hint, subgraphs_named


def check(merge: Merge) -> Iterator[CompositionHint]:
    for one in merge.types.values():
        usage = merge.enum_usage.get(one.name, EnumUsage(output=""))
        if one.kind != "enum" or (usage.input is not None and usage.output is not None):
            continue
        for name, sources in one.values.items():
            missing = [index for index, source in sources.items() if source is None]
            if not missing:
                continue
            if usage.input is None:
                code, fate = "INCONSISTENT_ENUM_VALUE_FOR_OUTPUT_ENUM", "is in the supergraph, but"
            elif name in one.merged.values:
                continue
            else:
                code, fate = "INCONSISTENT_ENUM_VALUE_FOR_INPUT_ENUM", "is left out:"
            yield hint(
                merge,
                code,
                f"{one.name}.{name} {fate} unknown in {subgraphs_named(merge, missing)}",
                f"{one.name}.{name}",
                sources,
            )

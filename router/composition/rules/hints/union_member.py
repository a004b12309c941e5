"""INCONSISTENT_UNION_MEMBER: a union has a member in some of its subgraphs only."""

from __future__ import annotations

from collections.abc import Iterator

from router.composition.merge.records import Merge
from router.composition.problems import CompositionHint
from router.composition.rules.report import hint, subgraphs_named


def check(merge: Merge) -> Iterator[CompositionHint]:
    for one in merge.types.values():
        for member in one.merged.members:
            missing = [i for i, source in one.sources.items() if member not in source.members]
            if missing:
                having = {i: source for i, source in one.sources.items() if i not in missing}
                yield hint(
                    merge,
                    "INCONSISTENT_UNION_MEMBER",
                    f'union "{one.name}" has member "{member}" in '
                    f"{subgraphs_named(merge, having)} but not in "
                    f"{subgraphs_named(merge, missing)}",
                    one.name,
                    one.sources,
                )

"""EXTENSION_WITH_NO_BASE: a type that is extended is defined somewhere."""

from __future__ import annotations

from collections.abc import Iterator

from router.composition.merge.records import Merge
from router.composition.model import ROOT_NAMES
from router.composition.problems import CompositionError
from router.composition.rules.report import in_subgraph


def check(merge: Merge) -> Iterator[CompositionError]:
    for one in merge.types.values():
        if one.name in ROOT_NAMES.values() and one.kind == "object":
            continue
        if any(source.defined for source in one.sources.values()):
            continue
        for index, source in one.sources.items():
            if source.extensions:
                yield in_subgraph(
                    merge.subgraphs[index],
                    "EXTENSION_WITH_NO_BASE",
                    f'"{one.name}" is extended but no subgraph defines it: '
                    f"define it where it belongs",
                    one.name,
                    source,
                )

"""INTERFACE_KEY_MISSING_IMPLEMENTATION_TYPE: a key leads to every type."""

from __future__ import annotations

from collections.abc import Iterator

from router.composition.merge.records import Merge
from router.composition.problems import CompositionError, listing
from router.composition.rules.report import in_subgraph


def check(merge: Merge) -> Iterator[CompositionError]:
    implementations: dict[str, list[str]] = {}
    for one in merge.types.values():
        if one.kind == "object":
            for interface in one.merged.interfaces:
                implementations.setdefault(interface, []).append(one.name)
    for one in merge.types.values():
        if one.kind != "interface":
            continue
        for index, source in one.sources.items():
            subgraph = merge.subgraphs[index]
            keys = subgraph.facts.keys(one.name)
            if source.kind != "interface" or not any(
                key.args.get("resolvable") is not False for key in keys
            ):
                continue
            known = set(subgraph.schema.possible_types(one.name))
            missing = [name for name in implementations.get(one.name, ()) if name not in known]
            if missing:
                yield in_subgraph(
                    subgraph,
                    "INTERFACE_KEY_MISSING_IMPLEMENTATION_TYPE",
                    f'interface "{one.name}" has a resolvable key here, but {listing(missing)} '
                    f"that implement it elsewhere do not here: add them",
                    one.name,
                    source,
                )

"""INTERFACE_OBJECT_USAGE_ERROR: it stands for an interface, away from the implementations."""

from __future__ import annotations

from collections.abc import Iterator

from router.composition.merge.records import Merge
from router.composition.problems import CompositionError, listing
from router.composition.rules.report import across, in_subgraph, subgraphs_named


def check(merge: Merge) -> Iterator[CompositionError]:
    implementations: dict[str, list[str]] = {}
    for one in merge.types.values():
        if one.kind == "object":
            for interface in one.merged.interfaces:
                implementations.setdefault(interface, []).append(one.name)
    for name, kinds in merge.kinds.items():
        objects = [index for index, kind in kinds.items() if kind == "interface object"]
        if objects and len(objects) == len(kinds):
            yield across(
                merge,
                "INTERFACE_OBJECT_USAGE_ERROR",
                f'"{name}" is only ever an @interfaceObject, in {subgraphs_named(merge, objects)}: '
                f"define the interface in the subgraph that knows its implementations",
                name,
                {index: merge.subgraphs[index].schema.types[name] for index in objects},
            )
        for index in objects:
            subgraph = merge.subgraphs[index]
            known = [one for one in implementations.get(name, ()) if one in subgraph.schema.types]
            if known:
                yield in_subgraph(
                    subgraph,
                    "INTERFACE_OBJECT_USAGE_ERROR",
                    f'"{name}" is an @interfaceObject here, so its implementations cannot be '
                    f"defined here: found {listing(known)}",
                    name,
                    subgraph.schema.types[name],
                )

"""INTERFACE_OBJECT_USAGE_ERROR: an `@interfaceObject` is an entity."""

from __future__ import annotations

from collections.abc import Iterator

from router.composition.problems import CompositionError
from router.composition.rules.report import in_subgraph
from router.composition.subgraph import SubgraphSchema


def check(subgraph: SubgraphSchema) -> Iterator[CompositionError]:
    for name in sorted(subgraph.facts.interface_objects):
        if not subgraph.facts.keys(name):
            yield in_subgraph(
                subgraph,
                "INTERFACE_OBJECT_USAGE_ERROR",
                f'"{name}" is an @interfaceObject without @key: give it the key of the interface',
                name,
                subgraph.schema.types[name],
            )

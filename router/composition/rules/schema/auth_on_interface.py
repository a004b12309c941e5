"""AUTH_REQUIREMENTS_APPLIED_ON_INTERFACE: interfaces take access control from implementations."""

from __future__ import annotations

from collections.abc import Iterator

from router.composition.model import Directive
from router.composition.names import ACCESS_CONTROL, plain
from router.composition.problems import CompositionError
from router.composition.rules.report import in_subgraph
from router.composition.subgraph import SubgraphSchema


def check(subgraph: SubgraphSchema) -> Iterator[CompositionError]:
    for definition in subgraph.schema.types.values():
        found: list[tuple[str, list[Directive]]] = []
        interface_object = definition.name in subgraph.facts.interface_objects
        if definition.kind == "interface" or interface_object:
            found.append((definition.name, definition.directives))
        if definition.kind == "interface":
            found += [(one.coordinate, one.directives) for one in definition.fields.values()]
        for coordinate, directives in found:
            for one in directives:
                if one.name in ACCESS_CONTROL:
                    yield in_subgraph(
                        subgraph,
                        "AUTH_REQUIREMENTS_APPLIED_ON_INTERFACE",
                        f"@{plain(one.name)} on {coordinate}: put it on the implementations, "
                        f"the interface takes it from them",
                        coordinate,
                        one,
                    )

"""INVALID_SHAREABLE_USAGE: `@shareable` once a declaration, and not on fields of interfaces."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from router.composition.model import applied
from router.composition.names import SHAREABLE
from router.composition.problems import CompositionError
from router.composition.rules.report import in_subgraph
from router.composition.subgraph import SubgraphSchema


def check(subgraph: SubgraphSchema) -> Iterator[CompositionError]:
    for definition in subgraph.schema.types.values():
        elements = [(definition.name, applied(definition, SHAREABLE))]
        elements += [
            (field.coordinate, applied(field, SHAREABLE)) for field in definition.fields.values()
        ]
        for coordinate, found in elements:
            if found and Counter(one.extension for one in found).most_common(1)[0][1] > 1:
                yield in_subgraph(
                    subgraph,
                    "INVALID_SHAREABLE_USAGE",
                    f"{coordinate} is marked @shareable twice in one declaration: once is enough",
                    coordinate,
                    found[0],
                )
        if definition.kind != "interface":
            continue
        for coordinate, found in elements[1:]:
            if found:
                yield in_subgraph(
                    subgraph,
                    "INVALID_SHAREABLE_USAGE",
                    f"{coordinate} is a field of an interface: only fields of objects can be "
                    f"@shareable",
                    coordinate,
                    found[0],
                )

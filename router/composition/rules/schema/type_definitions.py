"""TYPE_DEFINITION_INVALID: the types federation brings are scalars (or `_Entity`, a union)."""

from __future__ import annotations

from collections.abc import Iterator

from graphql import TypeDefinitionNode

from router.composition.build import KINDS, location_of
from router.composition.federation_spec import FEDERATION_TYPES
from router.composition.problems import CompositionError, place
from router.composition.subgraph import SubgraphSchema, local_type

SERVICE_KINDS = {"_Any": "scalar", "_Entity": "union"}


def check(subgraph: SubgraphSchema) -> Iterator[CompositionError]:
    if subgraph.document is None:
        return
    wanted = dict(SERVICE_KINDS)
    names = FEDERATION_TYPES if subgraph.federation2 else ["FieldSet"]
    wanted |= {local_type(subgraph, name): "scalar" for name in names}
    for node in subgraph.document.definitions:
        if not isinstance(node, TypeDefinitionNode) or node.name.value not in wanted:
            continue
        name, found = node.name.value, KINDS[type(node)]
        if found != wanted[name]:
            message = (
                f'[{subgraph.name}] "{name}" belongs to federation and must be of kind '
                f"{wanted[name]}, found {found}: rename the type"
            )
            yield CompositionError(
                "TYPE_DEFINITION_INVALID",
                message,
                (subgraph.name,),
                (name,),
                place(subgraph.name, location_of(node)),
            )

"""Build a subgraph's schema."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from strawberry.federation import Schema
from strawberry.schema.config import StrawberryConfig
from strawberry.tools import merge_types
from strawberry.types import get_object_definition

from subgraphs.shared.graphql.operations import operator_mutations, operator_queries
from subgraphs.shared.graphql.scalars import SCALARS
from subgraphs.shared.graphql.types import InvalidInput, VersionConflict
from subgraphs.shared.refused import RecordsRefusals

FEDERATION_VERSION: Final = "2.5"


def build_schema(
    *,
    query: type,
    mutation: type | None = None,
    subscription: type | None = None,
    types: Iterable[type] = (),
    operator: str | None = None,
) -> Schema:
    """A federation schema of one service.

    `types` are those that no field returns by name: members of interfaces, entities that other
    subgraphs refer to. The two user errors that every mutation may give are added where there is a
    mutation. `operator` is the service's name: its operator's fields are added to the roots.
    """
    if operator is not None:
        query = merge_types("Query", (query, operator_queries(operator)))
        if mutation is not None:
            mutation = merge_types("Mutation", (mutation, operator_mutations(operator)))
    if mutation is not None:
        _record_refusals(mutation)
    common = [InvalidInput, VersionConflict] if mutation is not None else []
    return Schema(
        query=query,
        mutation=mutation,
        subscription=subscription,
        types=[*common, *types],
        federation_version=FEDERATION_VERSION,
        config=StrawberryConfig(scalar_map=dict(SCALARS)),
    )


def _record_refusals(mutation: type) -> None:
    """No mutation can forget to: each of them passes by the recorder."""
    for field in get_object_definition(mutation, strict=True).fields:
        field.extensions = [*field.extensions, RecordsRefusals()]


__all__ = ["FEDERATION_VERSION", "Schema", "build_schema"]

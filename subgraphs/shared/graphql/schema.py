"""Build a subgraph's schema."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from strawberry.federation import Schema
from strawberry.schema.config import StrawberryConfig

from subgraphs.shared.graphql.scalars import SCALARS
from subgraphs.shared.graphql.types import InvalidInput, VersionConflict

FEDERATION_VERSION: Final = "2.5"


def build_schema(
    *,
    query: type,
    mutation: type | None = None,
    types: Iterable[type] = (),
) -> Schema:
    """A federation schema of one service.

    `types` are those that no field returns by name: members of interfaces, entities that other
    subgraphs refer to. The two user errors that every mutation may give are added where there is a
    mutation.
    """
    common = [InvalidInput, VersionConflict] if mutation is not None else []
    return Schema(
        query=query,
        mutation=mutation,
        types=[*common, *types],
        federation_version=FEDERATION_VERSION,
        config=StrawberryConfig(scalar_map=dict(SCALARS)),
    )


__all__ = ["FEDERATION_VERSION", "Schema", "build_schema"]

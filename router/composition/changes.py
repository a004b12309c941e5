"""What changes for clients between two supergraphs: breaking and dangerous changes of the API.

Compared is the schema clients see. Source: graphql-js "find breaking changes"; what cannot break an
operation (a new field, a new type) is not listed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from graphql import find_breaking_changes, find_dangerous_changes

from router.supergraph import Supergraph


@dataclass(frozen=True, slots=True)
class SchemaChange:
    """`kind` is stable (`FIELD_REMOVED`); `description` says what, for people."""

    kind: str
    description: str

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "description": self.description}


@dataclass(frozen=True, slots=True)
class SchemaChanges:
    """`breaking` changes make some valid operation invalid; `dangerous` ones change its meaning."""

    breaking: tuple[SchemaChange, ...] = ()
    dangerous: tuple[SchemaChange, ...] = ()

    @property
    def ok(self) -> bool:
        return not self.breaking


def compare(old_sdl: str, new_sdl: str) -> SchemaChanges:
    """Changes from one supergraph to another. Raises SupergraphError for what is no supergraph."""
    old = Supergraph.from_sdl(old_sdl).api_schema
    new = Supergraph.from_sdl(new_sdl).api_schema
    return SchemaChanges(
        tuple(
            SchemaChange(one.type.name, one.description) for one in find_breaking_changes(old, new)
        ),
        tuple(
            SchemaChange(one.type.name, one.description) for one in find_dangerous_changes(old, new)
        ),
    )

"""What composition says: errors that stop it and hints that do not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from router.composition.model import Location


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a subgraph's source. Line and column count from 1."""

    subgraph: str
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class CompositionError:
    """One reason why there is no supergraph.

    `code` is Apollo's, where Apollo has one. `coordinates` are schema coordinates (`Type.field`),
    the chief one first; `subgraphs` those concerned, empty when it is the graph as a whole.
    """

    code: str
    message: str
    subgraphs: tuple[str, ...] = ()
    coordinates: tuple[str, ...] = ()
    places: tuple[Place, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """`code`, `message`, `subgraphs`, `coordinates`; `places` too where they are known."""
        answer: dict[str, Any] = {
            "code": self.code,
            "message": self.message,
            "subgraphs": list(self.subgraphs),
            "coordinates": list(self.coordinates),
        }
        if self.places:
            answer["places"] = [
                {"subgraph": place.subgraph, "line": place.line, "column": place.column}
                for place in self.places
            ]
        return answer


@dataclass(frozen=True, slots=True)
class CompositionHint(CompositionError):
    """Something to look at; the supergraph exists all the same."""


def place(subgraph: str, location: Location | None) -> tuple[Place, ...]:
    """The location as places: none when it is unknown."""
    return () if location is None else (Place(subgraph, *location),)


def listing(names: list[str] | tuple[str, ...], last: str = "and") -> str:
    """`"a"`, `"a" and "b"`, `"a", "b" and "c"`."""
    quoted = [f'"{name}"' for name in names]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} {last} {quoted[-1]}"


def in_subgraphs(names: list[str] | tuple[str, ...]) -> str:
    """`subgraph "a"` or `subgraphs "a" and "b"`."""
    return f"subgraph{'' if len(names) == 1 else 's'} {listing(names)}"

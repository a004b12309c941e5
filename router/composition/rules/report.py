"""Short ways for rules to say what they found."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from router.composition.merge.records import Merge
from router.composition.model import Location
from router.composition.problems import (
    CompositionError,
    CompositionHint,
    in_subgraphs,
    place,
)
from router.composition.subgraph import SubgraphSchema


class Located(Protocol):
    """Anything that knows where it stands."""

    @property
    def location(self) -> Location | None: ...


def in_subgraph(
    subgraph: SubgraphSchema, code: str, message: str, coordinate: str, at: Located | None = None
) -> CompositionError:
    """An error of one subgraph; its name is put in front of the message."""
    return CompositionError(
        code,
        f"[{subgraph.name}] {message}",
        (subgraph.name,),
        (coordinate,) if coordinate else (),
        place(subgraph.name, at.location if at else None),
    )


def across(
    merge: Merge,
    code: str,
    message: str,
    coordinate: str,
    sources: Mapping[int, Located | None],
) -> CompositionError:
    """An error of several subgraphs: those in `sources` that have the element."""
    present = [index for index, source in sources.items() if source is not None]
    return CompositionError(
        code, message, tuple(merge.names(present)), (coordinate,), merge.places(sources)
    )


def hint(
    merge: Merge,
    code: str,
    message: str,
    coordinate: str,
    sources: Mapping[int, Located | None] | None = None,
) -> CompositionHint:
    """A hint, with its sources as the subgraphs concerned."""
    sources = sources or {}
    present = [index for index, source in sources.items() if source is not None]
    return CompositionHint(
        code, message, tuple(merge.names(present)), (coordinate,), merge.places(sources)
    )


def variants(merge: Merge, values: Mapping[int, str]) -> str:
    """`` `Int` in subgraph "a" and `Float` in subgraphs "b" and "c" ``: equal values together."""
    groups: dict[str, list[int]] = {}
    for index, value in values.items():
        groups.setdefault(value, []).append(index)
    parts = [
        f"{value} in {in_subgraphs(merge.names(indexes))}" for value, indexes in groups.items()
    ]
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def subgraphs_named(merge: Merge, indexes: Iterable[int]) -> str:
    """`subgraph "a"` or `subgraphs "a" and "b"`, in order."""
    return in_subgraphs(merge.names(list(indexes)))

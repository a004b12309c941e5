"""Composition from end to end: load, upgrade, check, merge, check again, print.

Each phase reports all it finds; a later phase runs only when the earlier ones found nothing, since
what it would say of broken input would mislead.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from router.composition.contracts import Contract, apply_contract
from router.composition.machinery import complete, name_graphs
from router.composition.merge import Merge, merge_subgraphs
from router.composition.model import Schema
from router.composition.printing import print_schema
from router.composition.problems import CompositionError, CompositionHint
from router.composition.rules import (
    check_document,
    check_merge,
    check_set,
    check_subgraph,
    check_supergraph,
)
from router.composition.satisfiability import VALIDATION_PATHS_MAX, check_satisfiability
from router.composition.subgraph import Subgraph, SubgraphSchema, load, rename_roots
from router.composition.upgrade import upgrade_all


@dataclass(frozen=True, slots=True)
class CompositionResult:
    """The supergraph, or why there is none. `supergraph_sdl` is None exactly when errors exist."""

    supergraph_sdl: str | None
    errors: tuple[CompositionError, ...] = ()
    hints: tuple[CompositionHint, ...] = ()

    @property
    def ok(self) -> bool:
        return not self.errors

    def to_json(self) -> dict[str, Any]:
        """`{"ok", "supergraph", "errors", "hints"}`, ready for a JSON writer."""
        return {
            "ok": self.ok,
            "supergraph": self.supergraph_sdl,
            "errors": [error.to_json() for error in self.errors],
            "hints": [hint.to_json() for hint in self.hints],
        }


def compose(
    subgraphs: Iterable[Subgraph | tuple[str, str]],
    *,
    contract: Contract | None = None,
    satisfiability: bool = True,
    validation_paths_max: int = VALIDATION_PATHS_MAX,
) -> CompositionResult:
    """Compose subgraphs, given as (name, SDL) or with their URLs, into supergraph SDL.

    Never raises for bad input: what is wrong is in `errors`, every one there is. A `contract` hides
    part of the graph from clients. Without
    `satisfiability` the result may hold queries that the subgraphs cannot answer.
    """
    given = sorted(
        (one if isinstance(one, Subgraph) else Subgraph(*one) for one in subgraphs),
        key=lambda one: one.name,
    )
    loaded, errors = _load(given)
    if errors:
        return CompositionResult(None, tuple(errors))
    merge, errors, hints = _merge(loaded)
    if errors or merge is None:
        return CompositionResult(None, tuple(errors), tuple(hints))
    if contract is not None:
        apply_contract(merge, contract)
    errors = list(check_supergraph(merge))
    if not errors and satisfiability:
        errors, more = check_satisfiability(merge, paths_max=validation_paths_max)
        hints += more
    if errors:
        return CompositionResult(None, tuple(errors), tuple(hints))
    return CompositionResult(print_schema(complete(merge)), (), tuple(hints))


def merged_schema(subgraphs: Iterable[Subgraph | tuple[str, str]]) -> Schema | None:
    """The supergraph as a schema, where there is one; satisfiability is not looked at."""
    given = sorted(
        (one if isinstance(one, Subgraph) else Subgraph(*one) for one in subgraphs),
        key=lambda one: one.name,
    )
    loaded, errors = _load(given)
    if errors:
        return None
    merge, errors, _ = _merge(loaded)
    return None if errors or merge is None else complete(merge)


def _load(given: list[Subgraph]) -> tuple[list[SubgraphSchema], list[CompositionError]]:
    """The schemas ready to merge. After a fault, what can be checked alone still is."""
    errors = list(check_set(given))
    sound: list[SubgraphSchema] = []
    for one in given:
        schema, problems = load(one)
        if schema is not None:
            problems += check_document(schema)
            problems += [] if problems else rename_roots(schema)
            schema.document = None
            schema.refresh()
            if not problems:
                sound.append(schema)
        errors += problems
    if errors:
        for schema in sound:
            if schema.federation2:
                errors += check_subgraph(schema)
        return sound, errors
    errors += upgrade_all(sound)
    for schema in sound:
        errors += check_subgraph(schema)
    return sound, errors


def _merge(
    loaded: list[SubgraphSchema],
) -> tuple[Merge | None, list[CompositionError], list[CompositionHint]]:
    name_graphs(loaded)
    merge = merge_subgraphs(loaded)
    errors: list[CompositionError] = []
    hints: list[CompositionHint] = []
    for problem in check_merge(merge):
        if isinstance(problem, CompositionHint):
            hints.append(problem)
        else:
            errors.append(problem)
    return merge, errors, hints

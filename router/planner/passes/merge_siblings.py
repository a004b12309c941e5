"""Merge steps that ask one subgraph for the same objects."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from router.planner.fetch_graph import FetchGraph, Step

ROUNDS_MAX: Final = 8


def merge_siblings(graph: FetchGraph) -> None:
    """Join steps of one subgraph at one path: a request saved each.

    Not where one waits for the other, where the representations would need two keys (a reference
    resolver is called with one), or where waiting for both would make the plan deeper. Nor where an
    @interfaceObject would be asked about objects of one type what is wanted of another type's, or
    where conditions may take away what only one of them sends.
    """
    for _ in range(ROUNDS_MAX):
        if not _one_round(graph):
            return


def _one_round(graph: FetchGraph) -> bool:
    merged = False
    buckets: dict[object, list[Step]] = {}
    for step in graph.in_order():
        buckets.setdefault((step.subgraph, step.path, step.root_type), []).append(step)
    for steps in buckets.values():
        for index, late in enumerate(steps):
            for early in steps[:index]:
                if early.id in graph.steps and late.id in graph.steps and _fit(graph, early, late):
                    merge(graph, gone=early, kept=late)
                    merged = True
    return merged


def _fit(graph: FetchGraph, early: Step, late: Step) -> bool:
    if early.context != late.context:
        return False
    if graph.waits_for(late, early) or graph.waits_for(early, late):
        return False
    for one, other in _overlapping(early, late):
        if early.keys[one] != late.keys[other]:
            return False
        if not late.inputs[other].agrees(early.inputs[one]):
            return False
    if early.under != late.under and any(
        early.inputs[type_] != late.inputs[type_] for type_ in early.inputs if type_ in late.inputs
    ):
        return False
    if early.inputs.keys() != late.inputs.keys() and not _agree(early, late):
        return False
    order = graph.in_order()
    depth = order[-1].wave
    return max(early.wave, late.wave) + graph.tails(order)[early.id] <= depth


def _overlapping(early: Step, late: Step) -> Iterator[tuple[str, str]]:
    """Pairs of types, one of each step's inputs, that an object can be both of."""
    (tree, *_) = early.trees.values()
    possible = tree.node.graph.supergraph.possible_types
    for one in early.inputs:
        for other in late.inputs:
            if one == other or possible(one) & possible(other):
                yield one, other


def _agree(one: Step, other: Step) -> bool:
    """Whether steps about objects of different types select the same where they select at all."""
    return all(
        tree.asks_as(other.trees[type_])
        for type_, tree in one.trees.items()
        if type_ in other.trees
    )


def merge(graph: FetchGraph, *, gone: Step, kept: Step) -> None:
    """Let `kept` ask for what `gone` asks for as well."""
    for type_, inputs in gone.inputs.items():
        if type_ in kept.inputs:
            kept.inputs[type_].absorb(inputs)
        else:
            kept.inputs[type_] = inputs
            kept.keys[type_] = gone.keys[type_]
    for type_, tree in gone.trees.items():
        if type_ in kept.trees:
            kept.trees[type_].absorb(tree)
        else:
            kept.trees[type_] = tree
    kept.rewrites |= gone.rewrites
    graph.replace(gone, kept)

"""A large graph composes: 100 subgraphs, 1,000 entities, some 25,000 fields.

How long it takes is measured by benchmarks/composition.py.
"""

from __future__ import annotations

import random
import re

import pytest

from router.composition import Subgraph, compose
from tests.router.composition.cases import link


def large_graph(subgraphs: int, types: int) -> list[Subgraph]:
    """Entities owned by one subgraph, extended by up to four, referring to each other at random."""
    rng = random.Random(1)
    defined: list[dict[int, list[str]]] = [{} for _ in range(subgraphs)]
    queries: list[list[str]] = [[] for _ in range(subgraphs)]
    for number in range(types):
        owner = rng.randrange(subgraphs)
        for subgraph in {owner, *(rng.randrange(subgraphs) for _ in range(rng.randint(0, 4)))}:
            fields = [f"s{subgraph}_{i}: Int" for i in range(3)]
            if subgraph == owner:
                fields = [f"f{i}: {rng.choice(['Int', 'Float!', '[String!]'])}" for i in range(10)]
                fields += [f"r{i}(first: Int = 9): [T{rng.randrange(types)}!]" for i in range(3)]
            defined[subgraph][number] = ["id: ID!", *fields]
        queries[owner].append(f"t{number}(id: ID!): T{number}")
    return [
        Subgraph(f"s{index:03}", _sdl(defined[index], queries[index])) for index in range(subgraphs)
    ]


def _sdl(defined: dict[int, list[str]], queries: list[str]) -> str:
    lines = [link("2.9")]
    referred: set[int] = set()
    for number, fields in defined.items():
        body = " ".join(fields)
        lines.append(f'"Type {number}." type T{number} @key(fields: "id") {{ {body} }}')
        referred |= {int(found) for found in re.findall(r"T(\d+)", body)}
    lines += [
        f'type T{number} @key(fields: "id", resolvable: false) {{ id: ID! }}'
        for number in sorted(referred - defined.keys())
    ]
    if queries:
        lines.append(f"type Query {{ {' '.join(queries)} }}")
    return "\n".join(lines)


@pytest.mark.slow
def test_a_large_graph_composes() -> None:
    assert compose(large_graph(100, 1000)).errors == ()

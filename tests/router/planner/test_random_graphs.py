"""Random operations on random graphs that compose: each has a plan, and the oracle accepts it."""

from __future__ import annotations

from random import Random

import pytest
from graphql import parse, validate

from router.composition import compose
from router.planner import Planner
from router.planner.check import check_plan
from router.supergraph import Supergraph
from tests.support.random_graph import random_operation, random_subgraphs

GRAPHS = 24
OPERATIONS = 4


@pytest.mark.slow
@pytest.mark.parametrize("chunk", range(4))
def test_every_operation_has_a_right_plan(chunk: int) -> None:
    planned = 0
    for seed in range(chunk * GRAPHS, (chunk + 1) * GRAPHS):
        random = Random(seed)
        result = compose(
            random_subgraphs(
                random, count=random.randint(2, 4), types=random.randint(2, 5), rich=bool(seed % 2)
            ).items()
        )
        if result.supergraph_sdl is None:
            continue
        supergraph = Supergraph.from_sdl(result.supergraph_sdl)
        planner = Planner(supergraph)
        for _ in range(OPERATIONS):
            document = parse(random_operation(random, supergraph.api_schema))
            if not validate(supergraph.api_schema, document):
                check_plan(supergraph, document, planner.plan(document))
                planned += 1
    assert planned >= GRAPHS

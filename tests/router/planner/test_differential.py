"""Random operations give the same data through plans as through one schema over the same data."""

from __future__ import annotations

import asyncio
from random import Random

import pytest
from graphql import GraphQLInterfaceType, parse, validate

from router.composition import compose
from router.executor import CompiledOperation
from router.planner import Planner
from router.planner.display import display
from router.planner.normalise import find_operation
from router.supergraph import Supergraph
from tests.support.random_graph import random_operation, random_subgraphs
from tests.support.random_world import World

GRAPHS = 20
OPERATIONS = 6


@pytest.mark.slow
@pytest.mark.parametrize("chunk", range(4))
async def test_plans_bring_the_same_data(chunk: int) -> None:
    compared = 0
    for seed in range(chunk * GRAPHS, (chunk + 1) * GRAPHS):
        random = Random(seed)
        subgraphs = random_subgraphs(random, count=random.randint(2, 4), types=random.randint(2, 5))
        result = compose(subgraphs.items())
        if result.supergraph_sdl is not None:
            supergraph = Supergraph.from_sdl(result.supergraph_sdl)
            compared += await _compare(supergraph, random, seed)
    assert compared >= GRAPHS


async def _compare(supergraph: Supergraph, random: Random, seed: int) -> int:
    world, planner, compared = World(supergraph), Planner(supergraph), 0
    interfaces = frozenset(
        name
        for name, one in supergraph.schema.type_map.items()
        if isinstance(one, GraphQLInterfaceType)
    )
    for number in range(OPERATIONS):
        text = random_operation(random, supergraph.api_schema)
        document = parse(text)
        if validate(supergraph.api_schema, document):
            continue
        given = {"a": random.random() < 0.5, "b": random.random() < 0.5, "n": 3}
        variables = {name: value for name, value in given.items() if f"${name}" in text}
        expected = world.whole(document, variables)
        assert not expected.errors, expected.errors
        plan = planner.plan(document)
        operation = CompiledOperation(
            supergraph.api_schema, document, find_operation(document, None), plan, interfaces
        )
        answer = await operation.execute(
            operation.variables.check(variables),
            call=world.call,
            headers={},
            deadline=asyncio.get_running_loop().time() + 60,
        )
        where = f"seed {seed}, operation {number}: {text} {variables}\n{display(plan)}"
        assert answer.errors == [], where
        assert answer.data == expected.data, where
        compared += 1
    return compared


@pytest.mark.parametrize(
    "seed",
    [
        1841,  # all fields of a fragment skipped: the type of an interface object is not needed
    ],
)
async def test_cases_found_by_long_runs(seed: int) -> None:
    random = Random(seed)
    subgraphs = random_subgraphs(random, count=random.randint(2, 5), types=random.randint(2, 6))
    result = compose(subgraphs.items())
    assert result.supergraph_sdl is not None
    assert await _compare(Supergraph.from_sdl(result.supergraph_sdl), random, seed) > 1

"""Operations that are refused before work is spent on them."""

from __future__ import annotations

import time

import pytest

from router.config import Limits, RouterConfig
from tests.router.http.graph import app, query

BOMB = (
    " ".join(
        f"fragment F{i} on Product {{ a{i}: name ...F{i + 1} b{i}: id ...F{i + 1} }}"
        for i in range(60)
    )
    + " fragment F60 on Product { id } { products { ...F0 } }"
)
CASES = {
    "depth": ("{ products " + "{ reviews " * 1000 + "}" * 1001, "nesting_max"),
    "levels": ("{ products " + "{ a " * 70 + "}" * 71, "depth_max"),
    "aliases": ("{" + " ".join(f"a{i}: __typename" for i in range(10_000)) + "}", "tokens_max"),
    "some aliases": ("{" + " ".join(f"a{i}: __typename" for i in range(600)) + "}", "aliases_max"),
    "bomb": (BOMB, "repeats_max"),
    "tokens": ("{ products { name " + "name " * 20_000 + "} }", "tokens_max"),
    "repeats": ("{ products { " + "name " * 2_000 + "} }", "repeats_max"),
    "directives": ("{ __typename " + "@include(if: true) " * 1_000 + "}", "directives_max"),
    "root fields": (
        "{" + " ".join(f"a{i}: __typename" for i in range(200)) + "}",
        "root_fields_max",
    ),
    "chain": (
        " ".join(f"fragment F{i} on Product {{ ...F{i + 1} }}" for i in range(300))
        + " fragment F300 on Product { id } { products { ...F0 } }",
        "fragment_chain_max",
    ),
    "value": ("{ products(first: " + "[" * 5_000 + "]" * 5_000 + ") { id } }", "nesting_max"),
    "comments": ("#\n" * 100_000 + "{ __typename }", "tokens_max"),
    "text": ("{ __typename }" + " " * 600_000, "operation_characters_max"),
    "escapes": ("{ a(b: " + '"""\\' * 100_000, "tokens_max"),
}


@pytest.mark.parametrize("name", CASES)
async def test_limits(name: str) -> None:
    text, limit = CASES[name]
    router, graph = app()
    started = time.perf_counter()
    reply = await query(router, text, headers={"accept": "application/graphql-response+json"})
    error = reply.json()["errors"][0]
    assert error["extensions"]["code"] == "OPERATION_LIMIT_EXCEEDED", error
    assert error["extensions"]["limit"] == limit
    assert reply.status == 400
    assert time.perf_counter() - started < 2.0
    assert not graph.services["products"].asked


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("fragment A on Query { ...B } fragment B on Query { ...A } { ...A }", "within itself"),
        ("fragment A on Query { ...A } { ...A }", "within itself"),
        ("{ ...Nowhere }", "Unknown fragment"),
        ("{ products { ... on Product { ...Nowhere } } }", "Unknown fragment"),
    ],
)
async def test_fragments_that_lead_nowhere(text: str, words: str) -> None:
    router, _ = app()
    error = (await query(router, text)).json()["errors"][0]
    assert words in error["message"]
    assert error["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"


async def test_limits_can_be_set() -> None:
    router, _ = app(RouterConfig(limits=Limits(depth_max=2)))
    assert "data" in (await query(router, "{ products { name } }")).json()
    reply = await query(router, "{ products { reviews { stars } } }")
    assert reply.json()["errors"][0]["extensions"] == {
        "code": "OPERATION_LIMIT_EXCEEDED",
        "limit": "depth_max",
        "allowed": 2,
    }


async def test_what_is_kept_is_bounded() -> None:
    from router.config import Caches

    router, _ = app(RouterConfig(caches=Caches(operations_max=3, refusals_max=2)))
    for number in range(10):
        await query(router, f"{{ a{number}: __typename }}")
        await query(router, f"{{ a{number} }}")
    assert router.pipeline.kept == 3
    assert router.pipeline.cache.refused == 2

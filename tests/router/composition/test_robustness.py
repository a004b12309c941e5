"""Graphs that once broke composition itself."""

from __future__ import annotations

from router.composition import compose
from tests.router.composition.cases import parse_case


def codes(text: str) -> set[str]:
    return {error.code for error in compose(parse_case(text)).errors}


def test_a_field_external_everywhere_with_types_that_differ() -> None:
    text = """
### a
# link 2.9
type Query { t: T }
type T @key(fields: "id") { id: ID! x: String @external y: Int @requires(fields: "x") }
### b
# link 2.9
type T @key(fields: "x") @key(fields: "id") { id: ID! x: Int @external }
"""
    assert codes(text) == {"EXTERNAL_MISSING_ON_BASE"}


def test_the_rest_is_checked_although_one_subgraph_is_broken() -> None:
    text = """
### a
# link 2.9
type Query { t: Missing }
### b
# link 2.9
type T @key(fields: "no") { id: ID! }
"""
    assert codes(text) == {"INVALID_GRAPHQL", "KEY_INVALID_FIELDS"}


def test_no_subgraphs() -> None:
    assert {error.code for error in compose([]).errors} == {"NO_QUERIES"}


def test_sdl_of_nothing() -> None:
    assert {error.code for error in compose([("a", "")]).errors} == {"INVALID_GRAPHQL"}


def test_sdl_nested_without_end() -> None:
    deep = "[" * 5_000 + "Int" + "]" * 5_000
    assert "INVALID_GRAPHQL" in {
        error.code for error in compose([("a", f"type Query {{ a: {deep} }}")]).errors
    }

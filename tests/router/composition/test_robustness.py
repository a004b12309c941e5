"""Graphs that once broke composition itself."""

from __future__ import annotations

import re
from dataclasses import astuple
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.composition import Subgraph, compose
from router.supergraph import Supergraph
from tests.router.composition.cases import parse_case, read_case

CASES = sorted((Path(__file__).parent / "golden").glob("*.graphql"))


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


def test_an_implementation_may_be_deprecated_before_its_interface() -> None:
    text = """
### a
# link 2.9
type Query { n: N }
interface N { id: ID! }
type T implements N { id: ID! @deprecated }
"""
    assert codes(text) == set()


def test_arguments_in_field_sets_have_types() -> None:
    text = """
### a
# link 2.9
type Query { t: T }
type T @key(fields: "id") { id: ID! x(n: Int): Int @external y: Int @requires(fields: "x(n: 1)") }
### b
# link 2.9
type T @key(fields: "id") { id: ID! x(n: Int): Int }
"""
    assert codes(text) == set()
    assert codes(text.replace("n: 1", 'n: \\"1\\"')) == {"REQUIRES_INVALID_FIELDS"}


def test_what_one_subgraph_deprecates_and_another_requires() -> None:
    text = """
### a
# link 2.9
type Query { t(i: I): Int @shareable }
input I { x: Int! }
### b
# link 2.9
type Query { t(i: I): Int @shareable }
input I { x: Int @deprecated }
"""
    assert codes(text) == {"INVALID_GRAPHQL"}
    assert codes(text.replace("Int!", "Int")) == set()


def test_an_input_field_left_out_still_makes_its_enum_an_input() -> None:
    text = """
### a
# link 2.9
type Query { t(i: I): E @shareable }
input I { x: Int only: E }
enum E { A B }
### b
# link 2.9
type Query { t(i: I): E @shareable }
input I { x: Int }
enum E { A }
"""
    assert codes(text) == {"ENUM_VALUE_MISMATCH"}


def test_no_subgraphs() -> None:
    assert {error.code for error in compose([]).errors} == {"NO_QUERIES"}


def test_sdl_of_nothing() -> None:
    assert {error.code for error in compose([("a", "")]).errors} == {"INVALID_GRAPHQL"}


def test_sdl_nested_without_end() -> None:
    deep = "[" * 5_000 + "Int" + "]" * 5_000
    assert "INVALID_GRAPHQL" in {
        error.code for error in compose([("a", f"type Query {{ a: {deep} }}")]).errors
    }


WORDS = re.compile(r"@\w+(?:\((?:[^()\"]|\"[^\"]*\")*\))?|\w+(?=[:\s{!\]])|[!\[\]]")
"""What an edit may take out or put elsewhere: applications, names, wrappers of types."""


@pytest.mark.slow
@given(st.data())
@settings(max_examples=60, deadline=None)
def test_edited_graphs_are_composed_or_refused(data: st.DataObject) -> None:
    """Whatever is done to a graph, composition answers; what it makes can be read."""
    subgraphs = [list(astuple(one)) for one in read_case(data.draw(st.sampled_from(CASES)))]
    for _ in range(data.draw(st.integers(1, 3))):
        one = data.draw(st.sampled_from(subgraphs))
        found = list(WORDS.finditer(one[1]))
        gone = data.draw(st.sampled_from(found))
        other = data.draw(st.sampled_from(found)).group()
        put = data.draw(st.sampled_from(["", other, f"{gone.group()} {other}"]))
        one[1] = one[1][: gone.start()] + put + one[1][gone.end() :]
    result = compose(Subgraph(*one) for one in subgraphs)
    assert bool(result.errors) == (result.supergraph_sdl is None)
    if result.supergraph_sdl is not None:
        Supergraph.from_sdl(result.supergraph_sdl)

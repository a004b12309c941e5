"""Checking variables: the compiled checks say what graphql-core says."""

from __future__ import annotations

from typing import Any

import pytest
from graphql import OperationDefinitionNode, build_schema, parse
from graphql.execution import get_variable_values
from hypothesis import example, given
from hypothesis import strategies as st

from router.executor.variables import BadVariables, Variables

SCHEMA = build_schema("""
  scalar Any
  enum Color { RED BLUE }
  input Point { x: Int!  y: Float = 1  tags: [String!]  up: Point  color: Color }
  input One @oneOf { a: Int  b: String }
  type Query {
    f(i: Int, f: Float, s: String, id: ID, b: Boolean, any: Any, c: Color, p: Point, o: One
      l: [Int!], m: [[Int]], r: Int!): Int
  }
""")
DEFINITIONS = """query(
  $i: Int  $f: Float  $s: String  $id: ID  $b: Boolean  $any: Any  $c: Color  $p: Point  $o: One
  $l: [Int!]  $m: [[Int]]  $r: Int! = 3
) { f }"""


def operation(text: str) -> OperationDefinitionNode:
    node = parse(text).definitions[0]
    assert isinstance(node, OperationDefinitionNode)
    return node


OPERATION = operation(DEFINITIONS)
VARIABLES = Variables(SCHEMA, OPERATION)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**33), 2**33)
    | st.sampled_from(["a", "RED", "", 1.5, 2.0, -0.0, 1e30])
)
KEYS = ("x", "y", "tags", "up", "color", "a", "b", "z")
JSON = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4)
    ),
    max_leaves=6,
)


@pytest.mark.slow
@given(st.dictionaries(st.sampled_from("i f s id b any c p o l m r other".split()), JSON))  # noqa: SIM905
@example({"id": 2.0})
@example({"id": 1.5})
def test_as_graphql_core(given_values: dict[str, Any]) -> None:
    definitions = OPERATION.variable_definitions
    assert definitions is not None
    expected = get_variable_values(SCHEMA, definitions, given_values)
    if isinstance(expected, list):
        with pytest.raises(BadVariables) as refused:
            VARIABLES.check(given_values)
        assert [error.message for error in refused.value.errors]
    else:
        kept = {name: value for name, value in given_values.items() if name != "other"}
        assert VARIABLES.check(given_values) == kept


def test_what_is_missing() -> None:
    needed = Variables(SCHEMA, operation("query($r: Int!) { f(r: $r) }"))
    with pytest.raises(BadVariables, match="non-null type"):
        needed.check({})
    with pytest.raises(BadVariables, match="null"):
        needed.check({"r": None})
    assert needed.check({"r": 1, "unknown": 2}) == {"r": 1}


def test_conditions() -> None:
    text = "query($a: Boolean! = true, $b: Boolean, $c: Int) { f @skip(if: $a) }"
    variables = Variables(SCHEMA, operation(text))
    assert variables.conditions({}) == {"a": True, "b": False}
    assert variables.conditions({"a": False, "b": True}) == {"a": False, "b": True}

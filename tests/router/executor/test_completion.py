"""Completing answers: both ways of doing it agree, and do what the specification says."""

from __future__ import annotations

from typing import Any

import pytest
from graphql import DocumentNode, FragmentDefinitionNode, OperationDefinitionNode, build_schema
from graphql import parse as parse_operation
from hypothesis import given
from hypothesis import strategies as st

from router.executor.errors import ErrorSink
from router.executor.null_propagation import complete
from router.executor.projection import Faulty, compile_projection
from router.executor.shape import ObjectShape, Shapes

SCHEMA = build_schema("""
  scalar Any
  enum Color { RED BLUE }
  interface Named { name: String }
  type Query {
    s: String  i: Int  f: Float  b: Boolean  id: ID  any: Any  color: Color
    rs: String!  list: [String!]  rlist: [Int!]!  matrix: [[Int]]
    child: Child  rchild: Child!  children: [Child!]  named: Named  pet: Pet
  }
  type Child implements Named { name: String  must: String!  up: Child  rup: Child! }
  type Dog implements Named { name: String  barks: Boolean! }
  union Pet = Dog | Child
""")


def shape_of(query: str, conditions: dict[str, bool] | None = None) -> ObjectShape:
    document: DocumentNode = parse_operation(query)
    operation = next(n for n in document.definitions if isinstance(n, OperationDefinitionNode))
    fragments = {
        node.name.value: node
        for node in document.definitions
        if isinstance(node, FragmentDefinitionNode)
    }
    return Shapes(SCHEMA, operation, fragments, conditions or {}).root()


def carefully(query: str, tree: Any) -> tuple[Any, list[tuple[list[Any], str]]]:
    sink = ErrorSink()
    data = complete(shape_of(query), tree, sink)
    return data, [(error["path"], error["extensions"]["code"]) for error in sink.list]


NULL, VALUE = "UNEXPECTED_NULL", "UNEXPECTED_VALUE"


@pytest.mark.parametrize(
    ("query", "tree", "data", "errors"),
    [
        ("{ s }", {}, {"s": None}, []),
        ("{ a: s  s: i }", {"s": 1, "a": "x", "helper": 2}, {"a": "x", "s": 1}, []),
        ("{ rs }", {}, None, [(["rs"], NULL)]),
        ("{ s }", {"s": 3}, {"s": None}, [(["s"], VALUE)]),
        ("{ s }", {"s": {"x": 1}}, {"s": None}, [(["s"], VALUE)]),
        ("{ i }", {"i": True}, {"i": None}, [(["i"], VALUE)]),
        ("{ i }", {"i": 2.0}, {"i": 2}, []),
        ("{ i }", {"i": 2**31}, {"i": None}, [(["i"], VALUE)]),
        ("{ f }", {"f": 2}, {"f": 2}, []),
        ("{ f }", {"f": "2"}, {"f": None}, [(["f"], VALUE)]),
        ("{ b }", {"b": 0}, {"b": None}, [(["b"], VALUE)]),
        ("{ id }", {"id": 7}, {"id": "7"}, []),
        ("{ any }", {"any": {"x": [1]}}, {"any": {"x": [1]}}, []),
        ("{ color }", {"color": "RED"}, {"color": "RED"}, []),
        ("{ color }", {"color": "HIDDEN"}, {"color": None}, [(["color"], VALUE)]),
        ("{ color }", {"color": ["RED"]}, {"color": None}, [(["color"], VALUE)]),
        ("{ list }", {"list": ["a", None]}, {"list": None}, [(["list", 1], NULL)]),
        ("{ list }", {"list": "a"}, {"list": None}, [(["list"], VALUE)]),
        ("{ rlist }", {"rlist": [1, None]}, None, [(["rlist", 1], NULL)]),
        ("{ matrix }", {"matrix": [[1, None], None]}, {"matrix": [[1, None], None]}, []),
        ("{ matrix }", {"matrix": [[1, "x"], 3]}, {"matrix": [[1, None], None]},
         [(["matrix", 0, 1], VALUE), (["matrix", 1], VALUE)]),
        ("{ child { must } }", {"child": {}}, {"child": None}, [(["child", "must"], NULL)]),
        ("{ child { rup { rup { must } } } }", {"child": {"rup": {"rup": {}}}}, {"child": None},
         [(["child", "rup", "rup", "must"], NULL)]),
        ("{ child { up { rup { must } } } }", {"child": {"up": {"rup": {}}}},
         {"child": {"up": None}}, [(["child", "up", "rup", "must"], NULL)]),
        ("{ rchild { must } s }", {"rchild": {}, "s": "x"}, None, [(["rchild", "must"], NULL)]),
        ("{ children { must } }", {"children": [{"must": "a"}, {}]}, {"children": None},
         [(["children", 1, "must"], NULL)]),
        ("{ child { name } }", {"child": [1]}, {"child": None}, [(["child"], VALUE)]),
        ("{ named { __typename name } }", {"named": {"__typename": "Dog", "name": "R"}},
         {"named": {"__typename": "Dog", "name": "R"}}, []),
        ("{ named { name ... on Dog { barks } } }", {"named": {"__typename": "Child", "name": "R"}},
         {"named": {"name": "R"}}, []),
        ("{ named { name } }", {"named": {"__typename": "Hidden"}}, {"named": None},
         [(["named"], VALUE)]),
        ("{ named { name } }", {"named": {"__typename": ["Dog"]}}, {"named": None},
         [(["named"], VALUE)]),
        ("{ named { name } }", {"named": {"name": "x"}}, {"named": {"name": "x"}}, []),
        ("{ named { name } }", {"named": {"__typename": "Named", "name": "x"}},
         {"named": {"name": "x"}}, []),
        ("{ named { __typename } }", {"named": {"__typename": "Named"}}, {"named": None},
         [(["named"], VALUE)]),
        ("{ named { name ... on Dog { barks } } }", {"named": {"name": "x"}}, {"named": None},
         [(["named"], VALUE)]),
        ("{ pet { ... on Named { name } ... on Dog { barks } } }",
         {"pet": {"__typename": "Dog", "barks": True}}, {"pet": {"name": None, "barks": True}}, []),
        ("{ pet { __typename } }", {"pet": {"__typename": "Query"}}, {"pet": None},
         [(["pet"], VALUE)]),
        ("{ pet { ...F } } fragment F on Pet { ... on Dog { ...G } } fragment G on Dog { n: name }",
         {"pet": {"__typename": "Dog", "n": "R"}}, {"pet": {"n": "R"}}, []),
        ("{ child { name } child { must } }", {"child": {"name": "a", "must": "b"}},
         {"child": {"name": "a", "must": "b"}}, []),
        ("{ __typename s @skip(if: true) i @include(if: false) }", {"s": "x"},
         {"__typename": "Query"}, []),
    ],
)  # fmt: skip
def test_completion(query: str, tree: Any, data: Any, errors: Any) -> None:
    assert carefully(query, tree) == (data, errors)
    if errors:
        with pytest.raises((Faulty, TypeError)):
            compile_projection(shape_of(query))(tree)


KEYS = (
    "s",
    "i",
    "f",
    "b",
    "id",
    "any",
    "color",
    "rs",
    "list",
    "rlist",
    "matrix",
    "child",
    "rchild",
    "children",
    "named",
    "pet",
    "name",
    "must",
    "up",
    "rup",
    "barks",
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 2**31)
    | st.sampled_from(["x", "RED", "BLUE", "GREEN", 1.5, 2.0])
    | st.fixed_dictionaries({"__typename": st.sampled_from(["Dog", "Child", "Named", "Gone"])}),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(KEYS),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)
EVERYTHING = """{
  s i f b id any color list matrix
  child { ...C } children { must name } named { ...N }
  pet { __typename ... on Named { name } ... on Dog { barks } }
}
fragment C on Child { name up { must rup { name } } }
fragment N on Named { name ... on Child { must } }
"""
SHAPE = shape_of(EVERYTHING)
PROJECT = compile_projection(SHAPE)


@pytest.mark.slow
@given(st.dictionaries(st.sampled_from([field.key for field in SHAPE.fields]), VALUES, max_size=6))
def test_both_ways_agree(tree: dict[str, Any]) -> None:
    """Where the quick way answers, the careful way gives the same answer and finds no fault."""
    sink = ErrorSink()
    data = complete(SHAPE, tree, sink)
    try:
        quick = PROJECT(tree)
    except (Faulty, TypeError):
        return
    assert not sink.list
    assert quick == data
    assert repr(quick) == repr(data), "in the same order, of the same kinds"


def test_conditions_by_variables() -> None:
    query = "query($a: Boolean!) { s @include(if: $a) ... @skip(if: $a) { i } }"
    assert [f.key for f in shape_of(query, {"a": True}).fields] == ["s"]
    assert [f.key for f in shape_of(query, {"a": False}).fields] == ["i"]


def test_an_error_explains_what_is_missing_at_above_and_below_it() -> None:
    for path in (["child", "rup", "must"], ["child"], ["child", "rup", "must", "deeper"]):
        sink = ErrorSink()
        sink.add({"message": "m", "path": path})
        assert complete(shape_of("{ child { rup { must } } }"), {"child": {"rup": {}}}, sink) == {
            "child": None
        }
        assert len(sink.list) == 1
    sink = ErrorSink()
    sink.add({"message": "m", "path": ["child", "name"]})
    complete(shape_of("{ child { must } }"), {"child": {}}, sink)
    assert len(sink.list) == 2, "an error beside it explains nothing"


def test_patterns_cover_all_elements_of_a_list() -> None:
    sink = ErrorSink()
    sink.add({"message": "m"}, [("children", "@")])
    complete(shape_of("{ children { must } }"), {"children": [{"must": "x"}, {}]}, sink)
    assert len(sink.list) == 1


def test_errors_are_bounded() -> None:
    sink = ErrorSink()
    for number in range(1_500):
        sink.add({"message": "m", "path": [number]})
    finished = sink.finished()
    assert len(finished) == 1_001
    assert finished[-1]["message"].startswith("500 more")

"""The generated loop finds and represents what walking and building step by step do."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.executor.collect import compile_collect
from router.executor.paths import compile_walk, places
from router.executor.representations import compile_representations
from router.planner.plan import (
    EntityCall,
    Path,
    RequiredField,
    RequiredFragment,
    SetTypename,
    TypeFilter,
)

NAMES = st.sampled_from(["a", "b", "id", "__typename"])
TREES = st.recursive(
    st.none()
    | st.booleans()
    | st.sampled_from([1, 1.0, "1", "A", "B", "C", 2])
    | st.fixed_dictionaries(
        {"__typename": st.sampled_from(["A", "B"]), "id": st.sampled_from(["1", "2", 1, True])}
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=20,
)
ELEMENTS = st.sampled_from(
    [("a",), ("b",), ("a", "@"), ("b", "@"), ("a", "@", "@"), (TypeFilter(("A",)),)]
) | st.just((TypeFilter(("A", "B")),))
PATHS = st.lists(ELEMENTS, max_size=4).map(lambda parts: tuple(e for part in parts for e in part))
FIELDS = st.lists(st.sampled_from(["id", "a", "b", "__typename"]), min_size=1, unique=True)


def call_of(path: Path, fields: list[str], types: frozenset[str], rewritten: bool) -> EntityCall:
    required = tuple(RequiredField(name, name) for name in fields)
    rewrites = (SetTypename(frozenset({"A", "B"}), "I"),) if rewritten else ()
    fragment = RequiredFragment("A", types, required)
    return EntityCall("_entities", "r", path, (fragment,), rewrites)


@pytest.mark.slow
@settings(max_examples=400, deadline=None)
@given(
    st.dictionaries(NAMES, TREES, max_size=4),
    PATHS,
    FIELDS,
    st.sampled_from([frozenset({"A"}), frozenset({"A", "B"})]),
    st.booleans(),
)
def test_both_ways_agree(
    tree: dict[str, Any], path: Path, fields: list[str], types: frozenset[str], rewritten: bool
) -> None:
    call = call_of(path, fields, types, rewritten)
    representations, targets = compile_collect(call)(tree)
    expected, expected_targets = compile_representations(call)(compile_walk(path)(tree))
    assert repr(representations) == repr(expected)
    assert [[id(value) for value in values] for values in targets] == [
        [id(value) for value in values] for values in expected_targets
    ]
    walked = [id(value) for value in compile_walk(path)(tree)]
    assert walked == [id(place.value) for place in places(path, tree)]


def test_shared_lists_are_looked_at_once() -> None:
    shared = [{"__typename": "A", "id": "1"}]
    tree = {"a": [{"b": shared}, {"b": shared}]}
    call = call_of(("a", "@", "b", "@"), ["id"], frozenset({"A"}), False)
    assert compile_collect(call)(tree)[1] == [[shared[0]]]


def test_paths_of_any_length() -> None:
    path: Path = ("a", "@") * 30
    tree: dict[str, Any] = {"__typename": "A", "id": "1"}
    for _ in range(30):
        tree = {"a": [tree]}
    call = call_of(path, ["id"], frozenset({"A"}), False)
    assert compile_collect(call)(tree)[0] == [{"__typename": "A", "id": "1"}]


def test_the_deepest_path_that_is_generated() -> None:
    path: Path = ("a", "@") * 12 + ("b",) * 16
    tree: dict[str, Any] = {"__typename": "A", "id": "1"}
    for _ in range(16):
        tree = {"b": tree}
    for _ in range(12):
        tree = {"a": [tree]}
    call = call_of(path, ["id"], frozenset({"A"}), False)
    assert compile_collect(call)(tree)[0] == [{"__typename": "A", "id": "1"}]
    assert compile_collect(call)({"a": []}) == ([], [])

"""How arguments of one directive are merged when subgraphs disagree."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.composition.merge.strategies import Dnf, conjunction, implies, merge_argument
from router.composition.values import ABSENT, Absent, Value

TERMS = st.lists(st.lists(st.sampled_from("abcd"), max_size=3), max_size=4)


@pytest.mark.parametrize(
    ("formulas", "expected"),
    [
        ([[["a"]], [["b"]]], [["a", "b"]]),
        ([[["a"], ["b"]], [["a"]]], [["a"]]),
        ([[["a", "b"]], [["b", "a"]]], [["a", "b"]]),
        ([[], [["a"]]], [["a"]]),
        ([[["a"], ["b", "c"]], [["a"], ["d"]]], [["a"], ["b", "c", "d"]]),
        ([[["a", "a"]]], [["a"]]),
    ],
)
def test_conjunction(formulas: list[Dnf], expected: Dnf) -> None:
    assert conjunction(formulas) == expected


@given(st.lists(TERMS, min_size=1, max_size=3), st.frozensets(st.sampled_from("abcd")))
def test_a_conjunction_holds_where_all_do(formulas: list[Dnf], held: frozenset[str]) -> None:
    def holds(formula: Dnf) -> bool:
        return not formula or any(set(term) <= held for term in formula)

    merged = conjunction(formulas)
    assert holds(merged) == all(holds(one) for one in formulas)
    assert all(implies(merged, one) for one in formulas)


@pytest.mark.parametrize(
    ("strategy", "argument", "values", "expected"),
    [
        ("MAX", "weight", [3, 9, 4], 9),
        ("NULLABLE_MAX", "assumedSize", [ABSENT, 3, None], 3),
        ("NULLABLE_MAX", "assumedSize", [ABSENT, None], ABSENT),
        ("NULLABLE_UNION", "sizedFields", [["a"], ABSENT, ["b", "a"]], ["a", "b"]),
        ("NULLABLE_AND", "requireOneSlicingArgument", [ABSENT, False], False),
        ("NULLABLE_AND", "requireOneSlicingArgument", [ABSENT, True], True),
        ("DNF_CONJUNCTION", "scopes", [[["a"]], [["b"]]], [["a", "b"]]),
    ],
)
def test_merged_arguments(
    strategy: str, argument: str, values: list[Value | Absent], expected: Value | Absent
) -> None:
    assert merge_argument(strategy, values, argument) == expected  # type: ignore[arg-type]

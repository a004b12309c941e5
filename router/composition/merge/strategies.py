"""Merging arguments of one directive that subgraphs give different values.

Source: Federation "argument composition strategies". A disjunctive normal form is a list (or) of
lists (and) of names; an empty list counts as always true, as routers take it.
"""

from __future__ import annotations

from collections.abc import Sequence

from router.composition.federation_spec import Strategy
from router.composition.values import ABSENT, Absent, Value, equal

CONJUNCTION_TERMS_MAX = 10_000
"""More alternatives than these cannot be merged; they are kept as they stand by then."""

Dnf = list[list[str]]


def merge_argument(
    strategy: Strategy, values: Sequence[Value | Absent], argument: str
) -> Value | Absent:
    """One value for several. Absent and null values do not count in the nullable strategies."""
    if argument == "requireOneSlicingArgument":
        values = [True if value is ABSENT else value for value in values]
    known = [value for value in values if value is not None and not isinstance(value, Absent)]
    if not known:
        return ABSENT
    match strategy:
        case "MAX" | "NULLABLE_MAX":
            return max(value for value in known if isinstance(value, int))
        case "NULLABLE_AND":
            return all(value is True for value in known)
        case "NULLABLE_UNION":
            return _union(known)
        case "DNF_CONJUNCTION":
            return [list(term) for term in conjunction([dnf_of(value) for value in known])]


def dnf_of(value: Value | Absent) -> Dnf:
    """The alternatives in a value of `scopes` or `policies`."""
    if not isinstance(value, list):
        return []
    return [
        [name for name in term if isinstance(name, str)] for term in value if isinstance(term, list)
    ]


def conjunction(formulas: Sequence[Dnf]) -> Dnf:
    """All formulas at once, with terms implied by shorter ones left out. Sorted."""
    unique: list[list[frozenset[str]]] = []
    for formula in formulas:
        terms = sorted({frozenset(term) for term in formula} or {frozenset[str]()}, key=sorted)
        if terms not in unique:
            unique.append(terms)
    answer: list[frozenset[str]] = [frozenset()]
    for terms in unique:
        answer = _minimal({left | right for left in answer for right in terms})
        if len(answer) > CONJUNCTION_TERMS_MAX:
            break
    return [sorted(term) for term in answer]


def implies(left: Dnf, right: Dnf) -> bool:
    """Whether whoever satisfies `left` satisfies `right`."""
    return all(any(set(wanted) <= set(given) for wanted in right or [[]]) for given in left or [[]])


def _minimal(terms: set[frozenset[str]]) -> list[frozenset[str]]:
    kept: list[frozenset[str]] = []
    for term in sorted(terms, key=lambda one: (len(one), sorted(one))):
        if not any(other <= term for other in kept):
            kept.append(term)
    return kept


def _union(values: Sequence[Value]) -> Value:
    answer: list[Value] = []
    for value in values:
        for item in value if isinstance(value, list) else [value]:
            if not any(equal(item, other) for other in answer):
                answer.append(item)
    return answer

"""Drawn graphs, split over subgraphs: the router answers as one schema over the same data does.

`make differential` does the same for 100,000 operations; what it finds is kept in
`tests/golden/differential`, a folder a case.
"""

from __future__ import annotations

from pathlib import Path
from random import SystemRandom

import pytest

from tests.support.differential.case import Graph, Operation, golden_cases, read_case
from tests.support.differential.main import run_graph
from tests.support.differential.run import Both, Difference, check_case

SEEDS = range(1, 13)
RANDOM_SEEDS = 2
OPERATIONS = 6


@pytest.mark.parametrize("folder", golden_cases(), ids=lambda folder: folder.name)
def test_kept_case(folder: Path) -> None:
    check_case(read_case(folder))


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_the_router_answers_as_one_schema_does(seed: int) -> None:
    _agree(seed)


@pytest.mark.slow
def test_the_router_answers_as_one_schema_does_on_new_graphs() -> None:
    for _ in range(RANDOM_SEEDS):
        _agree(SystemRandom().randrange(10**9))


def _agree(seed: int) -> None:
    outcome = run_graph(seed, OPERATIONS)
    told = [f"graph {seed}: {text}\n{case.operation}" for _, _, case, text in outcome.failures]
    assert not told, "\n".join(told)
    assert outcome.operations > OPERATIONS // 2


WHOLE = "type Query { thing: Thing } type Thing { id: ID! name: String size: Int }"
LINK = (
    'extend schema @link(url: "https://specs.apollo.dev/federation/v2.9",'
    ' import: ["@key", "@external", "@shareable", "@provides"])\n'
)
PARTS = {
    "one": LINK + 'type Query { thing: Thing } type Thing @key(fields: "id")'
    " { id: ID! size: Int @shareable }",
    "two": LINK + 'type Thing @key(fields: "id") { id: ID! name: String size: Int @shareable }',
}
DATA = {
    "Query": {"__typename": "Query", "thing": {"@": "1"}},
    "1": {"__typename": "Thing", "id": "1", "name": "a", "size": 3},
}


def test_an_agreement_is_seen() -> None:
    Both(Graph(WHOLE, PARTS, DATA)).check(Operation("{ thing { size name } }"))


def test_a_wrong_value_is_seen() -> None:
    both = Both(Graph(WHOLE, PARTS, DATA))
    both.parts["two"].store = Both(
        Graph(WHOLE, PARTS, {**DATA, "1": {**DATA["1"], "name": "b"}})
    ).store
    with pytest.raises(Difference, match="data"):
        both.check(Operation("{ thing { size name } }"))


def test_an_error_that_is_lost_is_seen() -> None:
    faulty = Graph(WHOLE, PARTS, {**DATA, "1": {**DATA["1"], "name": {"!": "fails"}}})
    both = Both(faulty)
    both.check(Operation("{ thing { size name } }"))
    both.parts["two"].store = Both(
        Graph(WHOLE, PARTS, {**DATA, "1": {**DATA["1"], "name": None}})
    ).store
    with pytest.raises(Difference, match="errors"):
        both.check(Operation("{ thing { size name } }"))


def test_what_a_subgraph_may_not_answer_is_seen() -> None:
    external = {**PARTS, "two": PARTS["two"].replace("size: Int @shareable", "size: Int @external")}
    provided = {
        **external,
        "two": external["two"] + ' type Query { other: Thing @provides(fields: "size") }',
    }
    whole = WHOLE.replace("{ thing: Thing }", "{ thing: Thing other: Thing }")
    data = {**DATA, "Query": {**DATA["Query"], "other": {"@": "1"}}}
    both = Both(Graph(whole, provided, data))
    both.check(Operation("{ other { size name } }"))
    part = both.parts["two"]
    document = "{ other { size } }"
    assert part.execute(document, {}).errors is None
    text = "query($r: [_Any!]!) { _entities(representations: $r) { ... on Thing { size } } }"
    part.execute(text, {"r": [{"__typename": "Thing", "id": "1"}]})
    assert part.trespasses == ["two: Thing.size is external and not provided"]


def test_an_api_schema_with_less_is_seen() -> None:
    more = WHOLE.replace("name: String", "name: String more: Int")
    with pytest.raises(Difference, match="more: Int"):
        Both(Graph(more, PARTS, DATA)).check_schema()

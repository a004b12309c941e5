"""Plans as JSON, in Apollo's format."""

from __future__ import annotations

import json

from graphql import parse

from router.planner import Planner
from router.planner.display import display, path_text, to_json
from router.planner.plan import QueryPlan, TypeFilter
from tests.support.golden_plans import graph_named


def test_json_of_an_entity_fetch() -> None:
    plan = Planner(graph_named("shop")).plan(parse("{ viewer { reviews { id } } }"))
    shown = to_json(plan)
    assert json.loads(json.dumps(shown)) == shown
    assert shown == {
        "kind": "QueryPlan",
        "node": {
            "kind": "Sequence",
            "nodes": [
                {
                    "kind": "Fetch",
                    "serviceName": "people",
                    "variableUsages": [],
                    "operation": "{ viewer { __typename id } }",
                    "operationKind": "query",
                    "operationName": None,
                    "id": "0",
                },
                {
                    "kind": "Flatten",
                    "path": ["viewer"],
                    "node": {
                        "kind": "Fetch",
                        "serviceName": "opinions",
                        "variableUsages": [],
                        "operation": "query($representations: [_Any!]!) {"
                        " _entities(representations: $representations) {"
                        " ... on Person { reviews { id } } } }",
                        "operationKind": "query",
                        "operationName": None,
                        "id": "1",
                        "requires": [
                            {
                                "kind": "InlineFragment",
                                "typeCondition": "Person",
                                "selections": [
                                    {"kind": "Field", "name": "__typename"},
                                    {"kind": "Field", "name": "id"},
                                ],
                            }
                        ],
                    },
                },
            ],
        },
    }


def test_json_of_conditions_rewrites_and_batches() -> None:
    planner = Planner(graph_named("fleet"))
    text = json.dumps(
        to_json(
            planner.plan(
                parse("query ($x: Boolean!) { seen { toll @include(if: $x) } vehicles { toll } }")
            )
        )
    )
    for word in ('"ValueSetter"', '"Condition"', '"ifClause"', '"entityCalls"'):
        assert word in text


def test_an_empty_plan() -> None:
    assert display(QueryPlan(None)) == "QueryPlan {\n}"
    assert to_json(QueryPlan(None)) == {"kind": "QueryPlan", "node": None}


def test_paths_as_text() -> None:
    assert path_text(("a", "@", TypeFilter(("B", "C")), "d")) == "a.@|[B,C].d"

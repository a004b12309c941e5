"""Golden plans, each checked by the oracle before it is compared."""

from __future__ import annotations

import pytest
from graphql import parse, validate

from router.planner import Planner
from router.planner.check import check_plan
from router.planner.display import display
from tests.support.golden_plans import GoldenPlan, golden_plans


@pytest.mark.parametrize("case", golden_plans(), ids=lambda case: case.name)
def test_query_plan(case: GoldenPlan) -> None:
    supergraph = case.supergraph
    document = parse(case.operation)
    assert validate(supergraph.api_schema, document) == []
    plan = Planner(supergraph).plan(document, override_labels=case.labels)
    check_plan(supergraph, document, plan, override_labels=case.labels)
    case.matches(display(plan))

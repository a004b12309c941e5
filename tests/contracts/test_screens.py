"""What a screen costs: at most two requests one after the other, whatever it shows.

A screen that needs three is a mistake in the schema: the user waits for each of them.
"""

from __future__ import annotations

from functools import cache

import pytest
from graphql import parse, validate

from router import compose
from router.planner import Planner, PlannerConfig
from router.planner.check import check_plan
from router.planner.plan import (
    Condition,
    Fetch,
    Flatten,
    Parallel,
    PlanNode,
    QueryPlan,
    Sequence,
    Subscription,
)
from router.supergraph import Supergraph
from tests.support.services import SERVICES, built

pytestmark = pytest.mark.slow  # whoever is first composes

STEPS_MAX = 2

MONEY = "{ amount currency }"
ORDER_PAGE = f"""query($id: ID!) {{ order(id: $id) {{
  number status placement placedAt total {MONEY} allowedActions
  customer {{ displayName email }}
  lines {{ titleAtPurchase quantity unitPrice {MONEY}
    variant {{ sku product {{ title slug }} availability {{ state available }} }} }}
  payments {{ state captured {MONEY} }} paymentStatus amountDue {MONEY}
  shipments {{ state carrier trackingNumber }} fulfillmentStatus
  reservation {{ state }} notifications {{ channel state }}
  history(first: 20) {{ edges {{ node {{ type recordedAt }} }} }} }} }}"""
SCREENS = {
    "order": (ORDER_PAGE, 8),
    "order lines with sku": (
        f"""query($id: ID!) {{ order(id: $id) {{
        lines {{ quantity total {MONEY} variant {{ sku }} }} }} }}""",
        1,
    ),
    "orders": (
        f"{{ orders(first: 20) {{ edges {{ node {{ number status total {MONEY} paymentStatus"
        " fulfillmentStatus customer { email } } } pageInfo { endCursor hasNextPage } } }",
        4,
    ),
    "cart": (
        f"""query($id: ID!) {{ cart(id: $id) {{ total {MONEY} problems {{ message }}
        lines {{ quantity variant {{ sku product {{ title }} availability {{ state }} }} }}
        shippingOptions {{ id name price {MONEY} }} }} }}""",
        4,
    ),
    "products": (
        f"""{{ products(first: 20) {{ edges {{ node {{ title slug category {{ name }}
        variants {{ sku price {MONEY} availability {{ state }}
        shippingEstimate(country: "ES") {MONEY} }} }} }} }} }}""",
        3,
    ),
    "me": (
        f"""{{ me {{ email roles addresses {{ city isDefault }}
        orders(first: 5) {{ edges {{ node {{ number total {MONEY} }} }} }} activeCart {{ id }}
        notifications(first: 5) {{ edges {{ node {{ subject state }} }} }} }} }}""",
        3,
    ),
    "causes": (
        """query($id: ID!) { causationChain(eventId: $id) { type service recordedAt
        actor { kind user { email } } } }""",
        2,
    ),
    "stock": (
        """{ stockItems(first: 20) { edges { node { onHand reserved allocated available
        variant { sku product { title } } warehouse { name } } } } }""",
        2,
    ),
}
"""Name to operation and the number of requests it takes."""


@cache
def supergraph() -> Supergraph:
    result = compose([(name, built()[name].sdl) for name in SERVICES])
    assert result.supergraph_sdl is not None, result.errors
    return Supergraph.from_sdl(result.supergraph_sdl)


def planned(operation: str) -> QueryPlan:
    document = parse(operation)
    assert validate(supergraph().api_schema, document) == []
    plan = Planner(supergraph(), PlannerConfig()).plan(document, None)
    check_plan(supergraph(), document, plan)
    return plan


def steps(node: PlanNode | None) -> int:
    """How many requests come one after the other at most."""
    match node:
        case None:
            return 0
        case Fetch() | Flatten():
            return 1
        case Sequence():
            return sum(steps(each) for each in node.nodes)
        case Parallel():
            return max(steps(each) for each in node.nodes)
        case Condition():
            return max(steps(node.if_clause), steps(node.else_clause))
        case Subscription():
            return 1 + steps(node.rest)


@pytest.mark.parametrize("screen", SCREENS)
def test_a_screen_takes_two_steps(screen: str) -> None:
    operation, requests = SCREENS[screen]
    plan = planned(operation)
    assert steps(plan.node) <= STEPS_MAX
    assert len(plan.fetches()) == requests

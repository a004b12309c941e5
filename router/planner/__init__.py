"""Query planning: from a validated operation to a tree of subgraph requests.

    planner = Planner(Supergraph.from_sdl(sdl), PlannerConfig())
    plan = planner.plan(document, operation_name, override_labels=frozenset())

`document` is a parsed document, valid against `supergraph.api_schema`. What a plan means is in
`router.planner.plan`.
"""

from router.planner.config import PlannerConfig
from router.planner.errors import PlanningError
from router.planner.plan import QueryPlan
from router.planner.planner import Planner

__all__ = ["Planner", "PlannerConfig", "PlanningError", "QueryPlan"]

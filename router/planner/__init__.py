"""Query planning: from a validated operation to a tree of subgraph requests.

    planner = Planner(Supergraph.from_sdl(sdl), PlannerConfig())
    plan = planner.plan(document, operation_name, override_labels=frozenset())

`document` is a parsed document, valid against `supergraph.api_schema`. The same plan object comes
back for operations that differ only in names, spelling or order of fragments (see `cache`).
"""

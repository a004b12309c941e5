"""Passes over the fetch graph, one a file. None makes the plan deeper."""

from router.planner.passes.batch import Request, batch
from router.planner.passes.join_types import join_types
from router.planner.passes.merge_siblings import merge_siblings

__all__ = ["Request", "batch", "join_types", "merge_siblings"]

"""Merging subgraphs into one supergraph. Merging never fails: it records, and rules judge."""

from __future__ import annotations

from router.composition.merge.merge import merge_subgraphs
from router.composition.merge.records import Merge

__all__ = ["Merge", "merge_subgraphs"]

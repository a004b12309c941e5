"""IMPLICITLY_UPGRADED_FEDERATION_VERSION: a linked feature needs a newer federation than linked."""

from __future__ import annotations

from collections.abc import Iterator

from router.composition.merge.records import Merge
from router.composition.problems import CompositionHint


def check(merge: Merge) -> Iterator[CompositionHint]:
    for subgraph in merge.subgraphs:
        linked, implied = subgraph.version, subgraph.implied_version
        if implied > linked:
            yield CompositionHint(
                "IMPLICITLY_UPGRADED_FEDERATION_VERSION",
                f'"{subgraph.name}" links federation v{linked[0]}.{linked[1]} but uses a feature '
                f"of v{implied[0]}.{implied[1]}, which is taken instead",
                (subgraph.name,),
            )

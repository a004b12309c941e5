"""UNKNOWN_LINK_VERSION: the link specification itself is known in v1.0 only."""

from __future__ import annotations

from collections.abc import Iterator

from router.composition.federation_spec import LINK
from router.composition.problems import CompositionError
from router.composition.rules.report import in_subgraph
from router.composition.subgraph import SubgraphSchema


def check(subgraph: SubgraphSchema) -> Iterator[CompositionError]:
    for link in subgraph.links:
        if link.identity == LINK and link.version != (1, 0):
            yield in_subgraph(
                subgraph,
                "UNKNOWN_LINK_VERSION",
                f'"{link.url}" is not a version of the link specification that is known: use v1.0',
                "",
                link.directive,
            )

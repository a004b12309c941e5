"""DIRECTIVE_COMPOSITION_INFO, DIRECTIVE_COMPOSITION_WARN: about `@composeDirective`."""

from __future__ import annotations

from collections.abc import Iterator

from router.composition.merge.records import Merge
from router.composition.problems import CompositionHint, place
from router.composition.rules.merging.compose_directive import COMPOSED_ANYWAY
from router.composition.rules.report import subgraphs_named


def check(merge: Merge) -> Iterator[CompositionHint]:
    for request in merge.composed.requests:
        subgraph = merge.subgraphs[request.index]
        federated = {name: key for key, names in subgraph.local.items() for name in names}
        if request.name is not None and federated.get(request.name) in COMPOSED_ANYWAY:
            yield CompositionHint(
                "DIRECTIVE_COMPOSITION_INFO",
                f"@{request.name} is always composed: @composeDirective is not needed for it",
                (subgraph.name,),
                (f"@{request.name}",),
                place(subgraph.name, request.directive.location),
            )
    for identity, links in merge.composed.major_mismatches.items():
        if any(one.link in links.values() for one in merge.composed.requests):
            continue
        yield CompositionHint(
            "DIRECTIVE_COMPOSITION_INFO",
            f'"{identity}" is linked in different major versions in '
            f"{subgraphs_named(merge, links)}",
            tuple(merge.names(links)),
        )
    for custom in merge.composed.custom.values():
        others = [
            index
            for index, subgraph in enumerate(merge.subgraphs)
            if custom.name not in merge.composed.per_subgraph.get(index, ())
            and any(
                link.identity == custom.identity
                and link.local_directive(custom.original) != custom.name
                for link in subgraph.links
            )
        ]
        if others:
            yield CompositionHint(
                "DIRECTIVE_COMPOSITION_WARN",
                f"@{custom.name} goes by another name in {subgraphs_named(merge, others)}, which "
                f"does not compose it: it could not as things are",
                tuple(merge.names(others)),
                (f"@{custom.name}",),
            )

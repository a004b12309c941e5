"""INVALID_LINK_DIRECTIVE_USAGE: what is imported from federation must exist in that version."""

from __future__ import annotations

from collections.abc import Iterator

from router.composition.federation_spec import FEDERATION_TYPES, federation_directives
from router.composition.links import federation_link
from router.composition.problems import CompositionError
from router.composition.rules.report import in_subgraph
from router.composition.subgraph import SubgraphSchema


def check(subgraph: SubgraphSchema) -> Iterator[CompositionError]:
    link = federation_link(subgraph.links)
    if link is None:
        return
    directives = federation_directives(subgraph.version)
    types = {name for name, since in FEDERATION_TYPES.items() if since <= subgraph.version}
    for name in link.imports:
        if name in types or (name.startswith("@") and name[1:] in directives):
            continue
        way_on = f': did you mean "@{name}"?' if name in directives else ""
        yield in_subgraph(
            subgraph,
            "INVALID_LINK_DIRECTIVE_USAGE",
            f'federation v{subgraph.version[0]}.{subgraph.version[1]} has no "{name}" to import'
            f"{way_on}",
            "",
            link.directive,
        )

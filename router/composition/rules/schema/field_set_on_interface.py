"""KEY/PROVIDES/REQUIRES_UNSUPPORTED_ON_INTERFACE.

`@key` on interfaces came with federation 2.3; the others have no meaning there.
"""

from __future__ import annotations

from collections.abc import Iterator

from router.composition.problems import CompositionError
from router.composition.rules.report import in_subgraph
from router.composition.rules.schema.field_set_uses import field_set_uses
from router.composition.subgraph import SubgraphSchema


def check(subgraph: SubgraphSchema) -> Iterator[CompositionError]:
    for use in field_set_uses(subgraph):
        if use.owner.kind != "interface":
            continue
        if use.name == "key":
            if subgraph.version >= (2, 3):
                continue
            way_on = "link federation v2.3 or later for keys on interfaces"
        else:
            way_on = "put it on the implementations' fields"
        yield in_subgraph(
            subgraph,
            f"{use.code_prefix}_UNSUPPORTED_ON_INTERFACE",
            f'{use.shown} on {use.coordinate}: "{use.owner.name}" is an interface; {way_on}',
            use.coordinate,
            use.directive,
        )

"""DISALLOWED_INACCESSIBLE: built-in types, and directives for schemas, are not hidden."""

from __future__ import annotations

from collections.abc import Iterator

from router.composition.merge.directives import EXECUTABLE
from router.composition.merge.records import Merge
from router.composition.model import BUILT_IN_SCALARS, applied
from router.composition.names import INACCESSIBLE
from router.composition.problems import CompositionError, place
from router.composition.rules.supergraph.inaccessible import Visibility


def check(merge: Merge) -> Iterator[CompositionError]:
    view = Visibility(merge)
    if not view.in_use:
        return
    for subgraph in merge.subgraphs:
        for name in sorted(BUILT_IN_SCALARS & subgraph.schema.types.keys()):
            definition = subgraph.schema.types[name]
            if applied(definition, INACCESSIBLE):
                yield CompositionError(
                    "DISALLOWED_INACCESSIBLE",
                    f'[{subgraph.name}] "{name}" is built in and cannot be @inaccessible',
                    (subgraph.name,),
                    (name,),
                    place(subgraph.name, definition.location),
                )
    for directive in view.schema.directives.values():
        hidden = [one.name for one in directive.args.values() if view.hidden(one)]
        places = [one for one in directive.locations if one not in EXECUTABLE]
        if hidden and places:
            yield view.error(
                "DISALLOWED_INACCESSIBLE",
                f"@{directive.name} may stand on {', '.join(places)}, so its argument "
                f"{hidden[0]} cannot be @inaccessible",
                f"@{directive.name}({hidden[0]}:)",
            )

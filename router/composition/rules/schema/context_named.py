"""NO_CONTEXT_IN_SELECTION: `@fromContext(field:)` is `$context` and a selection."""

from __future__ import annotations

from collections.abc import Iterator

from router.composition.problems import CompositionError
from router.composition.rules.report import in_subgraph
from router.composition.rules.schema.context_uses import context_uses
from router.composition.subgraph import SubgraphSchema


def check(subgraph: SubgraphSchema) -> Iterator[CompositionError]:
    for use in context_uses(subgraph):
        if use.owner.kind == "object" and (use.context is None or use.selection is None):
            yield in_subgraph(
                subgraph,
                "NO_CONTEXT_IN_SELECTION",
                f"@fromContext on {use.coordinate} names no context: write it as "
                f'"$name {{ field }}"',
                use.coordinate,
                use.directive,
            )

"""CONTEXT_NO_RESOLVABLE_KEY: a field that takes a context is reached by an entity fetch."""

from __future__ import annotations

from collections.abc import Iterator

from router.composition.model import applied
from router.composition.names import KEY
from router.composition.problems import CompositionError
from router.composition.rules.report import in_subgraph
from router.composition.rules.schema.context_uses import context_uses
from router.composition.subgraph import SubgraphSchema


def check(subgraph: SubgraphSchema) -> Iterator[CompositionError]:
    reported: set[str] = set()
    for use in context_uses(subgraph):
        keys = applied(use.owner, KEY)
        if use.owner.kind != "object" or use.owner.name in reported or use.context is None:
            continue
        if not any(key.args.get("resolvable") is not False for key in keys):
            reported.add(use.owner.name)
            yield in_subgraph(
                subgraph,
                "CONTEXT_NO_RESOLVABLE_KEY",
                f'"{use.owner.name}" has no resolvable @key, but its field {use.field.name} takes '
                f"a context: give the type a key",
                use.owner.name,
                use.owner,
            )

"""KEY/PROVIDES/REQUIRES_DIRECTIVE_IN_FIELDS_ARG: no directives inside a field set."""

from __future__ import annotations

from collections.abc import Iterator

from router.composition.fieldset import Selections
from router.composition.problems import CompositionError
from router.composition.rules.report import in_subgraph
from router.composition.rules.schema.field_set_uses import field_set_uses
from router.composition.subgraph import SubgraphSchema


def check(subgraph: SubgraphSchema) -> Iterator[CompositionError]:
    for use in field_set_uses(subgraph):
        found = sorted(set(_directives(use.selections())))
        if found:
            yield in_subgraph(
                subgraph,
                f"{use.code_prefix}_DIRECTIVE_IN_FIELDS_ARG",
                f"{use.shown} on {use.coordinate} applies {', '.join(found)}: "
                f"a field set takes no directives",
                use.coordinate,
                use.directive,
            )


def _directives(selections: Selections) -> Iterator[str]:
    for item in selections:
        yield from item.directives
        yield from _directives(item.selections)

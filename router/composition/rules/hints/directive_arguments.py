"""INCONSISTENT_NON_REPEATABLE_DIRECTIVE_ARGUMENTS, MERGED_NON_REPEATABLE_DIRECTIVE_ARGUMENTS."""

from __future__ import annotations

from collections.abc import Iterator

from router.composition.merge.records import Merge
from router.composition.model import Directive
from router.composition.printing import print_applied
from router.composition.problems import CompositionHint
from router.composition.rules.report import variants


def check(merge: Merge) -> Iterator[CompositionHint]:
    for conflict in merge.directive_conflicts:
        shown = {
            index: print_applied(Directive(conflict.directive, one.args))
            for index, one in conflict.options.items()
        }
        chosen = print_applied(conflict.chosen)
        if conflict.strategies:
            code = "MERGED_NON_REPEATABLE_DIRECTIVE_ARGUMENTS"
            how = ", ".join(f"{name} by {strategy}" for name, strategy in conflict.strategies)
            fate = f"merged to {chosen} ({how})"
        else:
            code = "INCONSISTENT_NON_REPEATABLE_DIRECTIVE_ARGUMENTS"
            fate = f"the supergraph has {chosen}"
        applied = f"{variants(merge, shown)}; " if shown else ""
        yield CompositionHint(
            code,
            f"@{conflict.directive} on {conflict.coordinate}: {applied}{fate}",
            tuple(merge.names(conflict.options)),
            () if conflict.coordinate == "schema" else (conflict.coordinate,),
        )

"""Executable directives that not all subgraphs define alike.

INCONSISTENT_EXECUTABLE_DIRECTIVE_PRESENCE, NO_EXECUTABLE_DIRECTIVE_INTERSECTION,
INCONSISTENT_EXECUTABLE_DIRECTIVE_REPEATABLE, INCONSISTENT_EXECUTABLE_DIRECTIVE_LOCATIONS.
"""

from __future__ import annotations

from collections.abc import Iterator

from router.composition.merge.directives import EXECUTABLE
from router.composition.merge.records import Merge
from router.composition.problems import CompositionHint
from router.composition.rules.report import hint, subgraphs_named, variants


def check(merge: Merge) -> Iterator[CompositionHint]:
    for name, sources in merge.directives.items():
        present = {index: one for index, one in sources.items() if one is not None}
        missing = [index for index in sources if index not in present]
        if missing:
            yield hint(
                merge,
                "INCONSISTENT_EXECUTABLE_DIRECTIVE_PRESENCE",
                f"@{name} is left out of the supergraph: unknown in "
                f"{subgraphs_named(merge, missing)}",
                f"@{name}",
                sources,
            )
            continue
        places = {
            index: " | ".join(sorted(EXECUTABLE & set(one.locations)))
            for index, one in present.items()
        }
        if name not in merge.schema.directives:
            yield hint(
                merge,
                "NO_EXECUTABLE_DIRECTIVE_INTERSECTION",
                f"@{name} is left out of the supergraph: it may stand on "
                f"{variants(merge, places)}, and no place is common",
                f"@{name}",
                sources,
            )
            continue
        if len({one.repeatable for one in present.values()}) > 1:
            shown = {
                index: "repeatable" if one.repeatable else "not repeatable"
                for index, one in present.items()
            }
            yield hint(
                merge,
                "INCONSISTENT_EXECUTABLE_DIRECTIVE_REPEATABLE",
                f"@{name} is {variants(merge, shown)}; in the supergraph it is not",
                f"@{name}",
                sources,
            )
        if len(set(places.values())) > 1:
            yield hint(
                merge,
                "INCONSISTENT_EXECUTABLE_DIRECTIVE_LOCATIONS",
                f"@{name} may stand on {variants(merge, places)}; only what is common is kept",
                f"@{name}",
                sources,
            )

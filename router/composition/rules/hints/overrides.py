"""What an `@override` has come to.

FROM_SUBGRAPH_DOES_NOT_EXIST, OVERRIDDEN_FIELD_CAN_BE_REMOVED, OVERRIDE_DIRECTIVE_CAN_BE_REMOVED,
OVERRIDE_MIGRATION_IN_PROGRESS.
"""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches

from router.composition.merge.records import Merge
from router.composition.problems import CompositionHint
from router.composition.rules.merging.override import findings
from router.composition.rules.report import hint


def check(merge: Merge) -> Iterator[CompositionHint]:
    for field, finding, _ in findings(merge, "unknown_source"):
        close = get_close_matches(finding.source, [one.name for one in merge.subgraphs], 1)
        guess = f': did you mean "{close[0]}"?' if close else ""
        yield hint(
            merge,
            "FROM_SUBGRAPH_DOES_NOT_EXIST",
            f'{field.coordinate} overrides "{finding.source}", which is no subgraph{guess}',
            field.coordinate,
            {finding.index: field.sources[finding.index]},
        )
    for field, finding, _ in findings(merge, "source_gone", "source_external"):
        yield hint(
            merge,
            "OVERRIDE_DIRECTIVE_CAN_BE_REMOVED",
            f'{field.coordinate} is not resolved in "{finding.source}" any more: '
            f"its @override has done its work",
            field.coordinate,
            {finding.index: field.sources[finding.index]},
        )
    for field, finding, _ in findings(merge, "used_there", "unused_there"):
        there = next(i for i, one in enumerate(merge.subgraphs) if one.name == finding.source)
        needed = (
            " but field sets or interfaces there still need it: mark it @external"
            if finding.case == "used_there"
            else ": remove it there"
        )
        sources = {there: field.sources[there]}
        if finding.migrating:
            yield hint(
                merge,
                "OVERRIDE_MIGRATION_IN_PROGRESS",
                f'{field.coordinate} is moving from "{finding.source}" to '
                f'"{merge.name(finding.index)}" by label "{finding.label}"; when that is done, it '
                f"is overridden{needed}",
                field.coordinate,
                sources,
            )
        elif finding.label is None:
            yield hint(
                merge,
                "OVERRIDDEN_FIELD_CAN_BE_REMOVED",
                f'{field.coordinate} in "{finding.source}" is overridden{needed}',
                field.coordinate,
                sources,
            )

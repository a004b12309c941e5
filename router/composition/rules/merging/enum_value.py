"""ENUM_VALUE_MISMATCH: an enum both sent and received is the same everywhere."""

from __future__ import annotations

from collections.abc import Iterator

from router.composition.merge.records import Merge
from router.composition.problems import CompositionError
from router.composition.rules.report import across, subgraphs_named


def check(merge: Merge) -> Iterator[CompositionError]:
    hidden = merge.composed.federated.get("inaccessible")
    for one in merge.types.values():
        usage = merge.enum_usage.get(one.name)
        if one.kind != "enum" or usage is None or usage.input is None or usage.output is None:
            continue
        for name, sources in one.values.items():
            missing = [index for index, source in sources.items() if source is None]
            merged = one.merged.values[name]
            if missing and not any(directive.name == hidden for directive in merged.directives):
                yield across(
                    merge,
                    "ENUM_VALUE_MISMATCH",
                    f'value {name} of enum "{one.name}" is unknown in '
                    f"{subgraphs_named(merge, missing)}; the enum is sent ({usage.input}) and "
                    f"received ({usage.output}), so add the value there or hide it with "
                    f"@inaccessible",
                    f"{one.name}.{name}",
                    sources,
                )

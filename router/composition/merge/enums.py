"""Merging enum values: united for output, intersected for input.

A value that is `@inaccessible` somewhere stays whatever the use, since no client sees it.
"""

from __future__ import annotations

from router.composition.merge.elements import merge_applied, merge_descriptions
from router.composition.merge.records import EnumUsage, Merge, TypeMerge
from router.composition.model import Directive, EnumValueDef
from router.composition.values import EnumLiteral


def merge_values(merge: Merge, one: TypeMerge) -> None:
    """Fill the enum's values; needs to know all uses, so enums come last."""
    usage = merge.enum_usage.get(one.name, EnumUsage(output=""))
    names = dict.fromkeys(name for source in one.sources.values() for name in source.values)
    hidden = merge.composed.federated.get("inaccessible")
    for name in names:
        sources = {index: source.values.get(name) for index, source in one.sources.items()}
        one.values[name] = dict(sources)
        present = {index: value for index, value in sources.items() if value is not None}
        coordinate = f"{one.name}.{name}"
        directives = merge_applied(
            merge, coordinate, {index: value.directives for index, value in present.items()}
        )
        inaccessible = any(directive.name == hidden for directive in directives)
        everywhere = len(present) == len(sources)
        if usage.input is not None and usage.output is None and not everywhere and not inaccessible:
            continue
        joins = [
            Directive("join__enumValue", {"graph": EnumLiteral(merge.subgraphs[index].graph)})
            for index in present
        ]
        one.merged.values[name] = EnumValueDef(
            name,
            merge_descriptions(
                merge, coordinate, {index: value.description for index, value in present.items()}
            ),
            [*joins, *directives],
        )

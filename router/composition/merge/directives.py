"""Merging directive definitions.

Executable directives by intersection: a client may use only what every subgraph defines, where
every one allows it. Composed directives take the newest definition of those that compose them.
"""

from __future__ import annotations

from typing import Final

from router.composition.merge.elements import merge_applied, merge_descriptions
from router.composition.merge.inputs import merge_input
from router.composition.merge.records import Merge
from router.composition.model import BUILT_IN_DIRECTIVES, DirectiveDef, InputDef
from router.composition.types import IsSubtype

EXECUTABLE: Final = frozenset(
    {
        "QUERY",
        "MUTATION",
        "SUBSCRIPTION",
        "FIELD",
        "FRAGMENT_DEFINITION",
        "FRAGMENT_SPREAD",
        "INLINE_FRAGMENT",
        "VARIABLE_DEFINITION",
    }
)


def merge_custom_definitions(merge: Merge) -> None:
    """Definitions of the directives composed by `@composeDirective`."""
    for custom in merge.composed.custom.values():
        link = merge.composed.features[custom.identity]
        best: DirectiveDef | None = None
        for subgraph in merge.subgraphs:
            for own in subgraph.links:
                if own.identity != custom.identity:
                    continue
                definition = subgraph.schema.directives.get(own.local_directive(custom.original))
                if definition is not None and (best is None or own.url == link.url):
                    best = definition
        if best is not None:
            args = {name: _argument(merge, one) for name, one in best.args.items()}
            merge.schema.directives[custom.name] = DirectiveDef(
                custom.name, best.locations, args, best.repeatable, best.description
            )


def _argument(merge: Merge, one: InputDef) -> InputDef:
    coordinate = f"@({one.name}:)"
    directives = merge_applied(merge, coordinate, {0: one.directives})
    return InputDef(one.name, one.type, one.default, one.description, directives)


def merge_executable_definitions(merge: Merge, named: IsSubtype) -> None:
    """Definitions that clients may use; needs merged types for the arguments."""
    names = dict.fromkeys(
        name
        for subgraph in merge.subgraphs
        for name, definition in subgraph.schema.directives.items()
        if EXECUTABLE & set(definition.locations)
    )
    for name in names:
        if name in BUILT_IN_DIRECTIVES or name in merge.composed.custom:
            continue
        sources = {
            index: subgraph.schema.directives.get(name)
            for index, subgraph in enumerate(merge.subgraphs)
        }
        merge.directives[name] = dict(sources)
        present = {index: one for index, one in sources.items() if one is not None}
        arguments = dict.fromkeys(arg for one in present.values() for arg in one.args)
        merged_args = {
            arg: merge_input(
                merge,
                f"@{name}({arg}:)",
                arg,
                {index: one.args.get(arg) for index, one in present.items()},
                named,
            )
            for arg in arguments
        }
        merge.directive_args[name] = merged_args
        for argument in merged_args.values():
            argument.kept = all(source is not None for source in argument.sources.values())
        locations = [
            location
            for location in next(iter(present.values())).locations
            if location in EXECUTABLE and all(location in one.locations for one in present.values())
        ]
        if len(present) < len(sources) or not locations:
            continue
        merge.schema.directives[name] = DirectiveDef(
            name,
            locations,
            {
                arg: one.merged
                for arg, one in merged_args.items()
                if one.kept and one.merged is not None
            },
            all(one.repeatable for one in present.values()),
            merge_descriptions(
                merge, f"@{name}", {index: one.description for index, one in present.items()}
            ),
        )

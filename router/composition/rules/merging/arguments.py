"""Every argument of every field and directive, for the rules on arguments."""

from __future__ import annotations

from collections.abc import Iterator

from router.composition.merge.records import InputMerge, Merge


def all_arguments(merge: Merge) -> Iterator[InputMerge]:
    for field in merge.fields():
        yield from field.args.values()
    for name, args in merge.directive_args.items():
        if name in merge.schema.directives:
            yield from args.values()

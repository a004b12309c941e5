"""UNUSED_ENUM_TYPE: an enum that nothing refers to is merged as if it were received."""

from __future__ import annotations

from collections.abc import Iterator

from router.composition.merge.records import Merge
from router.composition.problems import CompositionHint
from router.composition.rules.report import hint


def check(merge: Merge) -> Iterator[CompositionHint]:
    for one in merge.types.values():
        if one.kind == "enum" and one.name not in merge.enum_usage:
            message = f'enum "{one.name}" is used nowhere; it is merged with all its values'
            yield hint(merge, "UNUSED_ENUM_TYPE", message, one.name, one.sources)

"""CONTEXT_NAME_INVALID: a context is named with letters and digits."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from router.composition.model import applied
from router.composition.names import CONTEXT
from router.composition.problems import CompositionError
from router.composition.rules.report import in_subgraph
from router.composition.subgraph import SubgraphSchema

_NAME: Final = re.compile(r"^[A-Za-z][A-Za-z0-9]*$")


def check(subgraph: SubgraphSchema) -> Iterator[CompositionError]:
    for definition in subgraph.schema.types.values():
        for directive in applied(definition, CONTEXT):
            name = directive.string("name") or ""
            if not _NAME.match(name):
                yield in_subgraph(
                    subgraph,
                    "CONTEXT_NAME_INVALID",
                    f'context "{name}" on {definition.name}: a context is named with letters and '
                    f"digits only, a letter first",
                    definition.name,
                    directive,
                )

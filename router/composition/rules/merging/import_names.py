"""LINK_IMPORT_NAME_MISMATCH: a composed directive goes by one name in all subgraphs."""

from __future__ import annotations

from collections.abc import Iterator

from router.composition.merge.records import Merge
from router.composition.problems import CompositionError
from router.composition.rules.report import subgraphs_named, variants


def check(merge: Merge) -> Iterator[CompositionError]:
    for name, locals_ in merge.composed.mismatched.items():
        shown = {index: f"@{local}" for index, local in locals_.items()}
        subgraphs = tuple(merge.names(locals_))
        message = (
            f"@{name} is called {variants(merge, shown)}: import it under one name in "
            f"{subgraphs_named(merge, locals_)}"
        )
        yield CompositionError("LINK_IMPORT_NAME_MISMATCH", message, subgraphs, (f"@{name}",))

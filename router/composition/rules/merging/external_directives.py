"""MERGED_DIRECTIVE_APPLICATION_ON_EXTERNAL: what is composed stands where the field is resolved."""

from __future__ import annotations

from collections.abc import Iterator

from router.composition.merge.records import Merge
from router.composition.names import plain
from router.composition.problems import CompositionError
from router.composition.rules.report import in_subgraph


def check(merge: Merge) -> Iterator[CompositionError]:
    for field in merge.fields():
        for index in field.external:
            for one in field.present()[index].directives:
                if merge.composed.supergraph_name(index, one.name) is not None:
                    yield in_subgraph(
                        merge.subgraphs[index],
                        "MERGED_DIRECTIVE_APPLICATION_ON_EXTERNAL",
                        f"@{plain(one.name)} on {field.coordinate}, which is @external here: apply "
                        f"it in the subgraph that resolves the field",
                        field.coordinate,
                        one,
                    )

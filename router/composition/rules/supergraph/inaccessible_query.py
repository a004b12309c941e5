"""QUERY_ROOT_TYPE_INACCESSIBLE: clients see the query root."""

from __future__ import annotations

from collections.abc import Iterator

from router.composition.merge.records import Merge
from router.composition.problems import CompositionError
from router.composition.rules.supergraph.inaccessible import Visibility


def check(merge: Merge) -> Iterator[CompositionError]:
    view = Visibility(merge)
    query = view.schema.types.get("Query")
    if view.in_use and query is not None and view.hidden(query):
        message = '"Query" is @inaccessible: hide its fields instead, all but one at most'
        yield view.error("QUERY_ROOT_TYPE_INACCESSIBLE", message, "Query")

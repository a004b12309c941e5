"""Running a case both ways, and telling how the answers differ."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from graphql import (
    DocumentNode,
    GraphQLSchema,
    OperationDefinitionNode,
    is_interface_type,
    lexicographic_sort_schema,
    parse,
    print_schema,
    validate,
)

from router.composition import compose
from router.config import RouterConfig
from router.executor import CompiledOperation, Subgraphs
from router.executor.errors import ERRORS_MAX
from router.http.literals import hoist
from router.http.normal_form import normal_form
from router.planner import Planner, PlannerConfig, PlanningError
from router.planner.check import PlanWrong, check_plan
from router.supergraph import Supergraph
from router.transport import InProcessSubgraph
from tests.support.differential.case import Case, Graph, Operation
from tests.support.differential.world import Part, Store, Whole, taken_fields

SECONDS = 60.0
STRICT = PlannerConfig(strict_mutations=True)
"""The subgraphs share their data, so each sees the others' mutations at once."""


class Difference(Exception):
    """The router and the whole disagree. `kind` says at which step, and is what shrinking keeps."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(f"{kind}: {text}")
        self.kind = kind


class InvalidCase(Exception):
    """The case itself is wrong: its schema or its operation."""


class Both:
    """A graph, ready to answer operations both ways. Raises Difference if it does not compose."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.store = Store(graph)
        try:
            self.whole = Whole(graph, self.store)
        except (TypeError, ValueError) as error:
            raise InvalidCase(f"whole: {error}") from error
        result = compose(graph.subgraphs.items())
        if result.supergraph_sdl is None:
            codes = ",".join(sorted({error.code for error in result.errors}))
            raise Difference(
                f"composition {codes}", "\n".join(error.message for error in result.errors)
            )
        self.supergraph = Supergraph.from_sdl(result.supergraph_sdl)
        taken = taken_fields(graph.subgraphs)
        self.parts = {
            name: Part(name, text, self.store, taken) for name, text in graph.subgraphs.items()
        }
        self.planner = Planner(self.supergraph, STRICT)
        self.interfaces = frozenset(
            name
            for name, kind in self.supergraph.schema.type_map.items()
            if is_interface_type(kind)
        )
        transports = {
            name: InProcessSubgraph(name, self._call(part)) for name, part in self.parts.items()
        }
        self.call = Subgraphs(transports, RouterConfig())
        self.fetches = 0

    def check_schema(self) -> None:
        """The API schema is the whole. Raises Difference."""
        mine, theirs = _printed(self.supergraph.api_schema), _printed(self.whole.schema)
        if mine != theirs:
            lines = [f"+ {line}" for line in sorted(set(mine) - set(theirs))]
            lines += [f"- {line}" for line in sorted(set(theirs) - set(mine))]
            raise Difference("api schema", "\n".join(lines))

    def check(self, operation: Operation) -> None:
        """Both ways give the same. Raises Difference, InvalidCase."""
        document = parse(operation.text, no_location=True)
        if validate(self.whole.schema, document):
            raise InvalidCase("operation")
        wanted = self.whole.execute(document, operation.variables)
        if wanted.errors and any(error.path is None for error in wanted.errors):
            raise InvalidCase(str(wanted.errors[0]))
        asked = self._hoisted(operation)
        document = parse(asked.text, no_location=True)
        if validate(self.supergraph.api_schema, document):
            raise Difference("hoisting", asked.text)
        compiled = self._compile(document, asked)
        found = asyncio.run(self._execute(compiled, asked))
        errors = [dict(error.formatted) for error in wanted.errors or ()]
        trespasses = [one for part in self.parts.values() for one in part.trespasses]
        if trespasses:
            kind = trespasses[0].split()[-1]
            raise Difference(f"trespass {kind}", "\n".join(trespasses))
        mine, theirs = json.dumps(found.data), json.dumps(wanted.data)
        if mine != theirs:
            raise Difference("data", f"router: {mine} {found.errors}\nwhole:  {theirs} {errors}")
        places = (_places(found.data, found.errors[:ERRORS_MAX]), _places(wanted.data, errors))
        told_all = len(found.errors) <= ERRORS_MAX
        if places[0] != places[1] if told_all else not places[0] <= places[1]:
            raise Difference("errors", f"router: {found.errors}\nwhole:  {errors}\ndata: {mine}")

    def _hoisted(self, operation: Operation) -> Operation:
        """With variables in place of literals, as the router does, where it can: half the time."""
        form = normal_form(operation.text) if len(operation.text) % 2 else None
        if form is None:
            return operation
        document = parse(operation.text)
        hoisted = hoist(operation.text, document, self.supergraph.api_schema, form.literals)
        values = hoisted.values(form.literals)
        if values is None:
            return operation
        return replace(operation, text=hoisted.text, variables={**operation.variables, **values})

    def _compile(self, document: DocumentNode, operation: Operation) -> CompiledOperation:
        labels = frozenset(operation.labels)
        for part in self.parts.values():
            part.labels = labels
            part.trespasses.clear()
        try:
            plan = self.planner.plan(document, override_labels=labels)
            check_plan(self.supergraph, document, plan, override_labels=labels)
        except PlanWrong as error:
            raise Difference("check", "\n".join(error.problems)) from error
        except PlanningError as error:
            raise Difference(f"planning {error.code}", str(error)) from error
        except Exception as error:
            raise Difference(f"planner crash {type(error).__name__}", repr(error)) from error
        self.fetches += len(plan.fetches())
        chosen = next(
            one for one in document.definitions if isinstance(one, OperationDefinitionNode)
        )
        return CompiledOperation(
            self.supergraph.api_schema, document, chosen, plan, self.interfaces
        )

    async def _execute(self, compiled: CompiledOperation, operation: Operation) -> Any:
        self.store.clock = 0
        try:
            return await compiled.execute(
                compiled.variables.check(operation.variables),
                call=self.call,
                headers={},
                deadline=asyncio.get_running_loop().time() + SECONDS,
            )
        except Exception as error:
            raise Difference(f"executor crash {type(error).__name__}", repr(error)) from error

    @staticmethod
    def _call(part: Part) -> Any:
        async def call(
            text: str, variables: dict[str, Any], name: str | None, headers: Mapping[str, str]
        ) -> dict[str, Any]:
            return dict(part.execute(text, variables).formatted)

        return call


def check_case(case: Case, *, schema: bool = True) -> None:
    """Raises Difference, InvalidCase."""
    both = Both(case.graph)
    if schema:
        both.check_schema()
    both.check(case.operation)


def _places(data: Any, errors: list[dict[str, Any]]) -> set[tuple[Any, ...]]:
    """Where errors made something null: of several below one null, either may be told.

    Errors at places that the answer does not have are passed over. An @interfaceObject is asked for
    objects whose type is not known yet what a cast asks of some: it may fail for others.
    """
    places = (_place(data, error.get("path", ())) for error in errors)
    return {place for place in places if place is not None}


def _place(data: Any, path: Iterable[Any]) -> tuple[Any, ...] | None:
    """The nearest null on the way along an error's path."""
    at, place = data, list[Any]()
    for element in path:
        if at is None:
            break
        place.append(element)
        if isinstance(at, dict) and element not in at:
            return None
        try:
            at = at[element]
        except (IndexError, TypeError):
            return (*place, "nowhere")
    return tuple(place) if at is None else (*place, "not null")


def _printed(schema: GraphQLSchema) -> list[str]:
    """Lines of the sorted schema, each with its type's name."""
    lines: list[str] = []
    head = ""
    for line in print_schema(lexicographic_sort_schema(schema)).splitlines():
        if line.strip().startswith('"""') or not line.strip():
            continue
        if not line.startswith(" "):
            head = line
        lines.append(line if line == head else f"{head} {line.strip()}")
    return lines

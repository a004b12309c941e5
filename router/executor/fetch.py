"""Root fetches: one request whose data goes into the tree's root, or into objects at a path."""

from __future__ import annotations

from typing import Any

from graphql import FieldNode, OperationDefinitionNode, parse

from router.executor.errors import Pattern
from router.executor.merge import merge
from router.executor.paths import (
    JsonObject,
    ResponsePath,
    compile_walk,
    concrete_prefix,
    pattern,
    places,
)
from router.executor.rewrites import compile_renames, rename_path
from router.executor.state import ExecutionState, Run
from router.planner.plan import Fetch, Path
from router.transport.errors import (
    SubgraphError,
    SubgraphMalformedResponse,
    SubscriptionRefused,
)
from router.transport.in_process import copy_json
from router.transport.subgraph import SubgraphOperation, SubgraphResponse


def compile_root_fetch(fetch: Fetch, interfaces: frozenset[str], at: Path = ()) -> Run:
    """Run `fetch`, merge its data into every object at `at`; without such objects send nothing."""
    service, usages = fetch.subgraph, fetch.variable_usages
    operation = SubgraphOperation(fetch.operation, fetch.operation_name, fetch.kind)
    walk = compile_walk(at) if at else None
    root = RootAnswer(fetch, interfaces, at)

    async def run(state: ExecutionState) -> None:
        if walk is not None and not walk(state.tree):
            return
        try:
            response = await state.call(
                service,
                operation,
                given_variables(state, usages),
                state.headers,
                state.deadline,
            )
            check_not_empty(service, response)
        except SubgraphError as failure:
            root.failed(state, failure)
            return
        root.take(state, response)

    return run


class RootAnswer:
    """What becomes of a root fetch's answers: data into the tree at `at`, errors into the sink."""

    def __init__(self, fetch: Fetch, interfaces: frozenset[str], at: Path = ()) -> None:
        self._interfaces = interfaces
        self._rewrite = compile_renames(fetch.output_rewrites, interfaces)
        self._walk = compile_walk(at) if at else None
        self._report = _Reporter(fetch, at)

    def take(self, state: ExecutionState, response: SubgraphResponse) -> None:
        """Merge the data and report the errors."""
        if response.headers:
            state.response_headers.extend(response.headers)
        data = response.data
        if data is not None:
            if self._rewrite is not None:
                self._rewrite(data)
            if self._walk is None:
                _merge_root(state, data, self._interfaces)
            else:
                _merge_at(self._walk(state.tree), data, self._interfaces)
        if response.errors:
            self._report.errors(state, response.errors)

    def failed(self, state: ExecutionState, failure: SubgraphError) -> None:
        """Report that no answer came, or one that said no more than why there is none."""
        if isinstance(failure, SubscriptionRefused):
            self._report.errors(state, failure.errors)
        else:
            self._report.failure(state, failure)


def given_variables(state: ExecutionState, usages: tuple[str, ...]) -> dict[str, Any] | None:
    """Those of the client's variables that a fetch uses and that have a value."""
    if not usages:
        return None
    given = state.variables
    return {name: given[name] for name in usages if name in given}


def check_not_empty(service: str, response: SubgraphResponse) -> None:
    """`data: null` needs an error to explain it."""
    if response.data is None and not response.errors:
        raise SubgraphMalformedResponse(service, "`data` is null without an error")


def _merge_root(state: ExecutionState, data: JsonObject, interfaces: frozenset[str]) -> None:
    if state.tree:
        merge(state.tree, data, interfaces)
    else:
        state.tree = data


def _merge_at(objects: list[JsonObject], data: JsonObject, interfaces: frozenset[str]) -> None:
    """Each object but the last gets a copy: they are different places."""
    for value in objects[:-1]:
        merge(value, copy_json(data), interfaces)
    if objects:
        merge(objects[-1], data, interfaces)


class _Reporter:
    """Says what went wrong with one root fetch, at the places its data would have gone to."""

    def __init__(self, fetch: Fetch, at: Path) -> None:
        self.fetch = fetch
        self.at = at
        self._keys: tuple[str, ...] | None = None

    def failure(self, state: ExecutionState, failure: SubgraphError) -> None:
        """One error for the whole fetch, at its first field, which covers all its fields."""
        prefix, covers = self._place()
        keys = self._root_keys()
        path = (*prefix, keys[0]) if keys and prefix == covers else prefix
        state.errors.subgraph_failed(failure, path, [(*covers, key) for key in keys] or [covers])

    def errors(self, state: ExecutionState, errors: list[dict[str, Any]]) -> None:
        """The subgraph's own errors, each at every place its data stands at."""
        fetch = self.fetch
        prefixes: list[ResponsePath]
        prefixes = [place.path for place in places(self.at, state.tree)] if self.at else [()]
        for error in errors:
            path = error_path(error)
            if not path:
                prefix, covers = self._place()
                state.errors.subgraph_said(
                    fetch.subgraph, error, prefix or self._only_key(), [covers]
                )
                continue
            renamed = rename_path(fetch.output_rewrites, path)
            for prefix in prefixes:
                state.errors.subgraph_said(fetch.subgraph, error, (*prefix, *renamed))

    def _place(self) -> tuple[ResponsePath, Pattern]:
        return concrete_prefix(self.at), pattern(self.at)

    def _only_key(self) -> ResponsePath:
        keys = self._root_keys()
        return (keys[0],) if len(keys) == 1 else ()

    def _root_keys(self) -> tuple[str, ...]:
        """Response keys of the fetch's root fields; read from its text only when it is needed."""
        if self._keys is None:
            definition = parse(self.fetch.operation, no_location=True).definitions[0]
            assert isinstance(definition, OperationDefinitionNode)
            names = [
                field.alias.value if field.alias else field.name.value
                for field in definition.selection_set.selections
                if isinstance(field, FieldNode)
            ]
            renames = self.fetch.output_rewrites
            self._keys = tuple(
                str(key)
                for name in dict.fromkeys(names)
                for key in rename_path(renames, (name,))
                if name != "__typename"
            )
        return self._keys


def error_path(error: dict[str, Any]) -> ResponsePath:
    """The path of a subgraph's error; empty where it has none, or none that is well formed."""
    path = error.get("path")
    if not isinstance(path, list):
        return ()
    if not all(type(element) in (str, int) for element in path):
        return ()
    return tuple(path)

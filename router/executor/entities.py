"""Entity fetches: representations out, entities in, merged where the representations came from."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import orjson

from router.executor.collect import compile_collect
from router.executor.errors import Pattern
from router.executor.fetch import check_not_empty, error_path, given_variables
from router.executor.merge import merge
from router.executor.paths import (
    JsonObject,
    ResponsePath,
    concrete_prefix,
    pattern,
    places,
)
from router.executor.representations import Targets, compile_representations, read_leaf
from router.executor.rewrites import compile_renames, rename_path
from router.executor.state import ExecutionState, Run
from router.planner.plan import EntityCall, Fetch
from router.transport.errors import SubgraphError, SubgraphMalformedResponse
from router.transport.subgraph import SubgraphOperation, SubgraphResponse


def compile_entity_fetch(fetch: Fetch, interfaces: frozenset[str]) -> Run:
    """One request for all calls of `fetch`; none when no call has a representation.

    Calls whose arguments come from context are split into a request for each set of values.
    """
    calls = tuple(_Call(call, interfaces) for call in fetch.entities)
    send = _Sender(fetch, calls, interfaces)
    if any(call.call.context for call in calls):
        return _with_context(calls, send)

    async def run(state: ExecutionState) -> None:
        tree = state.tree
        built = [call.collect(tree) for call in calls]
        for representations, _ in built:
            if representations:
                break
        else:
            return
        await send(state, built, {})

    return run


class _Call:
    """One `_entities` selection, compiled."""

    __slots__ = ("build", "call", "collect", "rewrite")

    def __init__(self, call: EntityCall, interfaces: frozenset[str]) -> None:
        self.call = call
        self.collect = compile_collect(call)
        self.build = compile_representations(call)
        self.rewrite = compile_renames(call.output_rewrites, interfaces)


class _Sender:
    """Sends representations, checks the answer, merges it, reports what failed."""

    def __init__(self, fetch: Fetch, calls: tuple[_Call, ...], interfaces: frozenset[str]) -> None:
        self.fetch = fetch
        self.interfaces = interfaces
        self.calls = calls
        self.operation = SubgraphOperation(fetch.operation, fetch.operation_name, fetch.kind)

    async def __call__(
        self,
        state: ExecutionState,
        built: Sequence[tuple[list[JsonObject], Targets]],
        more_variables: dict[str, Any],
    ) -> None:
        fetch = self.fetch
        variables = given_variables(state, fetch.variable_usages) or {}
        for call, (representations, _) in zip(self.calls, built, strict=True):
            variables[call.call.variable] = representations
        variables.update(more_variables)
        try:
            response = await state.call(
                fetch.subgraph, self.operation, variables, state.headers, state.deadline
            )
            check_not_empty(fetch.subgraph, response)
        except SubgraphError as failure:
            self._failed(state, failure, built)
            return
        if response.headers:
            state.response_headers.extend(response.headers)
        if response.data is not None:
            for call, (representations, targets) in zip(self.calls, built, strict=True):
                if representations:
                    self._merge(state, call, response, targets)
        if response.errors:
            self._said(state, response.errors, built)

    def _merge(
        self,
        state: ExecutionState,
        call: _Call,
        response: SubgraphResponse,
        targets: Targets,
    ) -> None:
        assert response.data is not None
        service = self.fetch.subgraph
        entities = response.data.get(call.call.alias)
        if type(entities) is not list:
            if not response.errors:
                reason = f"`{call.call.alias}` is no list"
                self._call_failed(state, call, SubgraphMalformedResponse(service, reason), targets)
            return
        if len(entities) != len(targets):
            reason = (
                f"`{call.call.alias}` has {len(entities)} elements for "
                f"{len(targets)} representations"
            )
            self._call_failed(state, call, SubgraphMalformedResponse(service, reason), targets)
            return
        rewrite, interfaces = call.rewrite, self.interfaces
        wrong: list[list[JsonObject]] = []
        for entity, objects in zip(entities, targets, strict=True):
            if type(entity) is not dict:
                if entity is not None:
                    wrong.append(objects)
                continue
            if rewrite is not None:
                rewrite(entity)
            typename = entity.pop("__typename", None)  # the one key that most objects have
            if type(typename) is not str or typename in interfaces:
                typename = None
            for value in objects:
                if typename is not None:
                    value["__typename"] = typename
                if value.keys().isdisjoint(entity):
                    value.update(entity)
                else:
                    merge(value, entity, interfaces)
        if wrong:
            reason = f"`{call.call.alias}` has elements that are no objects"
            self._call_failed(state, call, SubgraphMalformedResponse(service, reason), wrong)

    def _failed(
        self,
        state: ExecutionState,
        failure: SubgraphError,
        built: Sequence[tuple[list[JsonObject], Targets]],
    ) -> None:
        """The whole request failed: one error, at the first place that misses its data."""
        used = [
            (call, targets)
            for call, (representations, targets) in zip(self.calls, built, strict=True)
            if representations
        ]
        path = _common_path(state, *used[0])
        state.errors.subgraph_failed(failure, path, [pattern(call.call.path) for call, _ in used])

    def _call_failed(
        self, state: ExecutionState, call: _Call, failure: SubgraphError, targets: Targets
    ) -> None:
        path = _common_path(state, call, targets)
        state.errors.subgraph_failed(failure, path, [pattern(call.call.path)])

    def _said(
        self,
        state: ExecutionState,
        errors: list[dict[str, Any]],
        built: Sequence[tuple[list[JsonObject], Targets]],
    ) -> None:
        """Errors at `_entities.i` go to the places of representation i, others to the call."""
        by_alias = {
            call.call.alias: (call, targets)
            for call, (_, targets) in zip(self.calls, built, strict=True)
        }
        known_paths: dict[str, dict[int, list[ResponsePath]]] = {}
        for error in errors:
            path = error_path(error)
            alias = path[0] if path else None
            call, targets = by_alias.get(str(alias), (None, None))
            if call is None or targets is None:
                self._said_of_all(state, error, built)
                continue
            index = path[1] if len(path) > 1 else None
            if not isinstance(index, int) or not 0 <= index < len(targets):
                self._said_of_call(state, error, call, targets)
                continue
            paths = known_paths.setdefault(call.call.alias, {})
            if not paths:
                paths.update(_paths_by_object(state, call))
            rest = rename_path(call.call.output_rewrites, path[2:])
            for value in targets[index]:
                for at in paths.get(id(value), ()):
                    state.errors.subgraph_said(self.fetch.subgraph, error, (*at, *rest))

    def _said_of_all(
        self,
        state: ExecutionState,
        error: dict[str, Any],
        built: Sequence[tuple[list[JsonObject], Targets]],
    ) -> None:
        used = [
            (call, targets)
            for call, (representations, targets) in zip(self.calls, built, strict=True)
            if representations
        ]
        covers: list[Pattern] = [pattern(call.call.path) for call, _ in used]
        path = _common_path(state, *used[0])
        state.errors.subgraph_said(self.fetch.subgraph, error, path, covers)

    def _said_of_call(
        self, state: ExecutionState, error: dict[str, Any], call: _Call, targets: Targets
    ) -> None:
        path = _common_path(state, call, targets)
        covers = [pattern(call.call.path)]
        state.errors.subgraph_said(self.fetch.subgraph, error, path, covers)


def _paths_by_object(state: ExecutionState, call: _Call) -> dict[int, list[ResponsePath]]:
    """Where each object at a call's path stands, by its id; one may stand at many places."""
    paths: dict[int, list[ResponsePath]] = {}
    for place in places(call.call.path, state.tree):
        paths.setdefault(id(place.value), []).append(place.path)
    return paths


def _common_path(state: ExecutionState, call: _Call, targets: Targets) -> ResponsePath:
    """The path of the only object concerned; of several, up to the list they are in."""
    if len(targets) == 1 and len(targets[0]) == 1:
        only = targets[0][0]
        found = [place.path for place in places(call.call.path, state.tree) if place.value is only]
        if len(found) == 1:
            return found[0]
    return concrete_prefix(call.call.path)


def _with_context(calls: tuple[_Call, ...], send: _Sender) -> Run:
    """For each call, objects are grouped by the values their ancestors give to its arguments."""

    async def run(state: ExecutionState) -> None:
        nothing: tuple[list[JsonObject], Targets] = ([], [])
        requests = []
        for index, call in enumerate(calls):
            for objects, values in _by_context(state, call):
                built = [nothing] * len(calls)
                built[index] = call.build(objects)
                if built[index][0]:
                    requests.append(send(state, built, values))
        if len(requests) == 1:
            await requests[0]
        elif requests:
            await asyncio.gather(*requests)

    return run


def _by_context(
    state: ExecutionState, call: _Call
) -> list[tuple[list[JsonObject], dict[str, Any]]]:
    groups: dict[bytes, tuple[list[JsonObject], dict[str, Any]]] = {}
    for place in places(call.call.path, state.tree):
        values: dict[str, Any] = {}
        for context in call.call.context:
            if context.levels_up <= len(place.ancestors):
                found, value = read_leaf(place.ancestors[-context.levels_up], context.selections)
                if found:
                    values[context.variable] = value
        key = orjson.dumps(values, option=orjson.OPT_SORT_KEYS)
        groups.setdefault(key, ([], values))[0].append(place.value)
    return list(groups.values())

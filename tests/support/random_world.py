"""Data for random graphs: every value follows from the object, the field and the arguments.

The same world answers as one schema and as the subgraphs of a supergraph. A subgraph does what its
schema promises and no more: an external field that is not provided is wrong on purpose, and a field
with requirements is made from what the representation brought.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from zlib import crc32

from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLResolveInfo,
    get_named_type,
    is_leaf_type,
    is_list_type,
    is_non_null_type,
    parse,
)
from graphql.execution import ExecutionResult as WholeResult
from graphql.execution import execute_sync

from router.supergraph import Supergraph
from router.supergraph.views import View
from router.transport.response import SubgraphResponse
from router.transport.subgraph import SubgraphOperation

ENTITIES = 3
"""Objects of each entity type."""


@dataclass
class Object:
    """An object: its runtime type and its number, or a text for a value object."""

    type: str
    token: str
    given: dict[str, Any] = field(default_factory=dict)
    provided: frozenset[str] = frozenset()


def _number(*parts: object) -> int:
    return crc32("/".join(map(str, parts)).encode())


class World:
    """Answers for one supergraph made by `random_subgraphs`."""

    def __init__(self, supergraph: Supergraph) -> None:
        self.supergraph = supergraph
        self.entities = {
            local.name
            for view in supergraph.views.values()
            for local in view.types.values()
            if local.keys
        }
        self.required = {
            (local.name, one.name): one.requires
            for view in supergraph.views.values()
            for local in view.types.values()
            for one in local.fields.values()
            if one.requires
        }

    def whole(self, document: DocumentNode, variables: Mapping[str, Any]) -> WholeResult:
        """The answer of one schema over all the data."""

        def resolve(parent: Object | None, info: GraphQLResolveInfo, **args: Any) -> Any:
            here = parent or Object("Query", "")
            return self._value(here, info, args, self._owner(here.type, info.field_name))

        result = execute_sync(
            self.supergraph.api_schema,
            document,
            variable_values=dict(variables),
            field_resolver=resolve,
            type_resolver=lambda value, *_: value.type,
        )
        assert isinstance(result, WholeResult)
        return result

    async def call(
        self,
        service: str,
        operation: SubgraphOperation,
        variables: dict[str, Any] | None,
        headers: Mapping[str, str],
        deadline: float,
    ) -> SubgraphResponse:
        """The answer of one subgraph."""
        view = next(v for v in self.supergraph.views.values() if v.subgraph.name == service)

        def resolve(parent: Object | None, info: GraphQLResolveInfo, **args: Any) -> Any:
            if info.field_name == "_entities":
                return [self._entity(one) for one in args["representations"]]
            here = parent or Object("Query", "")
            return self._local(here, info, args, view)

        def type_of(value: Object, *_: Any) -> str:
            local = view.types.get("I")
            fake = local is not None and local.interface_object and value.type not in view.types
            return "I" if fake else value.type

        result = execute_sync(
            self.supergraph.subgraph_schema(service),
            parse(operation.query, no_location=True),
            variable_values=copy.deepcopy(variables or {}),
            field_resolver=resolve,
            type_resolver=type_of,
        )
        assert isinstance(result, WholeResult)
        errors = [{"message": error.message} for error in result.errors or ()]
        return SubgraphResponse(copy.deepcopy(result.data), errors)

    def _entity(self, representation: dict[str, Any]) -> Object:
        """The object a representation means. Raises where it says too little."""
        text = representation.get("id") or representation.get("code", "c")[1:]
        type_, _, token = text.partition(":")
        if not token:
            raise GraphQLError(f"no key in {representation}")
        return Object(type_, token, representation)

    def _local(self, here: Object, info: GraphQLResolveInfo, args: Any, view: View) -> Any:
        parent = info.parent_type.name
        known = view.types[parent].fields.get(info.field_name)
        if known is None or here.type == "Query":
            return self._value(here, info, args, view)
        if known.external and info.field_name not in here.provided:
            if info.field_name in here.given:
                return here.given[info.field_name]
            return self._wrong(info)
        if known.requires:
            if known.requires not in here.given:
                raise GraphQLError(f"{parent}.{info.field_name} lacks {known.requires}")
            return f"{info.field_name} of {here.given[known.requires]}"
        value = self._value(here, info, args, view)
        if known.provides and value is not None:
            for one in value if isinstance(value, list) else [value]:
                one.provided = frozenset(known.provides.split())
        return value

    @staticmethod
    def _wrong(info: GraphQLResolveInfo) -> Any:
        kind = get_named_type(info.return_type).name
        return {"Int": -1, "Boolean": None}.get(kind, "NEVER")

    def _owner(self, type_: str, name: str) -> View | None:
        for view in self.supergraph.views.values():
            local = view.types.get(type_)
            if local is not None and name in local.fields:
                return view
        return None

    def _value(self, here: Object, info: GraphQLResolveInfo, args: Any, view: View | None) -> Any:
        name = info.field_name
        if name == "id":
            return f"{here.type}:{here.token}"
        if name == "code":
            return f"c{here.type}:{here.token}"
        if name == "extra":
            return f"extra of {here.type}:{here.token}"
        if name.startswith("only"):
            return 7
        required = self.required.get((here.type, name))
        if required is not None:
            schema = self.supergraph.schema
            kind = get_named_type(schema.type_map[here.type].fields[required].type).name
            return f"{name} of {self._scalar(kind, here, required, {})}"
        named = get_named_type(info.return_type)
        if is_leaf_type(named):
            return self._scalar(named.name, here, name, args)
        return self._objects(here, info, view)

    @staticmethod
    def _scalar(kind: str, here: Object, name: str, args: Mapping[str, Any]) -> Any:
        number = _number(here.type, here.token, name, args.get("n"))
        return {"Int": number % 1000, "Boolean": number % 2 == 0}.get(kind, f"{name}-{number}")

    def _objects(self, here: Object, info: GraphQLResolveInfo, view: View | None) -> Any:
        type_ = info.return_type
        named = get_named_type(type_).name
        seed = (here.type, here.token, info.field_name)
        while is_non_null_type(type_):
            type_ = type_.of_type
        if is_list_type(type_):
            return [self._object(named, (*seed, n), view) for n in range(_number(*seed) % 4)]
        return self._object(named, seed, view) if _number(*seed) % 7 else None

    def _object(self, named: str, seed: tuple[object, ...], view: View | None) -> Object:
        local = view.types.get(named) if view else None
        if local is None or local.interface_object:
            types = sorted(self.supergraph.possible_types(named))
        else:
            assert view is not None
            types = sorted(view.possible_types(named))
        number = _number(*seed)
        type_ = types[number % len(types)]
        if type_ in self.entities:
            return Object(type_, str(number // 7 % ENTITIES))
        return Object(type_, str(number))

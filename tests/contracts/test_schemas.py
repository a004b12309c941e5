"""The subgraphs together: they compose, and keep the conventions that make them one schema."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from graphql import (
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    build_schema,
    get_named_type,
)

from router import compose
from tests.support.services import SERVICES, built

MACHINERY = ("_entities", "_service")


@cache
def composed() -> str:
    result = compose([(name, built()[name].sdl) for name in SERVICES])
    assert result.ok, "\n".join(str(error) for error in result.errors)
    assert result.supergraph_sdl is not None
    return result.supergraph_sdl


def schema_of(service: str) -> GraphQLSchema:
    return built()[service].schema._schema


def fields(service: str) -> Iterator[tuple[str, str, GraphQLField]]:
    """Type, name and field of everything that a service resolves."""
    for type_ in schema_of(service).type_map.values():
        if isinstance(type_, GraphQLObjectType | GraphQLInterfaceType):
            if type_.name.startswith("_"):
                continue
            for name, field in type_.fields.items():
                if name not in MACHINERY:
                    yield type_.name, name, field


@pytest.mark.slow
def test_the_services_compose() -> None:
    supergraph = build_schema(composed(), assume_valid=True)
    assert supergraph.query_type is not None
    assert {"me", "products", "orders", "warehouses", "node"} <= supergraph.query_type.fields.keys()


@pytest.mark.parametrize("service", SERVICES)
def test_no_amount_is_a_float(service: str) -> None:
    named = [
        f"{type_}.{name}"
        for type_, name, field in fields(service)
        if get_named_type(field.type).name == "Float"
    ]
    assert named == []
    inputs = [
        f"{type_.name}.{name}"
        for type_ in schema_of(service).type_map.values()
        if isinstance(type_, GraphQLInputObjectType)
        for name, field in type_.fields.items()
        if get_named_type(field.type).name == "Float"
    ]
    assert inputs == []


@pytest.mark.parametrize("service", SERVICES)
def test_a_list_that_grows_comes_in_pages(service: str) -> None:
    for type_, name, field in fields(service):
        if get_named_type(field.type).name.endswith("Connection"):
            assert "first" in field.args, f"{type_}.{name} has no `first`"
            assert str(field.args["first"].type) == "Int!", f"{type_}.{name}(first)"
            assert str(field.args["after"].type) == "String", f"{type_}.{name}(after)"


@pytest.mark.parametrize("service", SERVICES)
def test_a_mutation_tells_what_it_refused(service: str) -> None:
    mutation = schema_of(service).mutation_type
    for name, field in mutation.fields.items() if mutation is not None else ():
        payload: Any = get_named_type(field.type)
        assert isinstance(payload, GraphQLObjectType), f"{name} gives no payload"
        assert "userErrors" in payload.fields, f"{payload.name} has no userErrors"
        assert str(payload.fields["userErrors"].type) == "[UserError!]!", payload.name


@pytest.mark.parametrize("service", SERVICES)
def test_required_fields_reach_the_resolver(service: str) -> None:
    """They come under their GraphQL names: a resolver that takes no others would raise."""
    for type_ in built()[service].schema.schema_converter.type_map.values():
        definition = type_.definition
        origin = getattr(definition, "origin", None)
        resolve = getattr(origin, "resolve_reference", None)
        if resolve is None or not _requires(definition):
            continue
        parameters = inspect.signature(resolve).parameters.values()
        assert any(each.kind is inspect.Parameter.VAR_KEYWORD for each in parameters), (
            f"{definition.name}.resolve_reference takes no **fields, but fields are @required"
        )


def _requires(definition: Any) -> bool:
    return any(
        type(directive).__name__ == "Requires"
        for field in getattr(definition, "fields", ())
        for directive in field.directives
    )


def test_two_mutations_do_not_have_one_name() -> None:
    seen: dict[str, str] = {}
    for service in SERVICES:
        mutation = schema_of(service).mutation_type
        for name in mutation.fields if mutation is not None else ():
            assert name not in seen, f"{name} is in {seen[name]} and {service}"
            seen[name] = service

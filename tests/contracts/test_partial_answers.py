"""A service that is down must cost its own fields only: see docs/adr/0006."""

from __future__ import annotations

import pytest
from graphql import GraphQLNonNull, get_named_type

from tests.contracts.test_schemas import fields, schema_of
from tests.support.services import SERVICES

OWNERS = {
    "User": "users",
    "Address": "users",
    "Product": "products",
    "ProductVariant": "products",
    "Category": "products",
    "StockItem": "inventory",
    "Warehouse": "inventory",
    "Reservation": "inventory",
    "Cart": "orders",
    "Order": "orders",
    "OrderLine": "orders",
    "Payment": "payments",
    "Shipment": "shipping",
    "Notification": "notifications",
    "RecordedEvent": "journal",
}


@pytest.mark.parametrize("service", SERVICES)
def test_what_a_service_adds_to_anothers_entity_may_be_null(service: str) -> None:
    external = _external(service)
    strict = [
        f"{type_}.{name}"
        for type_, name, field in fields(service)
        if OWNERS.get(type_, service) != service
        and isinstance(field.type, GraphQLNonNull)
        and name != "id"
        and (type_, name) not in external
    ]
    assert strict == [], "a failed fetch would null the whole entity, with what others know of it"


@pytest.mark.parametrize("service", SERVICES)
def test_a_reference_to_anothers_entity_may_be_null(service: str) -> None:
    external = _external(service)
    strict = [
        f"{type_}.{name}: {field.type}"
        for type_, name, field in fields(service)
        if OWNERS.get(get_named_type(field.type).name, service) != service
        and isinstance(field.type, GraphQLNonNull)
        and (type_, name) not in external
    ]
    assert strict == [], "what the other service requires of itself would null the object around it"


def _external(service: str) -> set[tuple[str, str]]:
    """Fields that the service only repeats from their owner."""
    found = set()
    for type_ in schema_of(service).type_map.values():
        definition = getattr(type_, "_strawberry_definition", None) or (type_.extensions or {}).get(
            "strawberry-definition"
        )
        for field in getattr(definition, "fields", ()):
            names = {type(directive).__name__ for directive in field.directives}
            if "External" in names:
                found.add((type_.name, field.graphql_name or _camel(field.python_name)))
    return found


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.title() for part in rest)

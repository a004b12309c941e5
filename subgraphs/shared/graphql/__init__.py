"""What every subgraph's schema is made of."""

from subgraphs.shared.graphql.connections import Connection, CountedConnection, Edge
from subgraphs.shared.graphql.context import RequestContext
from subgraphs.shared.graphql.fields import federated, field, mutation, subscription
from subgraphs.shared.graphql.schema import build_schema
from subgraphs.shared.graphql.types import (
    AddressInput,
    CountryCode,
    CurrencyCode,
    DecimalString,
    InvalidInput,
    MoneyInput,
    MoneyType,
    Node,
    PageInfo,
    Receipt,
    UserError,
    VersionConflict,
    refused,
    user_error,
)

__all__ = [
    "AddressInput",
    "Connection",
    "CountedConnection",
    "CountryCode",
    "CurrencyCode",
    "DecimalString",
    "Edge",
    "InvalidInput",
    "MoneyInput",
    "MoneyType",
    "Node",
    "PageInfo",
    "Receipt",
    "RequestContext",
    "UserError",
    "VersionConflict",
    "build_schema",
    "federated",
    "field",
    "mutation",
    "refused",
    "subscription",
    "user_error",
]

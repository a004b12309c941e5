"""Four subgraphs in one process that cost the machine as little as can be.

    python -m benchmarks.mock_subgraphs PORT

Each is at /NAME. The first time a request body comes it is executed by graphql-core over generated
data; from then on the same body gets the same bytes. Meant for `router_overhead`.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from typing import Any

import httptools
from graphql import GraphQLObjectType, build_schema, graphql_sync

USERS = [{"id": f"u{n}", "username": f"user{n}", "name": f"User Number {n}"} for n in range(6)]
PRODUCTS = [
    {"upc": f"p{n}", "name": f"Product Number {n}", "price": 100 * n + 99, "weight": 50 * n + 5}
    for n in range(9)
]
REVIEWS = [
    {
        "id": f"r{n}",
        "body": f"Review {n}: it does what it should, and it does it well enough for the price.",
        "user": f"u{n % 6}",
        "product": f"p{(n * 5) % 9}",
    }
    for n in range(24)
]

LINK = """
extend schema @link(
  url: "https://specs.apollo.dev/federation/v2.3"
  import: ["@key", "@external", "@requires", "@shareable"]
)
"""
SDL = {
    "accounts": """
        type Query { me: User  users: [User] }
        type User @key(fields: "id") { id: ID!  name: String  username: String }
    """,
    "inventory": """
        type Product @key(fields: "upc") {
          upc: String!
          weight: Int @external
          price: Int @external
          inStock: Boolean
          shippingEstimate: Int @requires(fields: "price weight")
        }
    """,
    "products": """
        type Query { topProducts(first: Int = 5): [Product] }
        type Product @key(fields: "upc") { upc: String!  name: String  price: Int  weight: Int }
    """,
    "reviews": """
        type Review @key(fields: "id") { id: ID!  body: String  author: User  product: Product }
        type User @key(fields: "id") { id: ID!  reviews: [Review] }
        type Product @key(fields: "upc") { upc: String!  reviews: [Review] }
    """,
}
DIRECTIVES = """
directive @key(fields: String!) repeatable on OBJECT
directive @external on FIELD_DEFINITION
directive @requires(fields: String!) on FIELD_DEFINITION
scalar _Any
"""


def by(rows: list[dict[str, Any]], name: str) -> dict[str, dict[str, Any]]:
    """Rows by one of their members."""
    return {row[name]: row for row in rows}


USER, PRODUCT = by(USERS, "id"), by(PRODUCTS, "upc")
RESOLVERS: dict[str, Callable[..., Any]] = {
    "accounts.Query.me": lambda *_: USERS[0],
    "accounts.Query.users": lambda *_: USERS,
    "accounts.User": lambda key: USER[key["id"]],
    "products.Query.topProducts": lambda _, info, first: PRODUCTS[:first],
    "products.Product": lambda key: PRODUCT[key["upc"]],
    "inventory.Product": lambda key: {
        "upc": key["upc"],
        "inStock": True,
        "shippingEstimate": (key.get("price") or 0) * (key.get("weight") or 0) // 10,
    },
    "reviews.User": lambda key: {"id": key["id"]},
    "reviews.Product": lambda key: {"upc": key["upc"]},
    "reviews.Review": lambda key: next(row for row in REVIEWS if row["id"] == key["id"]),
    "reviews.User.reviews": lambda user, _: [r for r in REVIEWS if r["user"] == user["id"]],
    "reviews.Product.reviews": lambda product, _: [
        r for r in REVIEWS if r["product"] == product["upc"]
    ],
    "reviews.Review.author": lambda review, _: {"id": review["user"]},
    "reviews.Review.product": lambda review, _: {"upc": review["product"]},
}


def subgraph(name: str) -> Callable[[bytes], bytes]:
    """A function from a request's body to the answer's."""
    sdl = SDL[name]
    mine = {
        key.partition(".")[2]: resolve
        for key, resolve in RESOLVERS.items()
        if key.startswith(f"{name}.")
    }
    entities = [key for key in mine if "." not in key]
    query = "extend type Query" if "type Query" in sdl else "type Query"
    schema = build_schema(
        f"{DIRECTIVES}{sdl} union _Entity = {' | '.join(entities)}\n"
        f"{query} {{ _entities(representations: [_Any!]!): [_Entity]! }}"
    )

    def resolve_entities(_: Any, info: Any, representations: list[Any]) -> list[Any]:
        return [
            {"__typename": key["__typename"], **mine[key["__typename"]](key)}
            for key in representations
        ]

    for coordinate, resolve in [*mine.items(), ("Query._entities", resolve_entities)]:
        owner, dot, field = coordinate.partition(".")
        if dot:
            kind = schema.get_type(owner)
            assert isinstance(kind, GraphQLObjectType)
            kind.fields[field].resolve = resolve
    known: dict[bytes, bytes] = {}

    def answer(body: bytes) -> bytes:
        found = known.get(body)
        if found is None:
            request = json.loads(body)
            result = graphql_sync(
                schema, request["query"], variable_values=request.get("variables")
            )
            found = known[body] = json.dumps(result.formatted, separators=(",", ":")).encode()
        return found

    return answer


class Connection(asyncio.Protocol):
    """One kept connection."""

    def __init__(self, answers: dict[bytes, Callable[[bytes], bytes]]) -> None:
        self.answers = answers
        self.parser = httptools.HttpRequestParser(self)
        self.body = b""
        self.url = b""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        self.url = url
        self.body = b""

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        body = self.answers[self.url](self.body)
        self.transport.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
            % (len(body), body)
        )


async def main(port: int) -> None:
    """Serve until the process is ended."""
    answers = {f"/{name}".encode(): subgraph(name) for name in SDL}
    server = await asyncio.get_running_loop().create_server(
        lambda: Connection(answers), "127.0.0.1", port
    )
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))

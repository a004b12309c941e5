"""The graph of these tests: products and reviews, with something to go wrong in each."""

from __future__ import annotations

from typing import Any

from router.config import RouterConfig
from router.http import RouterApp, create_app
from tests.support.asgi import Reply, ask
from tests.support.federated import FederatedGraph, Service

PRODUCTS = {"1": {"id": "1", "name": "Chair"}, "2": {"id": "2", "name": "Table"}}


def graph() -> FederatedGraph:
    """Two services; asking for the reviews of product 2 fails."""

    def reviews(key: dict[str, Any]) -> dict[str, Any]:
        if key["id"] == "2":
            raise ValueError("no reviews today")
        return {"id": key["id"], "reviews": [{"body": "good", "stars": 5}]}

    return FederatedGraph(
        products=Service(
            """
            type Query { products(first: Int): [Product!]  product(id: ID!): Product }
            type Mutation { rename(id: ID!, name: String!): Product  fail: Product }
            type Product @key(fields: "id") { id: ID!  name: String! }
            """,
            {
                "Query.products": lambda _, first=None: list(PRODUCTS.values())[:first],
                "Query.product": lambda _, **key: PRODUCTS.get(key["id"]),
                "Mutation.rename": lambda _, name, **key: {**PRODUCTS[key["id"]], "name": name},
                "Product": lambda key: PRODUCTS.get(key["id"]),
            },
        ),
        reviews=Service(
            """
            type Product @key(fields: "id") { id: ID!  reviews: [Review!] }
            type Review { body: String!  stars: Int! }
            """,
            {"Product": reviews},
        ),
    )


def app(config: RouterConfig | None = None, **more: Any) -> tuple[RouterApp, FederatedGraph]:
    """A router over that graph, in process."""
    made = graph()
    router = create_app(
        made.supergraph_sdl, transports=made.transports(), config=config or RouterConfig(), **more
    )
    return router, made


async def query(router: RouterApp, text: str, **more: Any) -> Reply:
    """POST one operation; `variables` and `operationName` go into the body, others to `ask`."""
    body = {"query": text}
    for name in ("variables", "operationName"):
        if name in more:
            body[name] = more.pop(name)
    return await ask(router, json_body=body, **more)

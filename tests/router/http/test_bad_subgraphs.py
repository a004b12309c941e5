"""Subgraphs over real connections that misbehave: partial answers that name path, code, service."""

from __future__ import annotations

import json
from typing import Any

import pytest

from router.config import RouterConfig, SubgraphSettings
from router.http import create_app
from tests.router.http.graph import graph, query
from tests.support.federated import FederatedGraph, Service
from tests.support.raw_server import RawServer, raw_server, reply

GOOD = {"data": {"_entities": [{"reviews": [{"stars": 5}]}, {"reviews": []}]}}


def said(value: Any) -> bytes:
    return reply(json.dumps(value).encode())


MALFORMED, CLOSED = "SUBREQUEST_MALFORMED_RESPONSE", "SUBREQUEST_CONNECTION_ERROR"
ANSWERS: dict[str, tuple[bytes | None, str]] = {
    "html": (reply(b"<html><body>It works!</body></html>"), MALFORMED),
    "500": (reply(b"Internal error", status="500 Internal Server Error"), "SUBREQUEST_HTTP_ERROR"),
    "truncated": (b"HTTP/1.1 200 OK\r\ncontent-length: 999\r\n\r\n" + b'{"data":', CLOSED),
    "truncated json": (reply(b'{"data":{"_entities":[{"rev'), MALFORMED),
    "null data": (said({"data": None}), MALFORMED),
    "too few": (said({"data": {"_entities": GOOD["data"]["_entities"][:1]}}), MALFORMED),
    "too many": (said({"data": {"_entities": [*GOOD["data"]["_entities"], {}]}}), MALFORMED),
    "no list": (said({"data": {"_entities": "x"}}), MALFORMED),
    "no object": (said(["data"]), MALFORMED),
    "too large": (said({"data": {"x": "y" * 20_000}}), "SUBREQUEST_RESPONSE_TOO_LARGE"),
    "nothing": (b"", CLOSED),
    "never": (None, "SUBREQUEST_TIMEOUT"),
}


@pytest.mark.parametrize("name", ANSWERS)
async def test_one_bad_subgraph(name: str) -> None:
    answer, code = ANSWERS[name]

    async def handle(server: RawServer, reader: Any, writer: Any, number: int) -> None:
        await server.read_request(reader)
        if answer is None:
            await reader.read()
        else:
            writer.write(answer)

    made = graph()
    async with raw_server(handle) as server:
        settings = SubgraphSettings(
            url=server.url,
            timeout_seconds=0.1 if answer is None else 5.0,
            response_bytes_max=10_000,
            retry=None,
        )
        router = create_app(
            made.supergraph_sdl,
            transports={"products": made.transports()["products"]},
            config=RouterConfig(subgraphs={"reviews": settings}),
        )
        for _ in range(2):  # and the router goes on
            given = await query(router, "{ products { name reviews { stars } } }")
            assert given.status == 200
            assert given.json()["data"] == {
                "products": [
                    {"name": "Chair", "reviews": None},
                    {"name": "Table", "reviews": None},
                ]
            }
            (error,) = given.json()["errors"]
            assert error["path"] == ["products"]
            assert error["extensions"]["code"] == code
            assert error["extensions"]["service"] == "reviews"
        await router.close()


async def test_wrong_types_are_null_with_an_error() -> None:
    async def handle(server: RawServer, reader: Any, writer: Any, number: int) -> None:
        while True:
            await server.read_request(reader)
            writer.write(
                said({"data": {"_entities": [{"reviews": [{"stars": "five"}]}, {"reviews": 3}]}})
            )

    made = graph()
    async with raw_server(handle) as server:
        router = create_app(
            made.supergraph_sdl,
            transports={"products": made.transports()["products"]},
            config=RouterConfig(subgraphs={"reviews": SubgraphSettings(url=server.url)}),
        )
        given = (await query(router, "{ products { name reviews { stars } } }")).json()
        assert given["data"]["products"] == [
            {"name": "Chair", "reviews": None},
            {"name": "Table", "reviews": None},
        ]
        assert [(error["path"], error["extensions"]["code"]) for error in given["errors"]] == [
            (["products", 0, "reviews", 0, "stars"], "UNEXPECTED_VALUE"),
            (["products", 1, "reviews"], "UNEXPECTED_VALUE"),
        ]
        await router.close()


async def test_an_interface_object_on_the_way_does_not_lose_the_type() -> None:
    """`ratings` leads from `id` to `sku`, and calls every medium `Media`."""
    made = FederatedGraph(
        library=Service(
            """
            type Query { media: [Media] }
            interface Media @key(fields: "id") { id: ID! }
            type Book implements Media @key(fields: "id") { id: ID!  pages: Int }
            type Film implements Media @key(fields: "id") { id: ID! }
            """,
            {
                "Query.media": lambda _: [
                    {"__typename": "Book", "id": "1", "pages": 9},
                    {"__typename": "Film", "id": "2"},
                ],
                "Book": lambda key: key,
            },
        ),
        ratings=Service(
            """
            type Media @key(fields: "id") @key(fields: "sku") @interfaceObject {
              id: ID!  sku: String!  rating: Int
            }
            """,
            {"Media": lambda key: {"id": key["id"], "sku": f"s{key['id']}", "rating": 5}},
        ),
        stock=Service(
            'type Media @key(fields: "sku") @interfaceObject { sku: String!  stock: Int }',
            {"Media": lambda key: {"sku": key["sku"], "stock": int(key["sku"][1:])}},
        ),
    )
    router = create_app(made.supergraph_sdl, transports=made.transports())
    given = await query(router, "{ media { __typename rating stock ... on Book { pages } } }")
    assert given.json() == {
        "data": {
            "media": [
                {"__typename": "Book", "rating": 5, "stock": 1, "pages": 9},
                {"__typename": "Film", "rating": 5, "stock": 2},
            ]
        }
    }

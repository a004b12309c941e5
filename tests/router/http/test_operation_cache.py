"""What is found again without being worked out, and what must not be."""

from __future__ import annotations

from typing import Any

import pytest

from router.config import Caches, RouterConfig
from router.http import RouterApp, create_app
from tests.router.http.graph import app, query
from tests.support.federated import FederatedGraph, Service

TAGGED = """
scalar Decimal
input Range @oneOf { above: Int  below: Int }
input Filter { text: String  range: Range  price: Decimal  ids: [ID!]  not: Filter }
type Query {
  echo(text: String, id: ID, int: Int, float: Float, price: Decimal, ids: [ID!]): String
  find(filter: Filter, first: Int! = 10): String
  node(id: ID!): Node
}
interface Node { id: ID! }
type A implements Node @key(fields: "id") { id: ID!  value(at: Int): Int }
type B implements Node @key(fields: "id") { id: ID!  value(at: Float): Int }
"""


def echo() -> tuple[RouterApp, FederatedGraph]:
    """A graph whose fields answer with their arguments."""
    graph = FederatedGraph(
        echo=Service(
            TAGGED,
            {
                "Query.echo": lambda _, **given: repr(given),
                "Query.find": lambda _, **given: repr(given),
                "Query.node": lambda _, **key: {"__typename": key["id"], **key, "value": 1},
            },
        )
    )
    return create_app(graph.supergraph_sdl, transports=graph.transports()), graph


class Worked:
    """Counts how often an operation of a router is worked out."""

    def __init__(self, router: RouterApp) -> None:
        self.texts: list[str] = []
        self._work_out = router.pipeline._work_out
        router.pipeline._work_out = self._count  # type: ignore[method-assign]

    def _count(self, asked: Any) -> Any:
        self.texts.append(asked.text)
        return self._work_out(asked)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("{echo(int:1)}", "# again\nquery { echo ( int : 1 , ) }"),
        ("query A { echo(int: 1) }", "query Other { echo(int: 2) }"),
        ('{ echo(text: "a", id: 7) }', '{ echo(text: """b\n"c" """, id: 99999999999999999999) }'),
        ("{ echo(float: 5) }", "{ echo(float: 10000000000000000000000) }"),
        ('{ find(filter: {ids: ["a"], range: {above: 1}}, first: 2) }',) * 2,
        (
            '{ find(filter: {not: {text: "a"}, range: {below: 1}}) echo(text: "a") }',
            '{ find(filter: {not: {text: "é\\u0041"}, range: {below: 2}}) echo(text: "é\\u0041") }',
        ),
        (
            'query($i: Int) { echo(int: $i, text: "_l0 a", ids: "x") }',
            'query($i: Int) { echo(int: $i, text: "_l0 b", ids: "y") }',
        ),
        (
            '{ node(id: "A") { ... on A { value(at: 1) } ... on B { value(at: 1) } } }',
            '{ node(id: "B") { ... on A { value(at: 2) } ... on B { value(at: 2) } } }',
        ),
    ],
)
async def test_other_spellings_and_values_are_found(first: str, second: str) -> None:
    """And answered as if they had been worked out."""
    router, _ = echo()
    worked = Worked(router)
    await query(router, first)
    found = (await query(router, second)).json()
    again = (await query(router, second)).json()
    assert len(worked.texts) == 1
    fresh, _ = echo()
    assert found == again == (await query(fresh, second)).json()
    assert "errors" not in found, found


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("{ echo(price: 1.10) }", "{ echo(price: 2.20) }"),
        ("{ find(filter: {price: 1}) }", "{ find(filter: {price: 2}) }"),
        ('{ __type(name: "A") { name } }', '{ __type(name: "B") { name } }'),
        ("query($n: Int = 1) { echo(int: $n) }", "query($n: Int = 2) { echo(int: $n) }"),
        ("query A { echo(int: 1) } query B { echo }", "query A { echo(int: 2) } query B { echo }"),
        (
            '{ echo(int: 1) a: __type(name: "A") { name } }',
            '{ echo a: __type(name: "B") { name } }',
        ),
    ],
)
async def test_values_that_make_another_operation_are_worked_out(first: str, second: str) -> None:
    router, _ = echo()
    worked = Worked(router)
    for text in (first, second):
        reply = (await query(router, text, operationName="A" if "query A" in text else None)).json()
        fresh, _ = echo()
        name = "A" if "query A" in text else None
        assert reply == (await query(fresh, text, operationName=name)).json()
        assert "errors" not in reply, reply
    assert worked.texts == [first, second]


@pytest.mark.parametrize(
    ("good", "bad", "code"),
    [
        ("{ echo(int: 1) }", "{ echo(int: 3000000000) }", "GRAPHQL_VALIDATION_FAILED"),
        ("{ echo(int: 1) }", '{ echo(int: "1") }', "GRAPHQL_VALIDATION_FAILED"),
        ('{ echo(text: "1") }', '{ echo(text: "\\q") }', "GRAPHQL_PARSE_FAILED"),
        ("{ a: echo(int: 1) a: echo(int: 1) }",) * 1
        + ("{ a: echo(int: 1) a: echo(int: 2) }", "GRAPHQL_VALIDATION_FAILED"),
    ],
)
async def test_values_that_do_not_fit_are_refused(good: str, bad: str, code: str) -> None:
    router, _ = echo()
    assert "errors" not in (await query(router, good)).json()
    error = (await query(router, bad)).json()["errors"][0]
    assert error["extensions"]["code"] == code


async def test_literals_go_to_subgraphs_as_variables_of_the_places_type() -> None:
    router, graph = echo()
    await query(router, '{ echo(id: 7, ids: ["a", 7], float: 7, price: 2.50) }')
    (text, variables, _) = graph.services["echo"].asked[0]
    assert "price: 2.50" in text
    assert variables == {"_l0": "7", "_l1": "a", "_l2": 7.0}


async def test_a_name_that_the_document_has_not_is_refused_all_the_same() -> None:
    router, _ = echo()
    assert "errors" not in (await query(router, "query A { echo }", operationName="A")).json()
    reply = await query(router, "query A { echo  }", operationName="B")
    assert reply.json()["errors"][0]["extensions"]["code"] == "OPERATION_RESOLUTION_FAILURE"


async def test_texts_are_forgotten_before_operations_are_lost() -> None:
    router, _ = app(RouterConfig(caches=Caches(operations_max=2, spellings_max=3)))
    worked = Worked(router)
    for number in range(10):
        await query(router, f"{{ products(first: {number}) {{ name }} }}")
    assert len(worked.texts) == 1
    for number in range(3):
        await query(router, f"{{ a{number}: products {{ name }} }}")
    await query(router, "{ products(first: 1) { name } }")
    assert len(worked.texts) == 5
    assert router.pipeline.kept == 2

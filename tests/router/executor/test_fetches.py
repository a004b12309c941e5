"""Fetches: what is sent, where it is merged, and what becomes of failures."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest
from graphql import build_schema
from hypothesis import given, settings
from hypothesis import strategies as st

from router.executor import ExecutionResult
from router.planner.plan import (
    Condition,
    ContextValue,
    Fetch,
    Flatten,
    OperationKind,
    Parallel,
    RenameKey,
    RequiredField,
    RequiredFragment,
    Sequence,
    SetTypename,
    TypeFilter,
)
from tests.router.executor.plans import Services, call, entities, execute, root

SCHEMA = build_schema("""
  type Query { products: [Product] product: Product must: Product! hello: String me: Node }
  type Mutation { a: String b: String }
  interface Node { id: ID! }
  type Product implements Node {
    id: ID! sku: String name: String! price: Int maker: Maker query: Query
  }
  type Maker implements Node { id: ID! name: String }
""")
PRODUCTS = {
    "data": {
        "products": [
            {"__typename": "Product", "id": "1"},
            {"__typename": "Product", "id": "2"},
            None,
            {"__typename": "Product", "id": "1"},
        ]
    }
}
BY_ID = entities("b", ("products", "@"), "__typename", "id")


def prices(variables: dict[str, Any]) -> dict[str, Any]:
    return {"data": {"_entities": [{"price": int(r["id"])} for r in variables["r"]]}}


async def test_representations_are_distinct_and_reach_all_their_places() -> None:
    services = Services(a=PRODUCTS, b=prices)
    result = await execute(SCHEMA, "{ products { price } }", Sequence((root("a"), BY_ID)), services)
    assert result.data == {"products": [{"price": 1}, {"price": 2}, None, {"price": 1}]}
    assert services.asked[1][2] == {
        "r": [{"__typename": "Product", "id": "1"}, {"__typename": "Product", "id": "2"}]
    }
    assert not result.errors


async def test_without_representations_nothing_is_sent() -> None:
    services = Services(a={"data": {"products": []}}, b=prices)
    await execute(SCHEMA, "{ products { price } }", Sequence((root("a"), BY_ID)), services)
    assert [name for name, _, _ in services.asked] == ["a"]


async def test_objects_that_lack_a_required_member_are_skipped_null_is_kept() -> None:
    products = [
        {"__typename": "Product", "id": "1", "sku": None},
        {"__typename": "Product", "id": "2"},
        {"__typename": "Maker", "id": "3", "sku": "x"},
        {"id": "4", "sku": "x"},
        "nonsense",
        {"__typename": "Product", "id": True, "sku": "a"},
        {"__typename": "Product", "id": 1, "sku": "a"},
    ]
    services = Services(
        a={"data": {"products": products}}, b=lambda v: {"data": {"_entities": [None] * 3}}
    )
    fetch = entities("b", ("products", "@"), "id", "sku")
    await execute(SCHEMA, "{ products { price } }", Sequence((root("a"), fetch)), services)
    assert services.asked[1][2]["r"] == [
        {"__typename": "Product", "id": "1", "sku": None},
        {"__typename": "Product", "id": True, "sku": "a"},
        {"__typename": "Product", "id": 1, "sku": "a"},
    ]


async def test_nested_requirements_and_rewrites() -> None:
    tree = {
        "product": {
            "__typename": "Product",
            "id": "1",
            "_lonja_m": [{"__typename": "Maker", "id": "m", "name": "M", "more": 1}, None],
        }
    }
    required = RequiredField(
        "maker",
        "_lonja_m",
        (
            RequiredField("id", "id"),
            RequiredFragment("Maker", frozenset({"Maker"}), (RequiredField("name", "name"),)),
            RequiredFragment("Other", frozenset({"Other"}), (RequiredField("gone", "gone"),)),
        ),
    )
    fetch = entities(
        "b",
        ("product",),
        required,
        input_rewrites=(SetTypename(frozenset({"Product"}), "Node"),),
        output_rewrites=(RenameKey(("maker",), "_lonja_n", "name"),),
    )
    services = Services(
        a={"data": tree}, b={"data": {"_entities": [{"maker": {"id": "m", "_lonja_n": "N"}}]}}
    )
    result = await execute(
        SCHEMA, "{ product { maker { name } } }", Sequence((root("a"), fetch)), services
    )
    assert services.asked[1][2]["r"] == [
        {"__typename": "Node", "maker": [{"id": "m", "name": "M"}, None]}
    ]
    assert result.data == {"product": {"maker": {"name": "N"}}}


async def test_several_calls_in_one_request() -> None:
    fetch = Fetch(
        0,
        "b",
        "query{}",
        OperationKind.QUERY,
        entities=(
            call(("product",), "id", alias="p", variable="p"),
            call(("products", "@"), "id", alias="q", variable="q"),
            call(("me", TypeFilter(("Maker",))), "id", on="Maker", alias="m", variable="m"),
        ),
    )
    services = Services(
        a={
            "data": {
                "product": {"__typename": "Product", "id": "1"},
                "products": [],
                "me": {"__typename": "Maker", "id": "m"},
            }
        },
        b={
            "data": {"p": [{"price": 5}], "q": [], "m": None},
            "errors": [{"message": "no makers", "path": ["m", 0, "name"]}],
        },
    )
    result = await execute(
        SCHEMA,
        "{ product { price } products { price } me { ... on Maker { name } } }",
        Sequence((root("a"), fetch)),
        services,
    )
    assert services.asked[1][2] == {
        "p": [{"__typename": "Product", "id": "1"}],
        "q": [],
        "m": [{"__typename": "Maker", "id": "m"}],
    }
    assert result.data == {"product": {"price": 5}, "products": [], "me": {"name": None}}
    assert [error["path"] for error in result.errors] == [["me", "name"]]


async def test_errors_of_entities_go_to_every_place() -> None:
    answer = {
        "data": {"_entities": [{"price": None}, {"price": 2}]},
        "errors": [
            {
                "message": "no price",
                "path": ["_entities", 0, "price"],
                "locations": [{"line": 1, "column": 1}],
                "extensions": {"code": "E", "x": 1},
            }
        ],
    }
    services = Services(a=PRODUCTS, b=answer)
    result = await execute(SCHEMA, "{ products { price } }", Sequence((root("a"), BY_ID)), services)
    extensions = {"code": "E", "x": 1, "service": "b"}
    assert result.errors == [
        {"message": "no price", "path": ["products", index, "price"], "extensions": extensions}
        for index in (0, 3)
    ]


async def test_masked_errors_keep_their_code() -> None:
    answer = {
        "errors": [
            {
                "message": "at 10.0.0.1",
                "path": ["product"],
                "extensions": {"code": "E", "stack": "s"},
            }
        ],
        "data": {"product": None},
    }
    result = await execute(SCHEMA, "{ product { id } }", root("a"), Services(a=answer), masked=True)
    assert result.errors == [
        {
            "message": 'subgraph "a" reported an error',
            "path": ["product"],
            "extensions": {"code": "E", "service": "a"},
        }
    ]


BAD_ENTITIES: list[tuple[Any, str]] = [
    ({"data": {"_entities": [{"price": 1}]}}, "1 elements for 2"),
    ({"data": {"_entities": [{"price": 1}] * 3}}, "3 elements for 2"),
    ({"data": {"_entities": None}}, "no list"),
    ({"data": {"_entities": {"price": 1}}}, "no list"),
    ({"data": {"_entities": ["x", {"price": 2}]}}, "no objects"),
    ({"data": None}, "without an error"),
    ({"data": []}, "a list"),
    ("<html>", "a string"),
    (None, "null"),
]


@pytest.mark.parametrize(("answer", "words"), BAD_ENTITIES)
async def test_malformed_entities_are_one_error_and_leave_the_rest(answer: Any, words: str) -> None:
    services = Services(a=PRODUCTS, b=answer)
    result = await execute(
        SCHEMA, "{ products { id price } }", Sequence((root("a"), BY_ID)), services
    )
    assert result.data is not None
    assert [item and item["id"] for item in result.data["products"]] == ["1", "2", None, "1"]
    (error,) = result.errors
    assert words in error["message"]
    assert error["path"] == ["products"]
    assert error["extensions"] == {"code": "SUBREQUEST_MALFORMED_RESPONSE", "service": "b"}


async def test_one_failed_fetch_is_one_error_that_explains_all_that_is_missing() -> None:
    """`name` may not be null: the products are, and no further error says so."""

    def fail(_: Any) -> Any:
        raise OSError("secret")

    services = Services(a=PRODUCTS, b=fail)
    result = await execute(SCHEMA, "{ products { name } }", Sequence((root("a"), BY_ID)), services)
    assert result.data == {"products": [None] * 4}
    assert result.errors == [
        {
            "message": 'subgraph "b" failed',
            "path": ["products"],
            "extensions": {"code": "SUBREQUEST_FAILED", "service": "b"},
        }
    ]


async def test_one_object_gets_its_exact_path() -> None:
    services = Services(
        a={"data": {"products": [None, {"__typename": "Product", "id": "1"}]}}, b={"data": None}
    )
    result = await execute(SCHEMA, "{ products { price } }", Sequence((root("a"), BY_ID)), services)
    assert result.errors[0]["path"] == ["products", 1]


async def test_slow_and_dead_subgraphs_leave_what_others_gave() -> None:
    async def never() -> Any:
        await asyncio.Event().wait()

    services = Services(a={"data": {"hello": "hi"}}, b=lambda _: never())
    plan = Parallel((root("a", "{hello}"), root("b", "{product{id} me{id}}")))
    result = await execute(
        SCHEMA, "{ hello product { id } me { id } }", plan, services, seconds=0.02
    )
    assert result.data == {"hello": "hi", "product": None, "me": None}
    (error,) = result.errors
    assert error["path"] == ["product"]
    assert error["extensions"] == {"code": "SUBREQUEST_TIMEOUT", "service": "b"}


async def test_a_required_root_field_that_failed_nulls_data_with_one_error() -> None:
    result = await execute(
        SCHEMA, "{ must { id } }", root("a", "{must{id}}"), Services(a={"data": None})
    )
    assert result.data is None
    assert [error["path"] for error in result.errors] == [["must"]]


async def test_errors_without_a_path_are_placed() -> None:
    answer = {"data": None, "errors": [{"message": "denied"}]}
    result = await execute(
        SCHEMA, "{ product { id } }", root("a", "{product{id}}"), Services(a=answer)
    )
    assert result.errors[0]["path"] == ["product"]


async def test_aliases_of_the_plan_are_undone_in_data_and_errors() -> None:
    fetch = root(
        "a",
        "{_lonja_0:product{_lonja_1:name}}",
        output_rewrites=(RenameKey((), "_lonja_0", "p"), RenameKey(("p",), "_lonja_1", "n")),
    )
    answer = {
        "data": {"_lonja_0": {"_lonja_1": "x"}},
        "errors": [{"message": "m", "path": ["_lonja_0", "_lonja_1"]}],
    }
    result = await execute(SCHEMA, "{ p: product { n: name } }", fetch, Services(a=answer))
    assert result.data == {"p": {"n": "x"}}
    assert result.errors[0]["path"] == ["p", "n"]


async def test_mutations_run_in_order_also_after_a_failure() -> None:
    mutation = OperationKind.MUTATION
    plan = Sequence(
        (root("a", "mutation{a}", kind=mutation), root("b", "mutation{b}", kind=mutation))
    )
    services = Services(a={"data": None}, b={"data": {"b": "done"}})
    result = await execute(SCHEMA, "mutation { a b }", plan, services)
    assert [name for name, _, _ in services.asked] == ["a", "b"]
    assert result.data == {"a": None, "b": "done"}
    assert [error["path"] for error in result.errors] == [["a"]]


async def test_parallel_fetches_are_under_way_together() -> None:
    meeting = asyncio.Barrier(2)

    async def meet(data: dict[str, Any]) -> Any:
        await meeting.wait()
        return {"data": data}

    services = Services(a=lambda _: meet({"hello": "x"}), b=lambda _: meet({"product": None}))
    plan = Parallel((root("a"), root("b")))
    result = await execute(SCHEMA, "{ hello product { id } }", plan, services)
    assert result.data == {"hello": "x", "product": None}


@pytest.mark.parametrize(
    ("variables", "asked"), [({}, ["a"]), ({"yes": True}, ["a"]), ({"yes": False}, ["b"])]
)
async def test_conditions_with_defaults(variables: dict[str, Any], asked: list[str]) -> None:
    plan = Condition("yes", root("a"), root("b"))
    services = Services(a={"data": {"hello": "a"}}, b={"data": {"product": None}})
    query = """query($yes: Boolean = true) {
      hello @include(if: $yes) product @skip(if: $yes) { id }
    }"""
    result = await execute(SCHEMA, query, plan, services, variables=variables)
    assert [name for name, _, _ in services.asked] == asked
    assert result.data == ({"hello": "a"} if asked == ["a"] else {"product": None})


async def test_a_root_fetch_at_a_path_is_sent_once_and_merged_everywhere() -> None:
    plan = Sequence((root("a"), Flatten(("products", "@", "query"), root("b", "{hello}"))))
    services = Services(
        a={
            "data": {
                "products": [
                    {"query": {"__typename": "Query"}},
                    {"query": None},
                    {"query": {"__typename": "Query"}},
                ]
            }
        },
        b={"data": {"hello": None}, "errors": [{"message": "m", "path": ["hello"]}]},
    )
    result = await execute(SCHEMA, "{ products { query { hello } } }", plan, services)
    assert len(services.asked) == 2
    assert [error["path"] for error in result.errors] == [
        ["products", 0, "query", "hello"],
        ["products", 2, "query", "hello"],
    ]


async def test_arguments_from_context_split_requests() -> None:
    context = ContextValue(
        "c", 1, (RequiredFragment("Maker", frozenset({"Maker"}), (RequiredField("id", "id"),)),)
    )
    tree = {
        "products": [
            {"__typename": "Maker", "id": "m1", "p": {"__typename": "Product", "id": "1"}},
            {"__typename": "Maker", "id": "m2", "p": {"__typename": "Product", "id": "1"}},
            {"__typename": "Maker", "id": "m1", "p": {"__typename": "Product", "id": "2"}},
        ]
    }
    fetch = Fetch(
        0,
        "b",
        "query{}",
        OperationKind.QUERY,
        entities=(call(("products", "@", "p"), "id", context=(context,)),),
    )
    services = Services(a={"data": tree}, b=prices)
    await execute(SCHEMA, "{ products { id } }", Sequence((root("a"), fetch)), services)
    sent = sorted(
        (v["c"], [r["id"] for r in v["r"]]) for name, _, v in services.asked if name == "b"
    )
    assert sent == [("m1", ["1", "2"]), ("m2", ["1"])]
    assert [item["p"]["price"] for item in tree["products"]] == [1, 1, 2]


async def test_only_given_variables_are_sent() -> None:
    fetch = root("a", "query($x:Int,$y:Int){x}", variable_usages=("x", "y"))
    services = Services(a={"data": {}})
    schema = build_schema("type Query { f(x: Int, y: Int): Int }")
    query = "query($x: Int, $y: Int, $z: Int) { f(x: $x, y: $y) g: f(x: $z) }"
    await execute(schema, query, fetch, services, variables={"x": None, "z": 1, "w": 2})
    assert services.asked[0][2] == {"x": None}


async def test_the_name_of_an_interface_overwrites_no_type() -> None:
    """A subgraph that has `Node` as an @interfaceObject cannot say what its objects are."""
    fetch = entities(
        "b",
        ("me",),
        "id",
        input_rewrites=(SetTypename(frozenset({"Product"}), "Node"),),
    )
    services = Services(
        a={"data": {"me": {"__typename": "Product", "id": "1", "maker": {"__typename": "Maker"}}}},
        b={
            "data": {
                "_entities": [{"__typename": "Node", "price": 3, "maker": {"__typename": "Node"}}]
            }
        },
    )
    query = "{ me { __typename ... on Product { price maker { __typename } } } }"
    result = await execute(SCHEMA, query, Sequence((root("a"), fetch)), services)
    assert result.data == {
        "me": {"__typename": "Product", "price": 3, "maker": {"__typename": "Maker"}}
    }
    services.says["a"] = {"data": {"me": {"__typename": "Node", "id": "1"}}}
    services.says["b"] = {"data": {"_entities": [{"__typename": "Product", "price": 3}]}}
    fetch = entities("b", ("me",), "id", on="Node")
    result = await execute(SCHEMA, query, Sequence((root("a"), fetch)), services)
    assert result.data == {"me": {"__typename": "Product", "price": 3, "maker": None}}


JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.sampled_from(["x", "Product", "Maker", "Node", "1"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "__typename",
                    "id",
                    "products",
                    "me",
                    "maker",
                    "name",
                    "price",
                    "_entities",
                    "path",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=15,
)
ANSWERS = JUNK | st.fixed_dictionaries(
    {"data": JUNK},
    optional={
        "errors": JUNK
        | st.lists(
            st.fixed_dictionaries(
                {},
                optional={
                    "message": JUNK,
                    "path": JUNK
                    | st.lists(st.sampled_from(["_entities", "products", "name", 0, 1, -1, 9])),
                    "extensions": JUNK,
                },
            ),
            max_size=3,
        )
    },
)


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(ANSWERS, ANSWERS)
def test_whatever_subgraphs_say_the_answer_is_well_formed(first: Any, second: Any) -> None:
    products = entities(
        "b",
        ("products", "@"),
        "id",
        output_rewrites=(RenameKey(("maker",), "id", "name"),),
    )
    me = entities("b", ("me", TypeFilter(("Product",))), "id", RequiredField("maker", "maker"))
    plan = Sequence((root("a", "{products{id} me{id}}"), Parallel((products, me))))
    query = """{
      products { id name maker { name } } me { __typename id ... on Product { price } }
    }"""

    async def run() -> ExecutionResult:
        return await execute(SCHEMA, query, plan, Services(a=first, b=second))

    result = asyncio.run(run())
    assert result.data is None or list(result.data) == ["products", "me"]
    for error in result.errors:
        assert isinstance(error["message"], str)
        assert isinstance(error["extensions"]["code"], str)
        assert all(type(element) in (str, int) for element in error.get("path", []))
    assert orjson.loads(orjson.dumps([result.data, result.errors])) is not None

"""The common types and the executor, with a small schema; and the strawberry facts relied upon."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
import strawberry
from strawberry.exceptions import StrawberryInputCoercionError
from structlog.testing import capture_logs

from eventstore.event import Actor
from subgraphs.shared.auth import Caller, Role
from subgraphs.shared.errors import Forbidden, InvalidValue, NotFound, VersionChanged
from subgraphs.shared.graphql import (
    Connection,
    InvalidInput,
    MoneyInput,
    MoneyType,
    Node,
    RequestContext,
    UserError,
    VersionConflict,
    build_schema,
    federated,
    user_error,
)
from subgraphs.shared.graphql.context import read_positions
from subgraphs.shared.graphql.execution import Executor
from subgraphs.shared.graphql.scalars import SCALARS

Info = strawberry.Info[RequestContext["Things"], None]


class Things:
    """Stands for a service's reads: counts how often it is asked."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []

    async def weights(self, ids: Sequence[str]) -> dict[str, int]:
        self.asked.append(list(ids))
        return {key: int(key) for key in ids if key != "0"}


@strawberry.federation.type(keys=["id"])
class Thing(Node):
    weight: int

    @classmethod
    async def resolve_reference(cls, info: Info, id: strawberry.ID) -> Thing | None:  # noqa: A002
        weight = await info.context.loader(info.context.resources.weights).load(str(id))
        return None if weight is None else cls(id=id, weight=weight)


@strawberry.federation.type(keys=["id"])
class Parcel:
    id: strawberry.ID
    weight_grams: int | None = strawberry.federation.field(external=True, default=None)

    @federated(requires=["weightGrams"])
    def postage(self) -> int | None:
        return None if self.weight_grams is None else self.weight_grams * 2


@strawberry.type
class Query:
    @strawberry.field
    def price(self, price: MoneyInput) -> MoneyType:
        return MoneyType.of(price.value("price"))

    @strawberry.field
    def bug(self) -> int | None:
        raise KeyError("a secret of the inside")

    @strawberry.field
    def forbidden(self) -> int | None:
        raise Forbidden("see this", needs=["STAFF"])

    @strawberry.field
    def things(self) -> Connection[Thing] | None:
        return None

    @strawberry.field
    def parcel(self) -> Parcel | None:
        return None


@strawberry.type
class Mutation:
    @strawberry.mutation
    def refuse(self) -> list[UserError]:
        return [
            user_error(InvalidValue("no", path=["input", "sku"])),
            user_error(VersionChanged("ord_1", 3, 5)),
        ]


SCHEMA = build_schema(query=Query, mutation=Mutation, types=[Parcel])
EXECUTOR = Executor(SCHEMA)
ENTITIES = "query ($r: [_Any!]!) { _entities(representations: $r) { __typename } }"


def context(**changes: Any) -> RequestContext[Things]:
    arguments = {
        "resources": Things(),
        "clock": lambda: datetime(2026, 1, 1, tzinfo=UTC),
        "request_id": "req_1",
        "correlation_id": "cor_1",
    }
    return RequestContext(**{**arguments, **changes})


async def run(query: str, variables: dict[str, Any] | None = None) -> dict[str, Any]:
    return await EXECUTOR.execute(query, variables, None, context())


async def test_money_goes_in_and_out_as_a_decimal_string() -> None:
    query = "query($p: MoneyInput!) { price(price: $p) { amount currency } }"
    answer = await run(query, {"p": {"amount": "10.5", "currency": "EUR"}})
    assert answer == {"data": {"price": {"amount": "10.50", "currency": "EUR"}}}


@pytest.mark.parametrize("amount", [10.5, True, "1e3", None, "x"])
async def test_a_float_is_no_decimal(amount: object) -> None:
    query = "query($p: MoneyInput!) { price(price: $p) { amount } }"
    answer = await run(query, {"p": {"amount": amount, "currency": "EUR"}})
    assert "data" not in answer
    assert "$p" in answer["errors"][0]["message"]


async def test_a_float_literal_is_no_decimal() -> None:
    answer = await run('{ price(price: {amount: 1.5, currency: "EUR"}) { amount } }')
    assert "never a floating-point number" in answer["errors"][0]["message"]


async def test_an_internal_error_is_masked_and_logged_under_the_request_id() -> None:
    with capture_logs() as logs:
        answer = await run("{ bug }")
    assert answer["data"] == {"bug": None}
    (error,) = answer["errors"]
    assert "secret" not in str(answer)
    assert error["extensions"] == {"code": "INTERNAL", "requestId": "req_1"}
    assert error["path"] == ["bug"]
    assert logs[0]["request_id"] == "req_1"
    assert isinstance(logs[0]["exc_info"][1], KeyError)


async def test_a_fault_of_the_caller_is_shown_with_its_code() -> None:
    (error,) = (await run("{ forbidden }"))["errors"]
    assert error["message"] == "you may not see this: it takes the role STAFF"
    assert error["extensions"] == {"code": "FORBIDDEN"}


@pytest.mark.slow
async def test_malformed_documents_get_errors_without_data() -> None:
    for query in ("{", "{ nothing }", "{ price }", "x" * 300_000, "{" + " bug" * 25_000 + "}"):
        answer = await run(query)
        assert "data" not in answer
        assert answer["errors"]


async def test_an_unknown_operation_name_is_an_error_of_the_request() -> None:
    answer = await EXECUTOR.execute("query A { bug }", None, "B", context())
    assert "data" not in answer


async def test_entities_are_loaded_in_one_batch() -> None:
    """`resolve_reference` may be async and take `info`; unknown entities are null."""
    ctx = context()
    representations = [{"__typename": "Thing", "id": str(n)} for n in range(50)]
    answer = await EXECUTOR.execute(
        "query($r: [_Any!]!) { _entities(representations: $r) { ... on Thing { weight } } }",
        {"r": representations},
        None,
        ctx,
    )
    assert answer["data"]["_entities"] == [None, *({"weight": n} for n in range(1, 50))]
    assert ctx.resources.asked == [[str(n) for n in range(50)]]


async def test_the_callers_variables_are_left_alone() -> None:
    variables = {"r": [{"__typename": "Thing", "id": "1"}]}
    query = "query($r: [_Any!]!) { _entities(representations: $r) { ... on Thing { weight } } }"
    for _ in range(2):
        assert (await run(query, variables))["data"] == {"_entities": [{"weight": 1}]}
    assert variables == {"r": [{"__typename": "Thing", "id": "1"}]}


async def test_required_fields_come_by_their_graphql_names() -> None:
    answer = await run(
        "query($r: [_Any!]!) { _entities(representations: $r) { ... on Parcel { postage } } }",
        {"r": [{"__typename": "Parcel", "id": "1", "weightGrams": 21}]},
    )
    assert answer == {"data": {"_entities": [{"postage": 42}]}}


async def test_refusals_are_typed_user_errors() -> None:
    answer = await run(
        "mutation { refuse { __typename code path message"
        " ... on VersionConflict { expected actual } } }"
    )
    first, second = answer["data"]["refuse"]
    assert first == {
        "__typename": "InvalidInput",
        "code": "INVALID",
        "path": ["input", "sku"],
        "message": "no",
    }
    assert (second["__typename"], second["expected"], second["actual"]) == ("VersionConflict", 3, 5)


def test_every_refusal_has_a_typed_form() -> None:
    assert isinstance(user_error(NotFound("Cart", "crt_1")), InvalidInput)
    assert isinstance(user_error(VersionChanged("x", None, 1)), VersionConflict)


def test_documents_are_prepared_once_and_kept_up_to_a_bound() -> None:
    executor = Executor(SCHEMA, documents_max=3)
    kept = executor.prepare("{ bug }")
    for n in range(10):
        executor.prepare(f"query Q{n} {{ bug }}")
        assert executor.prepare("{ bug }") is kept
    assert len(executor._documents) == 3


def test_the_schema_says_what_is_shared() -> None:
    sdl = SCHEMA.as_str()
    assert "type Money @shareable {" in sdl
    assert "type ThingConnection {" in sdl
    assert "federation/v2.5" in sdl


@pytest.mark.parametrize(
    ("query", "variables"),
    [
        (ENTITIES.replace("($r: [_Any!]!)", "").replace("$r", '[{id: "1\\u0000"}]'), {}),
        (ENTITIES, {"r": [{"__typename": "Thing", "id": "1\0"}]}),
    ],
)
async def test_no_text_with_a_nul_gets_to_a_resolver(query: str, variables: dict[str, Any]) -> None:
    things = Things()
    answer = await EXECUTOR.execute(query, variables, None, context(resources=things))
    assert "data" not in answer
    assert "U+0000" in answer["errors"][0]["message"]
    assert things.asked == []


async def test_a_backslash_before_u0000_is_text_as_any_other() -> None:
    variables = {"r": [{"__typename": "Thing", "id": "7"}], "other": "\\u0000"}
    assert "errors" not in await EXECUTOR.execute(ENTITIES, variables, None, context())


def test_a_time_without_a_zone_is_of_utc() -> None:
    parse = SCALARS[datetime].parse_value
    assert parse is not None
    assert parse("2026-01-01T12:00:00") == datetime(2026, 1, 1, 12, tzinfo=UTC)
    assert parse("2026-01-01T12:00:00+02:00") == datetime(2026, 1, 1, 10, tzinfo=UTC)
    with pytest.raises(StrawberryInputCoercionError, match="not a time"):
        parse("not a time")


def test_metadata_name_whose_thing_it_is_unless_it_is_the_callers() -> None:
    caller = Caller("usr_1", frozenset({Role.STAFF}))
    staff = context(caller=caller)
    assert staff.metadata(on_behalf_of="usr_2").actor == Actor("staff", "usr_1", "usr_2")
    assert staff.metadata(on_behalf_of="usr_1").actor == Actor("staff", "usr_1")


def test_read_positions_take_the_highest_and_leave_rubbish_out() -> None:
    assert read_positions("orders:12, users:5,orders:7,x,y:z,:3,p:-1") == {"orders": 12, "users": 5}
    assert read_positions(None) == {}


def test_metadata_name_the_caller_and_where_they_came_from() -> None:
    headers = {"x-client-ip": "192.0.2.1", "x-client-agent": "a" * 500, "traceparent": "00-1-2-01"}
    metadata = context(headers=headers).metadata(reason="because")
    assert metadata.actor.id == "anonymous"
    assert metadata.correlation_id == "cor_1"
    assert metadata.client is not None
    assert metadata.client.ip == "192.0.2.1"
    assert len(metadata.client.agent or "") == 200
    assert metadata.command_id.startswith("cmd_")

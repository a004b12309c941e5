"""Refused commands are in the log; who has not signed in and what is no command are not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from eventstore import Recorded
from subgraphs.products.app import build
from subgraphs.shared.events import CommandRefused
from subgraphs.shared.ids import new_id
from subgraphs.shared.refused import RECORDED_MAX
from subgraphs.shared.service import Service
from subgraphs.users.app import build as build_users
from tests.support.shop import Clock, anonymous, customer, running, staff

CHEAP = {"argon2_time_cost": 1, "argon2_memory_kib": 8, "argon2_parallelism": 1}
CREATE = """mutation($slug: String!, $key: ID!) { createProduct(input: {slug: $slug, title: "Silk",
  variants: [{sku: "S", price: {amount: "1", currency: "EUR"}}], idempotencyKey: $key}) {
    products: product { id version } userErrors { code } } }"""
PUBLISH = """mutation($id: ID!, $version: Int) {
  publishProduct(id: $id, expectedVersion: $version) { userErrors { code message } } }"""
TWICE = """mutation($id: ID!) {
  a: publishProduct(id: $id) { userErrors { code } }
  b: unpublishProduct(id: $id, reason: "no") { userErrors { code } } }"""


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def service(database: str, clock: Clock) -> AsyncIterator[Service[Any]]:
    async with running(build, database, name="products", clock=clock) as service:
        yield service


async def refusals(service: Service[Any]) -> list[Recorded[CommandRefused]]:
    return await service.store.read(0, limit=1000, types=[CommandRefused.TYPE])


async def test_it_says_who_wanted_what_of_which_thing_and_why_not(service: Service[Any]) -> None:
    someone = staff(service)
    created = await someone.ask(CREATE, slug="silk", key="k")
    product_id, version = created["products"]["id"], created["products"]["version"]
    payload = await someone.ask(PUBLISH, id=product_id, version=version + 1)
    (error,) = payload["userErrors"]
    (recorded,) = await refusals(service)
    assert recorded.event == CommandRefused(
        caller_id=str(someone.user_id),
        operation="publishProduct",
        code="VERSION_CONFLICT",
        message=error["message"],
        subject=product_id,
    )
    assert recorded.metadata.actor.id == someone.user_id
    assert recorded.stream == "rfs_" + product_id.partition("_")[2]
    (last,) = await service.store.read_stream(product_id, backwards=True, limit=1)
    assert last.version == version, "what was refused moved the version"
    assert not CommandRefused.PUBLIC


async def test_what_a_role_does_not_allow_is_recorded(service: Service[Any]) -> None:
    someone = customer(service)
    assert await someone.code(CREATE, slug="silk", key="k") == "FORBIDDEN"
    (recorded,) = await refusals(service)
    event = recorded.event
    assert (event.operation, event.code, event.subject) == ("createProduct", "FORBIDDEN", None)
    assert recorded.stream == "rfs_" + str(someone.user_id).partition("_")[2]


async def test_operators_commands_are_commands_too(service: Service[Any]) -> None:
    query = """mutation { rollBackProductsProjection(name: "catalogue", reason: "r",
      idempotencyKey: "k") { userErrors { code } } }"""
    assert await customer(service).code(query) == "FORBIDDEN"
    (recorded,) = await refusals(service)
    assert recorded.event.operation == "rollBackProductsProjection"


async def test_strangers_and_malformed_arguments_fill_no_log(service: Service[Any]) -> None:
    assert await anonymous(service).code(CREATE, slug="silk", key="k") == "UNAUTHENTICATED"
    bad = await staff(service).ask(CREATE, slug="No Slug", key="k")
    assert [error["code"] for error in bad["userErrors"]] == ["INVALID"]
    assert await refusals(service) == []


async def test_what_strangers_are_refused_is_not_recorded(database: str) -> None:
    """They get as far as a refusal where nobody has to sign in."""
    query = """mutation { signIn(email: "ana@example.com", password: "a wrong one") {
      userErrors { code } } }"""
    async with running(build_users, database, name="users", settings=CHEAP) as users:
        refused = await anonymous(users).ask(query)
        assert len(refused["userErrors"]) == 1
        assert await refusals(users) == []
        await customer(users).ask(query)
        assert len(await refusals(users)) == 1


async def test_one_caller_gets_so_many_a_minute_into_the_log(
    service: Service[Any], clock: Clock
) -> None:
    """The rest are counted: the next one that is kept says how many there were."""
    someone, product_id = staff(service), new_id("prd")
    for _ in range(RECORDED_MAX // 2 + 3):
        await someone.ask(TWICE, id=product_id)
    assert len(await refusals(service)) == RECORDED_MAX
    await staff(service).ask(PUBLISH, id=product_id)
    assert len(await refusals(service)) == RECORDED_MAX + 1, "another caller is not held back"
    clock.forward(minutes=1, seconds=1)
    await someone.ask(PUBLISH, id=product_id)
    last = (await refusals(service))[-1]
    assert last.event.unrecorded == 6
    await someone.ask(PUBLISH, id=product_id)
    assert (await refusals(service))[-1].event.unrecorded == 0

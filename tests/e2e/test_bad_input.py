"""What a careless or hostile client sends, and the clear answer it gets."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from lonja.demo.client import RequestFailed
from lonja.demo.operations import CREATE_CART
from tests.support.goods import (
    FILL,
    ORDER_STATUS,
    PLACE,
    cart_with,
    finished,
    money,
    ordered,
    placement,
    stocked,
)
from tests.support.whole import WholeShop

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
async def position(shop: WholeShop) -> str:
    return await stocked(shop, {"SILK": ("12.50", 1_000)})


async def code_of(shop: WholeShop, document: str, token: str | None, **variables: Any) -> str:
    """The code of the first userError of a refused mutation."""
    payload = await shop.ask(document, token, **variables)
    assert payload["userErrors"], payload
    return str(payload["userErrors"][0]["code"])


async def post(shop: WholeShop, body: bytes, **headers: str) -> tuple[int, Any]:
    """A raw request; gives status and JSON. Sends what no client library would."""
    url = urlsplit(shop.url)
    assert url.hostname is not None
    reader, writer = await asyncio.open_connection(url.hostname, url.port)
    given = {"content-type": "application/json", "content-length": str(len(body)), **headers}
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in given.items())
    head = f"POST {url.path} HTTP/1.1\r\nhost: lonja\r\nconnection: close\r\n{lines}\r\n"
    writer.write(head.encode() + body)
    await writer.drain()
    answer = await asyncio.wait_for(reader.read(), 20)
    writer.close()
    top, _, rest = answer.partition(b"\r\n\r\n")
    return int(top.split()[1]), json.loads(rest) if rest else None


@pytest.mark.parametrize(
    ("quantity", "code"),
    [
        (0, "QUANTITY_NOT_POSITIVE"),
        (-3, "QUANTITY_NOT_POSITIVE"),
        (89_638, "QUANTITY_TOO_LARGE"),
        (2**31 - 1, "QUANTITY_TOO_LARGE"),
    ],
)
async def test_quantities_nobody_can_buy(
    shop: WholeShop, position: str, quantity: int, code: str
) -> None:
    who = await shop.customer("careless")
    made = await shop.ask(CREATE_CART, who.token, currency="EUR", key=uuid4().hex)
    lines = [{"sku": "SILK", "quantity": quantity}]
    assert await code_of(shop, FILL, who.token, cart=made["cart"]["id"], lines=lines) == code


async def test_a_quantity_beyond_32_bits_never_reaches_a_service(
    shop: WholeShop, position: str
) -> None:
    who = await shop.customer("careless")
    with pytest.raises(RequestFailed, match="BAD_USER_INPUT"):
        await shop.ask(FILL, who.token, cart="crt_x", lines=[{"sku": "SILK", "quantity": 2**31}])


async def test_ids_that_do_not_exist(shop: WholeShop, position: str) -> None:
    who = await shop.customer("careless")
    lines = [{"sku": "SILK", "quantity": 1}]
    unknown = "crt_01jd0000000000000000000000"
    assert await code_of(shop, FILL, who.token, cart=unknown, lines=lines) == "NOT_FOUND"
    made = await shop.ask(CREATE_CART, who.token, currency="EUR", key=uuid4().hex)
    lines = [{"sku": "NO-SUCH-SKU", "quantity": 1}]
    code = await code_of(shop, FILL, who.token, cart=made["cart"]["id"], lines=lines)
    assert code == "UNKNOWN_VARIANT"
    assert await shop.ask(ORDER_STATUS, who.token, id="ord_01jd0000000000000000000000") is None


async def test_a_currency_that_differs(shop: WholeShop, position: str) -> None:
    who = await shop.customer("careless")
    made = await shop.ask(CREATE_CART, who.token, currency="USD", key=uuid4().hex)
    lines = [{"sku": "SILK", "quantity": 1}]
    code = await code_of(shop, FILL, who.token, cart=made["cart"]["id"], lines=lines)
    assert code == "CURRENCY_MISMATCH"


async def test_a_version_and_a_total_that_are_not_those_of_the_cart(
    shop: WholeShop, position: str
) -> None:
    who = await shop.customer("careless")
    cart = await cart_with(shop, who, position, {"SILK": 2})
    stale = placement(cart, cartVersion=cart["version"] - 1)
    assert await code_of(shop, PLACE, who.token, input=stale) == "VERSION_CONFLICT"
    cheap = placement(cart, expectedTotal=money("0.01"))
    assert await code_of(shop, PLACE, who.token, input=cheap) == "TOTAL_CHANGED"


async def test_an_idempotency_key_gives_one_order_and_refuses_another_body(
    shop: WholeShop, position: str
) -> None:
    who = await shop.customer("careful")
    cart = await cart_with(shop, who, position, {"SILK": 1})
    sent = placement(cart)
    first = await shop.ask(PLACE, who.token, input=sent)
    again = await shop.ask(PLACE, who.token, input=sent)
    assert again["order"]["id"] == first["order"]["id"]
    assert (first["receipt"]["replayed"], again["receipt"]["replayed"]) == (False, True)
    other = {**sent, "paymentMethodToken": "tok_other"}
    assert await code_of(shop, PLACE, who.token, input=other) == "IDEMPOTENCY_KEY_REUSED"
    assert (await finished(shop, first["order"]["id"]))["status"] == "COMPLETED"


async def test_somebody_elses_order_is_not_there(shop: WholeShop, position: str) -> None:
    owner, stranger = await shop.customer("owner"), await shop.customer("stranger")
    order_id = await ordered(shop, owner, position, {"SILK": 1})
    await finished(shop, order_id)
    assert (await shop.ask(ORDER_STATUS, owner.token, id=order_id))["id"] == order_id
    assert await shop.ask(ORDER_STATUS, stranger.token, id=order_id) is None
    assert await shop.ask(ORDER_STATUS, None, id=order_id) is None
    cancel = """mutation($id: ID!, $key: ID!) {
      requestCancellation(orderId: $id, reason: "mine now", idempotencyKey: $key) {
        order { id } userErrors { code } } }"""
    code = await code_of(shop, cancel, stranger.token, id=order_id, key=uuid4().hex)
    assert code == "NOT_FOUND"
    # The other way in: an entity of another service that leads to the order.
    reach = """query($id: ID!) { node(id: $id) { ... on Order {
      total { amount } payments { id } shipments { id } history(first: 1) { edges { node { id } } }
    } } }"""
    answer = await shop.client.answer(reach, {"id": order_id}, token=stranger.token)
    assert {error["extensions"]["code"] for error in answer.errors} <= {
        "FORBIDDEN",
        "UNEXPECTED_NULL",
    }
    found = (answer.data or {}).get("node") or {}
    assert not found.get("total")
    assert not found.get("payments")
    assert not found.get("shipments")
    assert not (found.get("history") or {}).get("edges")


async def test_tokens_that_are_no_tokens(shop: WholeShop) -> None:
    me = json.dumps({"query": "{ me { id } }"}).encode()
    who = await shop.customer("careful")
    head, payload, signature = who.token.split(".")
    forged = {
        "nonsense": "nonsense",
        "a cut signature": f"{head}.{payload}.{signature[:-4]}",
        "another payload": f"{head}.{payload[:-2]}xx.{signature}",
        "no signature": f"{head}.{payload}.",
    }
    for what, token in forged.items():
        status, answer = await post(shop, me, authorization=f"Bearer {token}")
        assert status == 401, what
        assert answer["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED", what
    status, answer = await post(shop, me, authorization=f"Bearer {who.token}")
    assert (status, answer["data"]["me"]["id"]) == (200, who.user_id)


async def test_a_client_cannot_state_who_it_is(shop: WholeShop) -> None:
    me = json.dumps({"query": "{ me { id } }"}).encode()
    status, answer = await post(shop, me, x_router_actor="eyJzdWIiOiJ1c3JfeCJ9.c2lnbmVk")
    assert (status, answer) == (200, {"data": {"me": None}})


async def test_requests_that_are_no_requests(shop: WholeShop) -> None:
    for body, status, code in [
        (b"{", 400, None),
        (b"[]", 400, None),
        (b'{"query": 7}', 400, None),
        (b'{"query": "{ me { id }"}', 400, "GRAPHQL_PARSE_FAILED"),
        (b'{"query": "{ mine }"}', 400, "GRAPHQL_VALIDATION_FAILED"),
        (b'{"query": "query A { me { id } } query B { me { id } }"}', 400, None),
    ]:
        found, answer = await post(shop, body, accept="application/graphql-response+json")
        assert found == status, (body, answer)
        assert answer["errors"][0]["message"], body
        if code is not None:
            assert answer["errors"][0]["extensions"]["code"] == code


async def test_a_hundred_megabytes_are_refused_before_they_are_read(shop: WholeShop) -> None:
    url = urlsplit(shop.url)
    assert url.hostname is not None
    reader, writer = await asyncio.open_connection(url.hostname, url.port)
    writer.write(
        b"POST /graphql HTTP/1.1\r\nhost: lonja\r\ncontent-type: application/json\r\n"
        b"content-length: 100000000\r\n\r\n"
    )
    answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
    writer.close()
    assert answer.split()[1] == b"413"


async def test_the_shop_still_works_after_all_this(shop: WholeShop, position: str) -> None:
    who = await shop.customer("careful")
    order_id = await ordered(shop, who, position, {"SILK": 1})
    assert (await finished(shop, order_id))["status"] == "COMPLETED"

"""The payments subgraph over a real database: what may be seen, what may be done, at what cost."""

from __future__ import annotations

from typing import Any

import pytest

from subgraphs.payments.domain import PaymentState
from subgraphs.shared.auth import Role
from tests.subgraphs.payments.shop import STAFF, Payments, order_id, payments

pytestmark = pytest.mark.slow

PAYMENT = """
query ($id: ID!) {
  payment(id: $id) {
    id version state provider providerReference declineCode order { id }
    requested { amount currency } authorized { amount } captured { amount } refunded { amount }
    nextAction { kind redirectUrl deadline }
  }
}
"""
ORDER = """
... on Order {
  paymentStatus amountDue { amount currency } payments { id state }
}
"""
RESULT = """
payment { id version state captured { amount } refunded { amount } }
receipt { version position replayed commandId }
userErrors {
  __typename code path message
  ... on AmountTooLarge { requested { amount } limit { amount currency } }
}
"""
CAPTURE = (
    "mutation ($id: ID!, $amount: MoneyInput, $key: ID!) {"
    f" capturePayment(paymentId: $id, amount: $amount, idempotencyKey: $key) {{ {RESULT} }} }}"
)
VOID = (
    "mutation ($id: ID!, $reason: String!, $key: ID!) {"
    f" voidPayment(paymentId: $id, reason: $reason, idempotencyKey: $key) {{ {RESULT} }} }}"
)
REFUND = (
    "mutation ($id: ID!, $amount: MoneyInput!, $reason: String!, $key: ID!) {"
    " refundPayment(paymentId: $id, amount: $amount, reason: $reason, idempotencyKey: $key)"
    f" {{ {RESULT} }} }}"
)
ANSWER = (
    "mutation ($id: ID!, $answer: String!, $key: ID!) {"
    f" answerPaymentAction(paymentId: $id, answer: $answer, idempotencyKey: $key) {{ {RESULT} }} }}"
)


def eur(amount: str) -> dict[str, str]:
    return {"amount": amount, "currency": "EUR"}


def order(name: str = "one", total: str = "10.00") -> dict[str, Any]:
    return {"__typename": "Order", "id": order_id(name), "total": eur(total)}


async def do(shop: Payments, mutation: str, payment: str, **given: Any) -> dict[str, Any]:
    """The payload of a mutation of staff; then what it asked for is done."""
    who = given.pop("who", STAFF)
    variables = {"id": payment, "key": shop.key()} | given
    data = await shop.shop.data(mutation, variables, **who)
    await shop.asked()
    payload: dict[str, Any] = next(iter(data.values()))
    return payload


async def test_a_customer_sees_their_payment_and_nobody_elses(database: str) -> None:
    async with payments(database) as shop:
        payment = await shop.authorize(customer="usr_1")
        mine = (await shop.shop.data(PAYMENT, {"id": payment}, user="usr_1"))["payment"]
        assert mine["state"] == "AUTHORIZED"
        assert mine["authorized"] == {"amount": "10.00"}
        assert mine["order"] == {"id": order_id()}
        other = await shop.shop.data(PAYMENT, {"id": payment}, user="usr_2")
        assert other == {"payment": None}
        assert await shop.shop.errors(PAYMENT, {"id": payment}) == ["UNAUTHENTICATED"]
        for user, seen in (("usr_1", True), ("usr_2", False), (None, False)):
            [found] = await shop.shop.entities([order()], ORDER, user=user)
            assert bool(found["payments"]) == seen
            assert found["paymentStatus"] == ("AUTHORIZED" if seen else "NONE")
            reference = {"__typename": "Payment", "id": payment}
            [entity] = await shop.shop.entities([reference], "... on Payment { id }", user=user)
            assert (entity is not None) == seen
        ledger = "query ($id: ID!) { payment(id: $id) { ledger { kind } } }"
        assert await shop.shop.errors(ledger, {"id": payment}, user="usr_1") == ["FORBIDDEN"]


async def test_status_and_amount_due_follow_from_the_required_total(database: str) -> None:
    async with payments(database) as shop:
        [none] = await shop.shop.entities([order("never")], ORDER, user="usr_1")
        assert (none["paymentStatus"], none["amountDue"]) == ("NONE", eur("10.00"))
        payment = await shop.authorize(amount=1000)
        seen = []
        for amount, shipment in ((400, "shp_1"), (600, "shp_2")):
            await shop.capture(payment, amount, shipment=shipment)
            [found] = await shop.shop.entities([order()], ORDER, user="usr_1")
            seen.append((found["paymentStatus"], found["amountDue"]["amount"]))
        assert seen == [("PARTIALLY_PAID", "6.00"), ("PAID", "0.00")]
        [over] = await shop.shop.entities([order(total="9.00")], ORDER, user="usr_1")
        assert (over["paymentStatus"], over["amountDue"]["amount"]) == ("OVERPAID", "-1.00")
        await do(shop, REFUND, payment, amount=eur("10.00"), reason="broken")
        [back] = await shop.shop.entities([order()], ORDER, user="usr_1")
        assert (back["paymentStatus"], back["amountDue"]["amount"]) == ("REFUNDED", "10.00")


async def test_staff_capture_void_and_refund(database: str) -> None:
    async with payments(database) as shop:
        payment = await shop.authorize(amount=1000)
        captured = await do(shop, CAPTURE, payment, amount=eur("4.00"))
        assert captured["userErrors"] == []
        assert captured["receipt"]["replayed"] is False
        assert (await shop.state(payment)).captured_minor == 400
        await do(shop, VOID, payment, reason="the rest is sold out")
        assert (await shop.state(payment)).state is PaymentState.CAPTURED
        await do(shop, REFUND, payment, amount=eur("1.50"), reason="scratched")
        line = (await shop.statement())[payment]
        assert (line.captured_minor, line.voided_minor, line.refunded_minor) == (400, 600, 150)
        [requested] = await shop.answers("refund_requested")
        assert requested.metadata.actor.id == "usr_staff"
        assert (requested.event.reason, requested.event.customer_id) == ("scratched", "usr_1")
        assert requested.metadata.reason is None, "the log cannot forget it there"


async def test_who_was_erased_has_their_money_back_without_a_word_of_them(database: str) -> None:
    async with payments(database) as shop:
        payment = await shop.authorize(amount=1000)
        await do(shop, CAPTURE, payment, amount=eur("10.00"))
        await do(shop, REFUND, payment, amount=eur("1.00"), reason="she rang and wept")
        await shop.erase("usr_1")
        refunded = await do(shop, REFUND, payment, amount=eur("1.50"), reason="she rang again")
        assert refunded["userErrors"] == []
        assert (await shop.statement())[payment].refunded_minor == 250
        reasons = [each.event.reason for each in await shop.answers("refund_requested")]
        assert reasons == ["erased", None]
        refused = await do(shop, REFUND, payment, amount=eur("99.00"), reason="and again")
        assert [error["code"] for error in refused["userErrors"]] == ["AMOUNT_EXCEEDS_LIMIT"]
        ledger = "query ($id: ID!) { payment(id: $id) { ledger { kind reason } } }"
        lines = (await shop.shop.data(ledger, {"id": payment}, **STAFF))["payment"]["ledger"]
        shown = [line["reason"] for line in lines if line["kind"] == "refund_requested"]
        assert shown == ["erased", None]


async def test_a_repeated_key_moves_money_once(database: str) -> None:
    async with payments(database) as shop:
        payment = await shop.authorize(amount=1000)
        key = shop.key()
        first = await do(shop, CAPTURE, payment, amount=eur("4.00"), key=key)
        again = await do(shop, CAPTURE, payment, amount=eur("4.00"), key=key)
        assert again["receipt"] == first["receipt"] | {"replayed": True}
        other = await do(shop, CAPTURE, payment, amount=eur("5.00"), key=key)
        assert [error["code"] for error in other["userErrors"]] == ["IDEMPOTENCY_KEY_REUSED"]
        assert (await shop.statement())[payment].captured_minor == 400


async def test_what_is_asked_while_the_provider_works_is_done_after_it(database: str) -> None:
    async with payments(database, delay_seconds=0.5) as shop:
        payment = await shop.authorize(wait=False)
        await shop.shop.until(lambda: shop.answers("requested"))
        void = {"id": payment, "reason": "changed their mind", "key": shop.key()}
        data = await shop.shop.data(VOID, void, fresh=False, **STAFF)
        assert data["voidPayment"]["payment"]["state"] == "REQUESTED"
        await shop.digest()
        assert await shop.types() == ["requested", "void_requested", "authorized", "voided"]
        assert (await shop.statement())[payment].voided_minor == 1000


async def test_over_the_ceiling_is_refused_typed_and_recorded(database: str) -> None:
    async with payments(database) as shop:
        payment = await shop.authorize(amount=1000)
        refused = await do(shop, REFUND, payment, amount=eur("0.01"), reason="too early")
        [error] = refused["userErrors"]
        assert (error["__typename"], error["limit"]) == ("AmountTooLarge", eur("0.00"))
        too_much = await do(shop, CAPTURE, payment, amount=eur("10.01"))
        assert too_much["userErrors"][0]["limit"] == eur("10.00")
        assert too_much["userErrors"][0]["path"] == ["amount"]
        tried = await shop.answers("operation_refused")
        assert [(e.event.operation, e.event.amount_minor) for e in tried] == [
            ("refund", 1),
            ("capture", 1001),
        ]
        assert await shop.shop.events("command.refused") == [], "it is recorded once"
        ledger = "query ($id: ID!) { payment(id: $id) { ledger { kind actorId reason } } }"
        lines = (await shop.shop.data(ledger, {"id": payment}, **STAFF))["payment"]["ledger"]
        assert [line["kind"] for line in lines] == [
            "requested",
            "authorized",
            "operation_refused",
            "operation_refused",
        ]
        assert [line["reason"] for line in lines] == [None, None, "too early", None]


@pytest.mark.parametrize(
    ("amount", "code"),
    [
        (eur("0.00"), "AMOUNT_NOT_POSITIVE"),
        (eur("-1.00"), "AMOUNT_NOT_POSITIVE"),
        ({"amount": "1.00", "currency": "USD"}, "CURRENCY_MISMATCH"),
        (eur("1.001"), "INVALID_MONEY"),
        ({"amount": "1.00", "currency": "ZZZ"}, "UNKNOWN_CURRENCY"),
    ],
)
async def test_wrong_amounts(database: str, amount: dict[str, str], code: str) -> None:
    async with payments(database) as shop:
        payment = await shop.authorize(amount=1000)
        payload = await do(shop, CAPTURE, payment, amount=amount)
        assert [error["code"] for error in payload["userErrors"]] == [code]
        assert (await shop.statement())[payment].captured_minor == 0


async def test_unknown_payments_and_empty_reasons(database: str) -> None:
    async with payments(database) as shop:
        payment = await shop.authorize()
        unknown = await do(shop, VOID, order_id().replace("ord_", "pay_"), reason="why")
        assert [error["code"] for error in unknown["userErrors"]] == ["NOT_FOUND"]
        malformed = await do(shop, VOID, "pay_x", reason="why")
        assert [error["code"] for error in malformed["userErrors"]] == ["MALFORMED_ID"]
        silent = await do(shop, VOID, payment, reason="  ")
        assert [error["path"] for error in silent["userErrors"]] == [["reason"]]


@pytest.mark.parametrize("roles", [[], [Role.CUSTOMER], [Role.AUDITOR], [Role.OPERATOR]])
async def test_only_staff_moves_money(database: str, roles: list[Role]) -> None:
    async with payments(database) as shop:
        payment = await shop.authorize(customer="usr_1")
        variables = {"id": payment, "reason": "mine", "key": shop.key()}
        assert await shop.shop.errors(VOID, variables, user="usr_1", roles=roles) == ["FORBIDDEN"]
        assert await shop.shop.errors(VOID, variables) == ["UNAUTHENTICATED"]
        assert (await shop.statement())[payment].voided_minor == 0


async def test_the_customer_answers_a_challenge(database: str) -> None:
    async with payments(database) as shop:
        payment = await shop.authorize(token="tok_3ds", customer="usr_1")
        shown = (await shop.shop.data(PAYMENT, {"id": payment}, user="usr_1"))["payment"]
        assert (shown["state"], shown["nextAction"]["kind"]) == ("ACTION_REQUIRED", "3ds")
        stranger = await do(shop, ANSWER, payment, answer="approve", who={"user": "usr_2"})
        assert [error["code"] for error in stranger["userErrors"]] == ["NOT_FOUND"]
        await do(shop, ANSWER, payment, answer="approve", who={"user": "usr_1"})
        [authorized] = await shop.answers("authorized")
        assert authorized.event.amount_minor == 1000
        late = await do(shop, ANSWER, payment, answer="approve", who={"user": "usr_1"})
        assert [error["code"] for error in late["userErrors"]] == ["NO_ACTION_PENDING"]
        shown = (await shop.shop.data(PAYMENT, {"id": payment}, user="usr_1"))["payment"]
        assert (shown["state"], shown["nextAction"]) == ("AUTHORIZED", None)


async def test_totals_statement_and_reconciliation_agree(database: str) -> None:
    totals = """
    { paymentTotals { currency count authorized { amount } captured { amount } refunded { amount }
        voided { amount } byState { state count } }
      paymentReconciliation { lines mismatches complete firstMismatches { paymentId theirs ours }
        totals { currency captured { amount } voided { amount } } } }
    """
    statement = """
    query ($orders: [ID!], $after: String) {
      providerStatement(first: 1, after: $after, orderIds: $orders) {
        provider endCursor lines { paymentId order { id } taken { amount } payment { state } } }
    }
    """
    async with payments(database) as shop:
        sold = await shop.authorize("sold", 1000)
        await shop.capture(sold, 1000, name="sold")
        rejected = await shop.authorize("rejected", 500)
        await shop.void(rejected, name="rejected")
        await shop.authorize("declined", 700, token="tok_decline")
        found = await shop.shop.data(totals, **STAFF)
        [sums] = found["paymentTotals"]
        assert (sums["currency"], sums["count"]) == ("EUR", 3)
        assert [sums[name]["amount"] for name in ("authorized", "captured", "voided")] == [
            "15.00",
            "10.00",
            "5.00",
        ]
        assert {c["state"]: c["count"] for c in sums["byState"]} == {
            "CAPTURED": 1,
            "DECLINED": 1,
            "VOIDED": 1,
        }
        check = found["paymentReconciliation"]
        assert (check["lines"], check["mismatches"], check["complete"]) == (3, 0, True)
        assert check["totals"][0]["captured"]["amount"] == "10.00"
        names, taken, after = ["rejected", "declined"], [], None
        while True:
            variables = {"orders": [order_id(name) for name in names], "after": after}
            page = (await shop.shop.data(statement, variables, **STAFF))["providerStatement"]
            taken += [line["taken"]["amount"] for line in page["lines"]]
            if (after := page["endCursor"]) is None:
                break
        assert taken == ["0.00", "0.00"], "no money was taken from rejected orders"
        for query in (totals, statement):
            assert set(await shop.shop.errors(query, user="usr_1")) == {"FORBIDDEN"}


async def test_a_provider_that_took_money_behind_our_back_is_found_out(database: str) -> None:
    check = """
    { paymentReconciliation { mismatches firstMismatches { paymentId theirs ours } } }
    """
    async with payments(database) as shop:
        payment = await shop.authorize(amount=1000)
        await shop.provider.capture("not ours", payment, 300)
        found = (await shop.shop.data(check, **STAFF))["paymentReconciliation"]
        assert found == {
            "mismatches": 1,
            "firstMismatches": [
                {"paymentId": payment, "theirs": [1000, 300, 0, 0], "ours": [1000, 0, 0, 0]}
            ],
        }
        shop.provider.faults.down = True
        statement = "{ providerStatement(first: 1) { provider } }"
        for query in (check, statement):
            assert await shop.shop.errors(query, **STAFF) == ["PROVIDER_UNAVAILABLE"]


async def test_the_read_model_has_the_state_of_the_domain(database: str) -> None:
    async with payments(database, lose_answers=0.5) as shop:
        tokens = ["tok_approve", "tok_decline", "tok_3ds", "tok_unknown", "tok_card"]
        made = [await shop.authorize(token, token=token) for token in tokens]
        await shop.capture(made[0], 400, name="tok_approve")
        await shop.void(made[2], name="tok_3ds")
        await shop.void(made[4], name="tok_card")
        for payment in made:
            data = await shop.shop.data(PAYMENT, {"id": payment}, **STAFF)
            state = await shop.state(payment)
            assert data["payment"]["state"] == state.state.value
            assert data["payment"]["version"] == len(
                await shop.shop.service.store.read_stream(payment)
            )


async def test_the_number_of_statements_does_not_grow_with_the_rows(database: str) -> None:
    selection = (
        f"{ORDER} ... on Payment {{ state order {{ id payments {{ id }} }} ledger {{ kind }} }}"
    )
    async with payments(database) as shop:
        made = [await shop.authorize(f"o{n}") for n in range(12)]
        counts = []
        for count in (1, 12):
            await shop.shop.settle()
            before = shop.shop.service.reads.statements
            asked = [order(f"o{n}") for n in range(count)]
            asked += [{"__typename": "Payment", "id": payment} for payment in made[:count]]
            found = await shop.shop.entities(asked, selection, fresh=False, **STAFF)
            assert all(entity is not None for entity in found)
            counts.append(shop.shop.service.reads.statements - before)
        assert counts[0] == counts[1] <= 4


async def test_lists_are_paged_and_filtered(database: str) -> None:
    ask = """
    query ($after: String, $state: PaymentState) {
      payments(first: 2, after: $after, state: $state) {
        edges { node { id state } } pageInfo { hasNextPage endCursor }
      }
    }
    """
    async with payments(database) as shop:
        made = {await shop.authorize(f"o{n}") for n in range(3)}
        await shop.authorize("no", token="tok_decline")
        variables: dict[str, Any] = {"state": "AUTHORIZED"}
        first = (await shop.shop.data(ask, variables, **STAFF))["payments"]
        variables["after"] = first["pageInfo"]["endCursor"]
        rest = (await shop.shop.data(ask, variables, **STAFF))["payments"]
        assert rest["pageInfo"]["hasNextPage"] is False
        assert {edge["node"]["id"] for edge in first["edges"] + rest["edges"]} == made
        assert await shop.shop.errors(ask, user="usr_1") == ["FORBIDDEN"]

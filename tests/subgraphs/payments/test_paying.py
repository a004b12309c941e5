"""What orders asks for, what the provider is asked, and what is said in the end."""

from __future__ import annotations

import pytest

from subgraphs.payments.domain import ABANDONED, PaymentState
from tests.subgraphs.payments.shop import Payments, order_id, payments

pytestmark = pytest.mark.slow


async def test_the_way_of_money(database: str) -> None:
    async with payments(database) as shop:
        payment = await shop.authorize(amount=1000)
        await shop.capture(payment, 400, shipment="shp_1")
        await shop.capture(payment, 600, shipment="shp_2")
        assert await shop.types() == [
            "requested",
            "authorized",
            "capture_requested",
            "captured",
            "capture_requested",
            "captured",
        ]
        [authorized] = await shop.answers("authorized")
        assert (authorized.event.order_id, authorized.event.amount_minor) == (order_id("one"), 1000)
        assert authorized.metadata.correlation_id == "cor_1"
        first, second = await shop.answers("captured")
        assert (first.event.shipment_id, first.event.amount_minor) == ("shp_1", 400)
        assert (second.event.shipment_id, second.event.amount_minor) == ("shp_2", 600)
        line = (await shop.statement())[payment]
        assert (line.authorized_minor, line.captured_minor) == (1000, 1000)


async def test_the_question_is_in_the_log_before_it_is_asked(database: str) -> None:
    async with payments(database) as shop:
        shop.provider.faults.down = True
        await shop.authorize()
        assert (await shop.types())[0] == "requested"
        shop.provider.faults.down = False
        assert not await shop.statement()


async def test_a_message_that_comes_twice_moves_money_once(database: str) -> None:
    async with payments(database) as shop:
        payment = await shop.authorize()
        await shop.capture(payment, 400)
        for event in list(shop.shop.feeds["orders"].events):
            await shop.shop.feeds["orders"].repeat(event)
        await shop.digest()
        await shop.authorize()
        await shop.capture(payment, 400)
        assert (await shop.types()).count("captured") == 1
        assert (await shop.statement())[payment].captured_minor == 400


async def test_a_decline_takes_nothing(database: str) -> None:
    async with payments(database) as shop:
        payment = await shop.authorize(token="tok_decline_lost_card")
        [declined] = await shop.answers("declined")
        assert declined.event.decline_code == "lost_card"
        assert (await shop.statement())[payment].authorized_minor == 0


async def test_a_second_attempt_is_another_payment(database: str) -> None:
    async with payments(database) as shop:
        first = await shop.authorize(token="tok_decline")
        second = await shop.authorize(attempt=2)
        assert first != second
        assert (await shop.state(second)).state is PaymentState.AUTHORIZED


async def test_a_lost_answer_is_asked_for_not_assumed(database: str) -> None:
    async with payments(database) as shop:
        payment = await shop.authorize(token="tok_unknown")
        assert (await shop.state(payment)).state is PaymentState.UNKNOWN
        shop.shop.clock.pass_by(seconds=2)
        await shop.shop.until(lambda: shop.answers("authorized"))
        assert await shop.types() == ["requested", "outcome_unknown", "authorized"]
        assert (await shop.statement())[payment].authorized_minor == 1000


async def test_a_provider_that_is_away_is_asked_until_it_answers(database: str) -> None:
    async with payments(database) as shop:
        shop.provider.faults.down = True
        payment = await shop.authorize()
        for asked in (2, 3):
            shop.shop.clock.pass_by(minutes=10)

            async def asked_again(times: int = asked) -> bool:
                return len(await shop.answers("outcome_unknown")) >= times

            await shop.shop.until(asked_again)
        shop.provider.faults.down = False
        shop.shop.clock.pass_by(minutes=10)
        await shop.shop.until(lambda: shop.answers("authorized"))
        assert (await shop.statement())[payment].authorized_minor == 1000


async def test_captures_and_voids_survive_lost_answers(database: str) -> None:
    async with payments(database, lose_answers=1.0) as shop:
        payment = await shop.authorize()
        await _until_known(shop, payment)
        await shop.capture(payment, 300)
        await _until_known(shop, payment)
        await shop.void(payment)
        await _until_known(shop, payment)
        state = await shop.state(payment)
        assert (state.authorized_minor, state.captured_minor, state.voided_minor) == (
            1000,
            300,
            700,
        )
        line = (await shop.statement())[payment]
        assert (line.captured_minor, line.voided_minor) == (300, 700)


async def _until_known(shop: Payments, payment: str) -> None:
    async def known() -> bool:
        shop.shop.clock.pass_by(minutes=10)
        return not (await shop.state(payment)).pending

    await shop.shop.until(known)


async def test_a_capture_over_what_is_held_is_answered_with_a_failure(database: str) -> None:
    async with payments(database) as shop:
        payment = await shop.authorize()
        await shop.capture(payment, 1001)
        [failed] = await shop.answers("capture_failed")
        assert (failed.event.reason, failed.event.shipment_id) == ("AMOUNT_EXCEEDS_LIMIT", "shp_1")
        assert (await shop.statement())[payment].captured_minor == 0


async def test_a_void_is_answered_whatever_is_held(database: str) -> None:
    async with payments(database) as shop:
        held = await shop.authorize("one")
        await shop.void(held, name="one")
        declined = await shop.authorize("two", token="tok_decline")
        await shop.void(declined, name="two")
        nothing = await shop.authorize("three")
        await shop.void(None, name="three")
        voided = {event.stream: event.event.amount_minor for event in await shop.answers("voided")}
        assert voided == {held: 1000, declined: 0, nothing: 1000}
        assert (await shop.statement())[held].voided_minor == 1000


async def test_a_void_waits_for_an_unknown_outcome(database: str) -> None:
    async with payments(database) as shop:
        payment = await shop.authorize(token="tok_unknown")
        await shop.void(payment)
        shop.shop.clock.pass_by(seconds=5)
        await shop.shop.until(lambda: shop.answers("voided"))
        line = (await shop.statement())[payment]
        assert (line.authorized_minor, line.voided_minor) == (1000, 1000)


async def test_an_abandoned_challenge_ends_in_a_decline_and_holds_nothing(database: str) -> None:
    async with payments(database) as shop:
        payment = await shop.authorize(token="tok_3ds")
        [required] = await shop.answers("action_required")
        assert required.event.redirect_url.startswith("https://")
        shop.shop.clock.pass_by(minutes=10)
        [declined] = await shop.shop.until(lambda: shop.answers("declined"))
        assert declined.event.decline_code == ABANDONED
        await shop.asked()
        assert (await shop.statement())[payment].authorized_minor == 0


async def test_a_restart_asks_on_where_it_stopped(database: str) -> None:
    async with payments(database) as shop:
        shop.provider.faults.down = True
        payment = await shop.authorize()
        feeds, clock = shop.shop.feeds, shop.shop.clock
    clock.pass_by(minutes=10)
    async with payments(database, given=feeds, clock=clock) as shop:
        await shop.shop.until(lambda: shop.answers("authorized"))
        await shop.capture(payment, 1000)
    async with payments(database, given=feeds, clock=clock) as shop:
        assert (await shop.statement())[payment].captured_minor == 1000
        assert (await shop.state(payment)).state is PaymentState.CAPTURED

"""The fake provider: one key, one piece of work; books that a restart does not forget."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from subgraphs.payments.answers import Approved, Challenge, Refused
from subgraphs.payments.errors import OutcomeUnknown, ProviderKeyReused
from subgraphs.payments.provider import Authorization, FakeProvider, Fate, Faults

REQUEST = Authorization("pay_1", "ord_1", 1000, "EUR", "tok_approve")


@asynccontextmanager
async def provider(
    conninfo: str, fate: Fate | None = None, faults: Faults | None = None
) -> AsyncIterator[FakeProvider]:
    fake = FakeProvider(conninfo, fate=fate, faults=faults)
    await fake.start()
    try:
        yield fake
    finally:
        await fake.stop()


async def taken(fake: FakeProvider) -> tuple[int, int, int, int]:
    [line] = await fake.statement(order_ids=None, after="", limit=10)
    return line.authorized_minor, line.captured_minor, line.refunded_minor, line.voided_minor


async def test_the_same_key_is_the_same_work(database: str) -> None:
    async with provider(database) as fake:
        first = await fake.authorize(REQUEST)
        assert await fake.authorize(REQUEST) == first
        assert isinstance(first, Approved)
        captures = [fake.capture("cap_1", "pay_1", 400) for _ in range(8)]
        assert len(set(await asyncio.gather(*captures))) == 1
        assert await taken(fake) == (1000, 400, 0, 0)


async def test_a_key_with_another_body_is_an_error(database: str) -> None:
    async with provider(database) as fake:
        await fake.authorize(REQUEST)
        with pytest.raises(ProviderKeyReused):
            await fake.authorize(replace(REQUEST, amount_minor=999))
        await fake.capture("cap_1", "pay_1", 400)
        with pytest.raises(ProviderKeyReused):
            await fake.capture("cap_1", "pay_1", 401)
        assert await taken(fake) == (1000, 400, 0, 0)


async def test_more_than_is_held_is_not_taken_and_no_more_given_back(database: str) -> None:
    async with provider(database) as fake:
        await fake.authorize(REQUEST)
        captures = [fake.capture(f"cap_{n}", "pay_1", 400) for n in range(6)]
        answers = await asyncio.gather(*captures)
        assert sum(isinstance(answer, Approved) for answer in answers) == 2
        assert await fake.void("void_1", "pay_1") == Approved(_reference(answers), 200)
        refunds = [fake.refund(f"ref_{n}", "pay_1", 500) for n in range(3)]
        assert sum(isinstance(a, Approved) for a in await asyncio.gather(*refunds)) == 1
        assert await taken(fake) == (1000, 800, 500, 200)


async def test_an_answer_may_be_lost_after_the_work_was_done(database: str) -> None:
    async with provider(database) as fake:
        with pytest.raises(OutcomeUnknown):
            await fake.authorize(replace(REQUEST, method_token="tok_unknown"))
        assert isinstance(await fake.look_up("pay_1"), Approved)
        fake.faults.lose_answers = 1.0
        with pytest.raises(OutcomeUnknown):
            await fake.capture("cap_1", "pay_1", 1000)
        assert isinstance(await fake.capture("cap_1", "pay_1", 1000), Approved)
        assert await taken(fake) == (1000, 1000, 0, 0)


async def test_nothing_arrives_while_it_is_down(database: str) -> None:
    async with provider(database, faults=Faults(down=True)) as fake:
        with pytest.raises(OutcomeUnknown):
            await fake.authorize(REQUEST)
        with pytest.raises(OutcomeUnknown):
            await fake.look_up("pay_1")
        fake.faults.down = False
        assert await fake.look_up("pay_1") is None


async def test_a_restart_does_not_forget(database: str) -> None:
    async with provider(database) as fake:
        await fake.authorize(REQUEST)
        await fake.capture("cap_1", "pay_1", 400)
    async with provider(database) as fake:
        assert await taken(fake) == (1000, 400, 0, 0)
        assert isinstance(await fake.look_up("cap_1"), Approved)


@pytest.mark.parametrize(
    ("token", "code"), [("tok_decline", "card_declined"), ("tok_decline_lost_card", "lost_card")]
)
async def test_a_token_forces_a_decline(database: str, token: str, code: str) -> None:
    async with provider(database) as fake:
        assert await fake.authorize(replace(REQUEST, method_token=token)) == Refused(code)
        assert await taken(fake) == (0, 0, 0, 0)


@pytest.mark.parametrize(("answer", "held"), [("approve", 1000), ("who?", 0)])
async def test_a_challenge_is_answered_once(database: str, answer: str, held: int) -> None:
    async with provider(database) as fake:
        challenge = await fake.authorize(replace(REQUEST, method_token="tok_3ds"))
        assert isinstance(challenge, Challenge)
        await fake.confirm("act_1", "pay_1", answer)
        assert await fake.confirm("act_2", "pay_1", "approve") == Refused("no_challenge_open")
        assert (await taken(fake))[0] == held


async def test_a_voided_challenge_can_no_longer_be_answered(database: str) -> None:
    async with provider(database) as fake:
        await fake.authorize(replace(REQUEST, method_token="tok_3ds"))
        await fake.void("void_1", "pay_1")
        assert isinstance(await fake.confirm("act_1", "pay_1", "approve"), Refused)
        assert await taken(fake) == (0, 0, 0, 0)


async def test_what_was_never_authorised_cannot_be_captured(database: str) -> None:
    async with provider(database) as fake:
        assert await fake.capture("cap_1", "pay_9", 1) == Refused("unknown_authorization")


async def test_the_statement_is_by_order_and_in_pages(database: str) -> None:
    async with provider(database) as fake:
        for n in range(3):
            await fake.authorize(replace(REQUEST, key=f"pay_{n}", order_id=f"ord_{n}"))
        page = await fake.statement(order_ids=None, after="pay_0", limit=1)
        assert [line.key for line in page] == ["pay_1"]
        chosen = await fake.statement(order_ids=["ord_2", "ord_9"], after="", limit=10)
        assert [line.key for line in chosen] == ["pay_2"]


def test_the_share_of_declines_follows_from_the_seed() -> None:
    fate = Fate(seed=7, decline_rate=0.02)
    declined = [n for n in range(5000) if fate.authorize(f"ord_{n}", "tok_card", "ref")]
    assert 60 <= len(declined) <= 140
    again = Fate(seed=7, decline_rate=0.02)
    assert declined == [n for n in range(5000) if again.authorize(f"ord_{n}", "tok_card", "ref")]
    other = Fate(seed=8, decline_rate=0.02)
    assert declined != [n for n in range(5000) if other.authorize(f"ord_{n}", "tok_card", "ref")]


def _reference(answers: list[object]) -> str:
    return next(answer.reference for answer in answers if isinstance(answer, Approved))

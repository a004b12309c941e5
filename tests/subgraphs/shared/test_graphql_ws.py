"""graphql-transport-ws of a service: the journal stands for all of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import structlog.testing

from subgraphs.journal.app import build
from subgraphs.shared import graphql_ws
from subgraphs.shared.auth import Role, sign_actor
from subgraphs.shared.ids import new_id
from subgraphs.shared.service import Service
from tests.support.asgi import Socket, ask, socket
from tests.support.shop import SECRET, running, staff

TAIL = 'subscription { eventLog(after: "journal:0") { type } }'
ASK = {"type": "subscribe", "id": "1", "payload": {"query": "{ nodes(ids: []) { id } }"}}


@pytest.fixture
async def service(database: str) -> AsyncIterator[Service[Any]]:
    async with running(build, database, name="journal") as service:
        yield service


def actor(service: Service[Any], *roles: Role, secret: bytes = SECRET) -> dict[str, str]:
    now = service.context.clock()
    return {"x-router-actor": sign_actor(secret, user_id=new_id("usr"), roles=roles, now=now)}


async def greet(connection: Socket, payload: Any = None) -> None:
    assert (await connection.event())["subprotocol"] == "graphql-transport-ws"
    await connection.say({"type": "connection_init", "payload": payload})
    assert await connection.hear() == {"type": "connection_ack"}


def subscribe(query: str, id_: str = "1") -> dict[str, Any]:
    return {"type": "subscribe", "id": id_, "payload": {"query": query}}


async def test_a_subscription_until_its_client_ends_it(service: Service[Any]) -> None:
    await staff(service, Role.AUDITOR).answer(
        'mutation { exportEvents(where: {}, format: CSV, idempotencyKey: "k") {'
        " userErrors { code } } }"
    )
    async with socket(service.app, headers=actor(service, Role.AUDITOR)) as connection:
        await greet(connection)
        await connection.say(subscribe(TAIL))
        message = await connection.hear()
        assert (message["type"], message["id"]) == ("next", "1")
        assert set(message["payload"]["data"]["eventLog"]) == {"type"}
        await connection.say({"type": "complete", "id": "1"})
        await connection.say({"type": "ping"})
        assert await connection.hear() == {"type": "pong"}
        await connection.say(ASK)  # the id is free again
        assert (await connection.hear())["payload"] == {"data": {"nodes": []}}
        assert await connection.hear() == {"type": "complete", "id": "1"}
    assert service._subscriptions == 0


async def test_an_id_may_be_used_again_at_once(service: Service[Any]) -> None:
    """The end of the first operation of the id does not take away the second."""
    async with socket(service.app, headers=actor(service, Role.AUDITOR)) as connection:
        await greet(connection)
        waiting = subscribe("subscription { eventLog { id } }")
        await connection.say(waiting)
        await until(service, 1)
        for message in ({"type": "complete", "id": "1"}, waiting):
            await connection.say(message)
        await until_begun(service, 2)
        await connection.say(waiting)
        assert await connection.closed() == 4409


async def until_begun(service: Service[Any], tails: int) -> None:
    """Wait until so many tails were begun, and one of them is open."""
    while len(await service.store.read(0, types=["audit.read"])) < tails:
        await service.store.wait(await service.store.head(), 0.01)
    await until(service, 1)


async def until(service: Service[Any], subscriptions: int) -> None:
    while service._subscriptions != subscriptions:
        await service.store.wait(await service.store.head(), 0.01)


async def test_a_client_that_leaves_ends_its_subscriptions(service: Service[Any]) -> None:
    async with socket(service.app, headers=actor(service, Role.AUDITOR)) as connection:
        await greet(connection)
        for n in range(3):
            await connection.say(subscribe("subscription { eventLog { id } }", str(n)))
        await until(service, 3)
    assert service._subscriptions == 0


@pytest.mark.parametrize("signed", ["no", "customer", "foreign", "in the payload"])
async def test_who_asks_is_known_by_the_signed_header_alone(
    service: Service[Any], signed: str
) -> None:
    headers = {
        "no": {},
        "in the payload": {},
        "customer": actor(service, Role.CUSTOMER),
        "foreign": actor(service, Role.AUDITOR, secret=b"another secret, as long as it is"),
    }[signed]
    payload = actor(service, Role.AUDITOR) if signed == "in the payload" else None
    async with socket(service.app, headers=headers) as connection:
        await greet(connection, payload)
        await connection.say(subscribe(TAIL))
        message = await connection.hear()
        assert (message["type"], message["id"]) == ("error", "1")
        code = message["payload"][0]["extensions"]["code"]
        assert code == ("FORBIDDEN" if signed == "customer" else "UNAUTHENTICATED")


@pytest.mark.parametrize("query", ["subscription {", "subscription { nothing }"])
async def test_what_is_not_valid(service: Service[Any], query: str) -> None:
    async with socket(service.app) as connection:
        await greet(connection)
        await connection.say(subscribe(query))
        assert (await connection.hear())["type"] == "error"


@pytest.mark.parametrize(
    ("messages", "code"),
    [
        (["{"], 4400),
        ([[]], 4400),
        ([{"type": "what"}], 4400),
        ([{"type": "subscribe", "id": "1"}], 4400),
        ([{**ASK, "id": ""}], 4400),
        ([{"type": "connection_init"}], 4429),
        ([subscribe(TAIL), subscribe(TAIL)], 4409),
        (['"' + "x" * graphql_ws.MESSAGE_BYTES_MAX + '"'], 4400),
    ],
)
async def test_messages_that_end_the_connection(
    service: Service[Any], messages: list[Any], code: int
) -> None:
    async with socket(service.app, headers=actor(service, Role.AUDITOR)) as connection:
        await greet(connection)
        for message in messages:
            await connection.say(message)
        assert await connection.closed() == code


async def test_nothing_is_taken_before_the_connection_is_initialised(
    service: Service[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with socket(service.app) as connection:
        await connection.event()
        await connection.say(ASK)
        assert await connection.closed() == 4401
    async with socket(service.app, protocols=("graphql-ws",)) as connection:
        assert await connection.closed() == 4406
    monkeypatch.setattr(graphql_ws, "INIT_SECONDS_MAX", 0.01)
    async with socket(service.app) as connection:
        await connection.event()
        assert await connection.closed() == 4408


async def test_a_silent_client_is_asked_and_then_let_go(
    service: Service[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(graphql_ws, "SILENCE_SECONDS_MAX", 0.1)
    async with socket(service.app, headers=actor(service, Role.AUDITOR)) as connection:
        await greet(connection)
        await connection.say(subscribe("subscription { eventLog { id } }"))
        for _ in range(3):  # who answers stays
            assert await connection.hear() == {"type": "ping"}
            await connection.say({"type": "pong"})
        assert await connection.hear() == {"type": "ping"}
        assert await connection.closed() == 1001
    assert service._subscriptions == 0


async def test_operations_are_bounded(
    service: Service[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(graphql_ws, "OPERATIONS_MAX", 1)
    async with socket(service.app, headers=actor(service, Role.AUDITOR)) as connection:
        await greet(connection)
        await connection.say(subscribe("subscription { eventLog { id } }"))
        await connection.say(subscribe(TAIL, "2"))
        message = await connection.hear()
        assert message["id"] == "2"
        assert message["payload"][0]["extensions"]["code"] == "TOO_MANY_SUBSCRIPTIONS"
    monkeypatch.setattr("subgraphs.shared.service.SUBSCRIPTIONS_MAX", 0)
    async with staff(service, Role.AUDITOR).following(TAIL) as following:
        assert await following.code() == "TOO_MANY_SUBSCRIPTIONS"


async def test_a_client_that_goes_while_it_is_sent_an_event_is_no_fault(
    service: Service[Any],
) -> None:
    await staff(service, Role.AUDITOR).answer(
        'mutation { exportEvents(where: {}, format: CSV, idempotencyKey: "k") {'
        " userErrors { code } } }"
    )
    gone = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        async def send_until_gone(message: Any) -> None:
            if '"next"' in message.get("text", ""):
                gone.set()
                raise ConnectionResetError
            await send(message)

        await service.app(scope, receive, send_until_gone)

    with structlog.testing.capture_logs() as logs:
        async with socket(app, headers=actor(service, Role.AUDITOR)) as connection:
            await greet(connection)
            await connection.say(subscribe(TAIL))
            async with asyncio.timeout(10):
                await gone.wait()
            await until(service, 0)
    assert [line for line in logs if line["log_level"] == "error"] == []


async def test_a_subscription_is_not_one_answer(service: Service[Any]) -> None:
    reply = await ask(service.app, json_body={"query": TAIL})
    (error,) = reply.json()["errors"]
    assert error["extensions"] == {"code": "SUBSCRIPTION_NOT_STREAMED"}

"""The users service over a real database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from subgraphs.shared.auth import Role
from subgraphs.shared.events import AuditRead
from subgraphs.shared.ids import new_id
from subgraphs.users.app import UsersService, build
from tests.support.shop import (
    Client,
    Clock,
    anonymous,
    customer,
    rebuilt_alike,
    running,
    same_versions,
    settled,
    staff,
)

CHEAP = {"argon2_time_cost": 1, "argon2_memory_kib": 8, "argon2_parallelism": 1}
ADMIN = {
    "bootstrap_admin_email": "admin@example.com",
    "bootstrap_admin_password": "the first administrator",
}
REGISTER = """
mutation($email: String!, $password: String!, $key: ID!) {
  registerUser(
    input: {email: $email, password: $password, displayName: "Ana", idempotencyKey: $key}
  ) {
    user { id version email displayName roles createdAt }
    receipt { commandId version position replayed }
    userErrors { __typename code message path }
  }
}
"""
SIGN_IN = """
mutation($email: String!, $password: String!) {
  signIn(email: $email, password: $password) {
    accessToken refreshToken expiresAt user { id email } userErrors { code }
  }
}
"""
REFRESH = """
mutation($token: String!) {
  refreshSession(refreshToken: $token) { accessToken refreshToken user { id } userErrors { code } }
}
"""
PASSWORD = "correct horse battery"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def users(database: str, clock: Clock) -> AsyncIterator[UsersService]:
    settings = {**CHEAP, "sign_in_failures_max": 3}
    async with running(build, database, name="users", settings=settings, clock=clock) as service:
        yield service


async def register(
    service: UsersService, email: str = "ana@example.com", key: str | None = None
) -> Any:
    return await anonymous(service).ask(
        REGISTER, email=email, password=PASSWORD, key=key or new_id("key")
    )


async def sign_in(service: UsersService, password: str = PASSWORD) -> Any:
    return await anonymous(service).ask(SIGN_IN, email="ana@example.com", password=password)


async def signed_in(service: UsersService) -> tuple[Client, Any]:
    session = await sign_in(service)
    claims = service.keys.verify(session["accessToken"], service.context.clock())
    roles = tuple(Role(name) for name in claims["roles"])
    return Client(service, claims["sub"], roles, claims["sid"]), session


async def test_register_sign_in_and_ask_who_one_is(users: UsersService) -> None:
    payload = await register(users)
    assert payload["userErrors"] == []
    assert payload["user"]["roles"] == ["CUSTOMER"]
    assert payload["receipt"]["position"].startswith("users:")
    client, session = await signed_in(users)
    assert session["user"]["id"] == payload["user"]["id"] == client.user_id
    me = await client.ask("{ me { id email displayName version addresses { id } } }")
    assert me == {
        "id": client.user_id,
        "email": "ana@example.com",
        "displayName": "Ana",
        "version": 1,
        "addresses": [],
    }
    assert await anonymous(users).ask("{ me { id } }") is None


async def test_an_address_belongs_to_one_user_whatever_its_case(users: UsersService) -> None:
    await register(users)
    again = await register(users, "ANA@example.com")
    assert again["user"] is None
    assert again["userErrors"][0]["code"] == "EMAIL_TAKEN"


async def test_of_many_at_the_same_time_one_gets_the_address(users: UsersService) -> None:
    payloads = await asyncio.gather(*(register(users) for _ in range(8)))
    assert sum(payload["user"] is not None for payload in payloads) == 1
    taken = [payload for payload in payloads if payload["user"] is None]
    assert {payload["userErrors"][0]["code"] for payload in taken} == {"EMAIL_TAKEN"}


async def test_the_same_key_gives_the_first_answer(users: UsersService) -> None:
    first = await register(users, key="k1")
    again = await register(users, key="k1")
    assert again["user"] == first["user"]
    assert again["receipt"] == {**first["receipt"], "replayed": True}
    other = await register(users, "eva@example.com", key="k1")
    assert other["userErrors"][0]["code"] == "IDEMPOTENCY_KEY_REUSED"


async def test_bad_input_is_refused_by_field(users: UsersService) -> None:
    payload = await register(users, "not an address")
    assert payload["userErrors"][0]["path"] == ["input", "email"]
    short = await anonymous(users).ask(REGISTER, email="a@example.com", password="x", key="k")
    assert short["userErrors"][0]["path"] == ["input", "password"]
    no_key = await anonymous(users).ask(REGISTER, email="a@example.com", password=PASSWORD, key="")
    assert no_key["userErrors"][0]["path"] == ["idempotencyKey"]


async def test_no_secret_enters_the_log(users: UsersService) -> None:
    await register(users)
    session = await sign_in(users)
    await sign_in(users, "the wrong password")
    page = await users.full_feed.read(0, limit=100)
    log = (
        b"".join(event.data for event in page.events)
        + str([event.metadata for event in page.events]).encode()
    )
    for secret in (PASSWORD, "the wrong password", "argon2", session["refreshToken"]):
        assert secret.encode() not in log
    public = await users.feed.read(0, limit=100)
    assert [event.type for event in public.events] == ["user.registered"]


async def test_guesses_lock_the_address_for_a_while(users: UsersService, clock: Clock) -> None:
    await register(users)
    for _ in range(3):
        wrong = await sign_in(users, "a wrong guess")
        assert wrong["userErrors"] == [{"code": "INVALID_CREDENTIALS"}]
    locked = await sign_in(users)
    assert locked["userErrors"] == [{"code": "SIGN_IN_LOCKED"}]
    assert locked["accessToken"] is None
    clock.forward(seconds=901)
    assert (await sign_in(users))["userErrors"] == []


async def test_an_unknown_address_looks_like_a_wrong_password(users: UsersService) -> None:
    for email in ("nobody@example.com", "not an address"):
        answer = await anonymous(users).ask(SIGN_IN, email=email, password=PASSWORD)
        assert answer["userErrors"] == [{"code": "INVALID_CREDENTIALS"}]


async def test_guesses_at_the_same_time_are_counted_one_by_one(users: UsersService) -> None:
    await register(users)
    answers = await asyncio.gather(*(sign_in(users, f"guess {n}") for n in range(10)))
    codes = [answer["userErrors"][0]["code"] for answer in answers]
    assert codes.count("INVALID_CREDENTIALS") == 3
    assert codes.count("SIGN_IN_LOCKED") == 7


async def test_a_refresh_token_works_once_and_theft_ends_the_session(users: UsersService) -> None:
    await register(users)
    _, session = await signed_in(users)
    second = await anonymous(users).ask(REFRESH, token=session["refreshToken"])
    assert second["userErrors"] == []
    assert second["refreshToken"] != session["refreshToken"]
    stolen = await anonymous(users).ask(REFRESH, token=session["refreshToken"])
    assert stolen["userErrors"] == [{"code": "SESSION_OVER"}]
    victim = await anonymous(users).ask(REFRESH, token=second["refreshToken"])
    assert victim["userErrors"] == [{"code": "SESSION_OVER"}]


async def test_sign_out_ends_this_session_or_all(users: UsersService) -> None:
    await register(users)
    client, first = await signed_in(users)
    _, second = await signed_in(users)
    await client.ask("mutation { signOut { user { id } userErrors { code } } }")
    over = await anonymous(users).ask(REFRESH, token=first["refreshToken"])
    assert over["userErrors"] == [{"code": "SESSION_OVER"}]
    await settled(users)
    await client.ask("mutation { signOut(allDevices: true) { user { id } } }")
    over = await anonymous(users).ask(REFRESH, token=second["refreshToken"])
    assert over["userErrors"] == [{"code": "SESSION_OVER"}]
    assert await anonymous(users).code("mutation { signOut { user { id } } }") == "UNAUTHENTICATED"


CHANGE_PASSWORD = """mutation($old: String!, $new: String!) {
  changePassword(currentPassword: $old, newPassword: $new) {
    user { id } userErrors { code path } } }"""


async def test_a_changed_password_ends_other_sessions(users: UsersService) -> None:
    await register(users)
    _, other = await signed_in(users)
    client, own = await signed_in(users)
    await settled(users)
    new = "another good password"
    short = await client.ask(CHANGE_PASSWORD, old=PASSWORD, new="short")
    assert short["userErrors"] == [{"code": "INVALID", "path": ["newPassword"]}]
    wrong = await client.ask(CHANGE_PASSWORD, old="a wrong guess", new=new)
    assert wrong["userErrors"][0]["code"] == "INVALID_CREDENTIALS"
    assert (await client.ask(CHANGE_PASSWORD, old=PASSWORD, new=new))["userErrors"] == []
    assert (await sign_in(users))["userErrors"] == [{"code": "INVALID_CREDENTIALS"}]
    assert (await sign_in(users, new))["userErrors"] == []
    over = await anonymous(users).ask(REFRESH, token=other["refreshToken"])
    assert over["userErrors"] == [{"code": "SESSION_OVER"}]
    goes_on = await anonymous(users).ask(REFRESH, token=own["refreshToken"])
    assert goes_on["userErrors"] == []
    code = await anonymous(users).code(CHANGE_PASSWORD, old=new, new=PASSWORD)
    assert code == "UNAUTHENTICATED"


async def test_guesses_at_the_current_password_lock_too(users: UsersService) -> None:
    await register(users)
    client, _ = await signed_in(users)
    for _ in range(3):
        await client.ask(CHANGE_PASSWORD, old="a wrong guess", new="a good password")
    locked = await client.ask(CHANGE_PASSWORD, old=PASSWORD, new="a good password")
    assert locked["userErrors"][0]["code"] == "SIGN_IN_LOCKED"


async def test_roles_are_granted_by_administrators_and_with_a_reason(users: UsersService) -> None:
    user_id = (await register(users))["user"]["id"]
    grant = """mutation($id: ID!, $reason: String!, $version: Int) {
      grantRole(userId: $id, role: STAFF, reason: $reason, expectedVersion: $version) {
        user { roles version } receipt { version }
        userErrors { __typename code ... on VersionConflict { expected actual } } } }"""
    for client in (anonymous(users), customer(users, user_id), staff(users)):
        answer = await client.answer(grant, id=user_id, reason="promoted")
        assert answer["errors"][0]["extensions"]["code"] in ("UNAUTHENTICATED", "FORBIDDEN")
    admin = staff(users, Role.ADMIN)
    refused = await admin.ask(grant, id=user_id, reason="")
    assert refused["userErrors"][0]["code"] == "INVALID"
    conflict = await admin.ask(grant, id=user_id, reason="promoted", version=7)
    assert conflict["userErrors"] == [
        {
            "__typename": "VersionConflict",
            "code": "VERSION_CONFLICT",
            "expected": 7,
            "actual": 1,
        }
    ]
    granted = await admin.ask(grant, id=user_id, reason="promoted", version=1)
    assert granted["user"] == {"roles": ["CUSTOMER", "STAFF"], "version": 2}
    unknown = await admin.ask(grant, id=new_id("usr"), reason="promoted")
    assert unknown["userErrors"][0]["code"] == "NOT_FOUND"
    last = (await users.store.read_stream(user_id, backwards=True, limit=1))[0]
    assert (last.event.reason, last.metadata.actor.kind) == ("promoted", "staff")


ADD_ADDRESS = """mutation($city: String!, $default: Boolean!) {
  addAddress(
    makeDefault: $default
    input: {name: "Ana", lines: ["Llotja 2"], city: $city, country: "ES"}
  ) {
    user { addresses { id city isDefault } } userErrors { code path } } }"""


async def test_addresses_are_the_users_own(users: UsersService) -> None:
    await register(users)
    client, _ = await signed_in(users)
    await client.ask(ADD_ADDRESS, city="València", default=False)
    payload = await client.ask(ADD_ADDRESS, city="Madrid", default=True)
    written = payload["user"]["addresses"]
    assert [(a["city"], a["isDefault"]) for a in written] == [("València", False), ("Madrid", True)]
    await settled(users)
    read = await client.ask(
        "query($id: ID!) { user(id: $id) { addresses { id city isDefault } } }", id=client.user_id
    )
    assert read["addresses"] == written
    refused = await client.ask(ADD_ADDRESS, city=" ", default=False)
    assert refused["userErrors"][0]["path"] == ["input", "city"]
    address = {"__typename": "Address", "id": written[0]["id"]}
    assert await client.entities("... on Address { city }", address) == [{"city": "València"}]
    assert await customer(users).entities("... on Address { city }", address) == [None]
    for mutation in (
        'changeAddress(id: $id, input: {name: "A", lines: ["1"], city: "C", country: "ES"})',
        "chooseDefaultAddress(id: $id)",
        "removeAddress(id: $id)",
    ):
        payload = await client.ask(
            f"mutation($id: ID!) {{ {mutation} {{ userErrors {{ code }} }} }}", id=written[0]["id"]
        )
        assert payload["userErrors"] == []
    await settled(users)
    read = await client.ask(
        "query($id: ID!) { user(id: $id) { addresses { city } } }", id=client.user_id
    )
    assert read["addresses"] == [{"city": "Madrid"}]


async def test_users_are_seen_by_themselves_and_staff(users: UsersService) -> None:
    user_id = (await register(users))["user"]["id"]
    await settled(users)
    query = "query($id: ID!) { user(id: $id) { email } }"
    reference = {"__typename": "User", "id": user_id}
    for client, sees in (
        (customer(users, user_id), True),
        (staff(users), True),
        (staff(users, Role.AUDITOR), True),
        (customer(users), False),
        (staff(users, Role.OPERATOR), False),
    ):
        expected = {"email": "ana@example.com"} if sees else None
        assert await client.ask(query, id=user_id) == expected
        assert await client.entities("... on User { email }", reference) == [expected]
    assert await anonymous(users).code(query, id=user_id) == "UNAUTHENTICATED"
    assert await anonymous(users).entities("... on User { email }", reference) == [None]


async def test_the_list_of_users_is_for_staff_and_comes_in_pages(users: UsersService) -> None:
    for n in range(5):
        await register(users, f"user{n}@example.com")
    await settled(users)
    query = """query($first: Int!, $after: String, $where: UserWhere) {
      users(first: $first, after: $after, where: $where) {
        edges { cursor node { email addresses { id } } } pageInfo { hasNextPage endCursor } } }"""
    assert await customer(users).code(query, first=10) == "FORBIDDEN"
    assert await staff(users).code(query, first=101) == "INVALID_PAGE"
    assert await staff(users).code(query, first=1, after="rubbish") == "INVALID_PAGE"
    seen, after = [], None
    while True:
        page = await staff(users).ask(query, first=2, after=after)
        seen += [edge["node"]["email"] for edge in page["edges"]]
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break
    assert seen == [f"user{n}@example.com" for n in (4, 3, 2, 1, 0)]
    found = await staff(users).ask(query, first=10, where={"email": "USER3@example.com"})
    assert [edge["node"]["email"] for edge in found["edges"]] == ["user3@example.com"]
    assert (await staff(users).ask(query, first=10, where={"role": "ADMIN"}))["edges"] == []


async def test_an_auditor_who_looks_for_an_address_is_recorded_without_it(
    users: UsersService,
) -> None:
    registered = (await register(users, "ana@example.com"))["user"]
    await settled(users)
    query = "query($where: UserWhere) { users(first: 2, where: $where) { edges { node { id } } } }"
    auditor = staff(users, Role.AUDITOR)
    for email, found in (("ANA@example.com", [registered["id"]]), ("nobody@example.com", [])):
        page = await auditor.ask(query, where={"email": email})
        assert [edge["node"]["id"] for edge in page["edges"]] == found
        *_, read = await users.store.read(types=[AuditRead.TYPE])
        assert (read.metadata.actor.id, list(read.event.persons)) == (auditor.user_id, found)
        assert "example.com" not in read.event.asked[0].arguments
    await staff(users).ask(query, where={"email": "ana@example.com"})
    assert len(await users.store.read(types=[AuditRead.TYPE])) == 2, "of auditors alone"


async def test_statements_do_not_grow_with_rows(users: UsersService) -> None:
    ids = [(await register(users, f"user{n}@example.com"))["user"]["id"] for n in range(6)]
    await settled(users)
    query = "query($n: Int!) { users(first: $n) { edges { node { addresses { city } } } } }"
    counts = []
    for n in (1, 6):
        before = users.reads.statements
        await staff(users).ask(query, n=n)
        references = [{"__typename": "User", "id": user_id} for user_id in ids[:n]]
        await staff(users).entities("... on User { email addresses { city } }", *references)
        counts.append(users.reads.statements - before)
    assert counts[0] == counts[1] == 4


async def test_a_position_is_waited_for(users: UsersService) -> None:
    payload = await register(users)
    client = customer(users, payload["user"]["id"])
    client.headers["x-read-position"] = payload["receipt"]["position"]
    answer = await client.answer(
        "query($id: ID!) { user(id: $id) { email } }", id=payload["user"]["id"]
    )
    assert answer == {"data": {"user": {"email": "ana@example.com"}}}


@pytest.mark.slow
async def test_a_position_that_does_not_come_is_said_to_be_missing(users: UsersService) -> None:
    client = anonymous(users)
    client.headers["x-read-position"] = "users:1000000,orders:5"
    answer = await client.answer("{ me { id } }")
    assert answer["data"] == {"me": None}
    assert answer["extensions"]["stale"]["position"] == "users:1000000"


async def test_erasure_is_asked_for_by_oneself_or_an_administrator(users: UsersService) -> None:
    user_id = (await register(users))["user"]["id"]
    erase = """mutation($id: ID!) { requestErasure(userId: $id, reason: "closing") {
      user { erasureRequestedAt } userErrors { code } } }"""
    assert await customer(users).code(erase, id=user_id) == "FORBIDDEN"
    payload = await customer(users, user_id).ask(erase, id=user_id)
    assert payload["user"]["erasureRequestedAt"] is not None
    again = await staff(users, Role.ADMIN).ask(erase, id=user_id)
    assert again["userErrors"] == []
    change = 'mutation { changeProfile(displayName: "X") { userErrors { code } } }'
    refused = await customer(users, user_id).ask(change)
    assert refused["userErrors"] == [{"code": "ERASURE_PENDING"}]


async def test_a_forged_actor_is_refused(users: UsersService) -> None:
    client = anonymous(users)
    client.headers["x-router-actor"] = "eyJzdWIiOiJ1c3JfMSJ9.AAAA"
    answer = await client.answer("{ me { id } }")
    assert answer["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
    assert "data" not in answer


async def test_the_bootstrap_administrator_is_made_once(database: str) -> None:
    for _ in range(2):
        async with running(build, database, name="users", settings={**CHEAP, **ADMIN}) as service:
            session = await anonymous(service).ask(
                SIGN_IN,
                email=ADMIN["bootstrap_admin_email"],
                password=ADMIN["bootstrap_admin_password"],
            )
            claims = service.keys.verify(session["accessToken"], service.context.clock())
            assert claims["roles"] == sorted(role.value for role in Role)
            page = await service.feed.read(0, limit=100, types=["user.registered"])
            assert len(page.events) == 1
            assert page.events[0].metadata.actor.kind == "service"


@pytest.mark.slow
async def test_read_models_come_out_of_the_log_again(users: UsersService) -> None:
    user_id = (await register(users))["user"]["id"]
    client, _ = await signed_in(users)
    for city in ("València", "Madrid"):
        await client.ask(ADD_ADDRESS, city=city, default=True)
    admin = staff(users, Role.ADMIN)
    for change in ("grantRole", "revokeRole"):
        await admin.ask(
            f'mutation {{ {change}(userId: "{user_id}", role: STAFF, reason: "x")'
            " { userErrors { code } } }"
        )
    await client.ask('mutation { changeProfile(displayName: "Anna") { userErrors { code } } }')
    await client.ask(CHANGE_PASSWORD, old=PASSWORD, new="another good password")
    await same_versions(users, "users")
    await rebuilt_alike(users)

"""The mutations of the users subgraph: arguments in, payloads out."""

from __future__ import annotations

from collections.abc import Awaitable
from datetime import datetime

import strawberry

from subgraphs.shared.auth import Role
from subgraphs.shared.commands import Done, attempt
from subgraphs.shared.graphql import AddressInput, Receipt, UserError, build_schema, mutation
from subgraphs.users import domain
from subgraphs.users.handlers import Registration
from subgraphs.users.schema import Info, Query, User
from subgraphs.users.session_handlers import OpenSession


@strawberry.input
class RegisterUserInput:
    email: str
    password: str
    idempotency_key: strawberry.ID
    display_name: str | None = None


@strawberry.type
class UserPayload:
    user: User | None
    receipt: Receipt | None
    user_errors: list[UserError]


@strawberry.type
class SessionPayload:
    access_token: str | None
    refresh_token: str | None
    expires_at: datetime | None
    user: User | None
    user_errors: list[UserError]


@strawberry.type
class Mutation:
    @strawberry.mutation
    async def register_user(
        self,
        info: Info,
        input: RegisterUserInput,  # noqa: A002
    ) -> UserPayload:
        return await _user_payload(
            info.context.resources.users.register(
                info.context,
                Registration(input.email, input.password, input.display_name),
                idempotency_key=str(input.idempotency_key),
            )
        )

    @mutation("Access token for the router, refresh token for later.")
    async def sign_in(self, info: Info, email: str, password: str) -> SessionPayload:
        return await _session_payload(
            info.context.resources.sessions.sign_in(info.context, email, password)
        )

    @mutation("A refresh token works once: keep the new one.")
    async def refresh_session(self, info: Info, refresh_token: str) -> SessionPayload:
        return await _session_payload(
            info.context.resources.sessions.refresh(info.context, refresh_token)
        )

    @strawberry.mutation
    async def sign_out(self, info: Info, all_devices: bool = False) -> UserPayload:
        state, version = await info.context.resources.sessions.sign_out(
            info.context, all_devices=all_devices
        )
        return UserPayload(user=User.written(state, version), receipt=None, user_errors=[])

    @mutation("Ends the caller's other sessions.")
    async def change_password(
        self, info: Info, current_password: str, new_password: str
    ) -> UserPayload:
        return await _user_payload(
            info.context.resources.sessions.change_password(
                info.context, current_password, new_password
            )
        )

    @strawberry.mutation
    async def change_profile(
        self, info: Info, display_name: str | None, expected_version: int | None = None
    ) -> UserPayload:
        return await _user_payload(
            info.context.resources.users.change_profile(
                info.context, display_name, expected_version
            )
        )

    @mutation("For administrators.")
    async def grant_role(
        self,
        info: Info,
        user_id: strawberry.ID,
        role: Role,
        reason: str,
        expected_version: int | None = None,
    ) -> UserPayload:
        return await _user_payload(
            info.context.resources.users.grant_role(
                info.context, str(user_id), role, reason, expected_version
            )
        )

    @mutation("For administrators.")
    async def revoke_role(
        self,
        info: Info,
        user_id: strawberry.ID,
        role: Role,
        reason: str,
        expected_version: int | None = None,
    ) -> UserPayload:
        return await _user_payload(
            info.context.resources.users.revoke_role(
                info.context, str(user_id), role, reason, expected_version
            )
        )

    @strawberry.mutation
    async def add_address(
        self,
        info: Info,
        input: AddressInput,  # noqa: A002
        make_default: bool = False,
    ) -> UserPayload:
        return await _user_payload(
            info.context.resources.users.add_address(
                info.context, _address(input), make_default=make_default
            )
        )

    @strawberry.mutation
    async def change_address(
        self,
        info: Info,
        id: strawberry.ID,  # noqa: A002
        input: AddressInput,  # noqa: A002
    ) -> UserPayload:
        return await _user_payload(
            info.context.resources.users.change_address(info.context, str(id), _address(input))
        )

    @strawberry.mutation
    async def choose_default_address(
        self,
        info: Info,
        id: strawberry.ID,  # noqa: A002
    ) -> UserPayload:
        return await _user_payload(
            info.context.resources.users.choose_default_address(info.context, str(id))
        )

    @strawberry.mutation
    async def remove_address(
        self,
        info: Info,
        id: strawberry.ID,  # noqa: A002
    ) -> UserPayload:
        return await _user_payload(
            info.context.resources.users.remove_address(info.context, str(id))
        )

    @mutation("Users ask for themselves, administrators for anybody.")
    async def request_erasure(self, info: Info, user_id: strawberry.ID, reason: str) -> UserPayload:
        return await _user_payload(
            info.context.resources.users.request_erasure(info.context, str(user_id), reason)
        )

    @mutation(
        "For administrators: forgets the user here and in every service. There is no way back."
    )
    async def erase_user(self, info: Info, user_id: strawberry.ID, reason: str) -> UserPayload:
        return await _user_payload(
            info.context.resources.users.erase(info.context, str(user_id), reason)
        )


async def _user_payload(work: Awaitable[Done[domain.User]]) -> UserPayload:
    result = await attempt(work)
    if (done := result.value) is None:
        return UserPayload(user=None, receipt=None, user_errors=result.user_errors)
    return UserPayload(
        user=User.written(done.state, done.receipt.version),
        receipt=done.receipt,
        user_errors=[],
    )


async def _session_payload(work: Awaitable[OpenSession]) -> SessionPayload:
    result = await attempt(work)
    if (session := result.value) is None:
        return SessionPayload(
            access_token=None,
            refresh_token=None,
            expires_at=None,
            user=None,
            user_errors=result.user_errors,
        )
    return SessionPayload(
        access_token=session.access.text,
        refresh_token=session.refresh_token,
        expires_at=session.access.expires_at,
        user=User.written(session.user, session.version),
        user_errors=[],
    )


def _address(given: AddressInput) -> domain.Address:
    return domain.Address(
        name=given.name,
        lines=tuple(given.lines),
        city=given.city,
        country=str(given.country),
        postal_code=given.postal_code,
        region=given.region,
        phone=given.phone,
    )


SCHEMA = build_schema(operator="users", query=Query, mutation=Mutation)

"""The users subgraph: people, sessions, roles, addresses."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import strawberry

from subgraphs.shared.auth import Role
from subgraphs.shared.graphql import (
    Connection,
    CountryCode,
    Node,
    RequestContext,
    field,
)
from subgraphs.shared.paging import read_page
from subgraphs.users import domain
from subgraphs.users.handlers import UserHandlers
from subgraphs.users.read_models import BY_NEWEST, Row, UserReads
from subgraphs.users.session_handlers import SessionHandlers


@dataclass(frozen=True, slots=True)
class UsersResources:
    """What resolvers write through and read through."""

    users: UserHandlers
    sessions: SessionHandlers
    reads: UserReads


Info = strawberry.Info[RequestContext[UsersResources], None]

SOME_ADDRESS = "an address"
"""What is recorded of an auditor who looks for somebody by their e-mail address."""
SEES_USERS = (Role.STAFF, Role.AUDITOR, Role.ADMIN)
"""Roles that may see other people's data."""

RoleEnum = strawberry.enum(Role, description="What a user may be. None implies another.")


@strawberry.federation.type(keys=["id"])
class Address:
    id: strawberry.ID
    name: str
    lines: list[str]
    city: str
    country: CountryCode
    postal_code: str | None
    region: str | None
    phone: str | None
    is_default: bool

    @classmethod
    async def resolve_reference(cls, info: Info, id: strawberry.ID) -> Address | None:  # noqa: A002
        row = await info.context.loader(info.context.resources.reads.addresses).load(str(id))
        if row is None or not info.context.caller.may_see(row["user_id"], *SEES_USERS):
            return None
        return cls.of(row)

    @classmethod
    def of(cls, row: Row) -> Address:
        """From a row of the read model."""
        return cls(
            id=strawberry.ID(row["id"]),
            name=row["name"],
            lines=list(row["lines"]),
            city=row["city"],
            country=CountryCode(row["country"]),
            postal_code=row["postal_code"],
            region=row["region"],
            phone=row["phone"],
            is_default=row["is_default"],
        )


@strawberry.federation.type(keys=["id"], description="A person. Only they and staff see them.")
class User(Node):
    version: int
    email: str | None
    display_name: str | None
    roles: list[Role]
    created_at: datetime
    erasure_requested_at: datetime | None
    erased_at: datetime | None
    state: strawberry.Private[domain.User | None] = None

    @field("Oldest first.")
    async def addresses(self, info: Info) -> list[Address]:
        if self.state is not None:
            return _addresses(self.state)
        loader = info.context.loader(info.context.resources.reads.addresses_of)
        return [Address.of(row) for row in await loader.load(str(self.id)) or []]

    @classmethod
    async def resolve_reference(cls, info: Info, id: strawberry.ID) -> User | None:  # noqa: A002
        return await visible_user(info, str(id))

    @classmethod
    def of(cls, row: Row) -> User:
        """From a row of the read model."""
        return cls(
            id=strawberry.ID(row["id"]),
            version=row["version"],
            email=row["email"] or None,
            display_name=row["display_name"],
            roles=_sorted(frozenset(Role(name) for name in row["roles"])),
            created_at=row["created_at"],
            erasure_requested_at=row["erasure_requested_at"],
            erased_at=row["erased_at"],
        )

    @classmethod
    def written(cls, state: domain.User, version: int) -> User:
        """From what a command has just left in the log: a registered user."""
        assert state.registered_at is not None, f"{state.id} is not registered"
        return cls(
            id=strawberry.ID(state.id),
            version=version,
            email=state.email or None,
            display_name=state.display_name,
            roles=_sorted(state.roles),
            created_at=state.registered_at,
            erasure_requested_at=state.erasure_requested_at,
            erased_at=state.erased_at,
            state=state,
        )


async def visible_user(info: Info, user_id: str) -> User | None:
    """The user, if the caller may see them; one statement for all that a request asks for."""
    if not info.context.caller.may_see(user_id, *SEES_USERS):
        return None
    row = await info.context.loader(info.context.resources.reads.by_id).load(user_id)
    return None if row is None else User.of(row)


@strawberry.input
class UserWhere:
    email: str | None = None
    role: Role | None = None
    created_after: datetime | None = None


@strawberry.type
class Query:
    @field("The caller; null for somebody who has not signed in.")
    async def me(self, info: Info) -> User | None:
        user_id = info.context.caller.user_id
        if user_id is None:
            return None
        state, version = await info.context.resources.users.load(user_id)
        known = state.registered and state.erased_at is None
        return User.written(state, version) if known else None

    @field("Null where there is no such user, or not for the caller.")
    async def user(self, info: Info, id: strawberry.ID) -> User | None:  # noqa: A002
        info.context.caller.require_user()
        return await visible_user(info, str(id))

    @field("Newest first. For staff.")
    async def users(
        self, info: Info, first: int, after: str | None = None, where: UserWhere | None = None
    ) -> Connection[User]:
        info.context.caller.require_role("list users", *SEES_USERS)
        page = read_page(first, after, BY_NEWEST)
        where = where or UserWhere()
        auditor = info.context.caller.has(Role.AUDITOR)
        if auditor and where.email is not None:  # the log is not to know the address
            info.context.reading.ask("users", {"where": {"email": SOME_ADDRESS}})
        rows = await info.context.resources.reads.page(
            page,
            email=where.email,
            role=where.role.value if where.role else None,
            created_after=where.created_after,
        )
        if auditor and where.email is not None:
            for row in rows:
                info.context.reading.saw(row["id"].encode(), events=0)
        return Connection[User].of(rows, page, BY_NEWEST, User.of)


def _sorted(roles: frozenset[Role]) -> list[Role]:
    return [role for role in Role if role in roles]


def _addresses(state: domain.User) -> list[Address]:
    return [
        Address(
            id=strawberry.ID(address_id),
            name=address.name,
            lines=list(address.lines),
            city=address.city,
            country=CountryCode(address.country),
            postal_code=address.postal_code,
            region=address.region,
            phone=address.phone,
            is_default=address_id == state.default_address_id,
        )
        for address_id, address in state.addresses.items()
    ]

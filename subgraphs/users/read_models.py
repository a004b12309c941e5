"""What is asked of users: by id, in lists, their addresses, their sessions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from eventstore.event import Recorded
from projections import Projection, ReadModels
from projections.projection import Cursor
from subgraphs.shared.paging import Keyset, Page
from subgraphs.users.events import (
    AddressAdded,
    AddressChanged,
    AddressRemoved,
    DefaultAddressChosen,
    ErasureRequested,
    PasswordChanged,
    ProfileChanged,
    RoleGranted,
    RoleRevoked,
    SessionRevoked,
    SessionStarted,
    UserErased,
    UserRegistered,
)

BY_NEWEST = Keyset("created_at", "id", descending=True, cast="timestamptz")

Row = Mapping[str, Any]


class Users(Projection):
    """One row per user, and one per address. Every event of a user's stream moves its version."""

    name, version = "users", 2
    handles = (
        UserRegistered,
        ProfileChanged,
        PasswordChanged,
        RoleGranted,
        RoleRevoked,
        AddressAdded,
        AddressChanged,
        DefaultAddressChosen,
        AddressRemoved,
        ErasureRequested,
        UserErased,
    )
    parallel = True
    tables = """
        CREATE TABLE users (
            id text PRIMARY KEY,
            version bigint NOT NULL,
            email text NOT NULL,
            display_name text,
            roles text[] NOT NULL,
            created_at timestamptz NOT NULL,
            erasure_requested_at timestamptz,
            erased_at timestamptz
        );
        CREATE INDEX users_by_newest ON users (created_at DESC, id DESC);
        CREATE INDEX users_by_email ON users (lower(email));
        CREATE TABLE user_addresses (
            id text PRIMARY KEY,
            user_id text NOT NULL,
            name text NOT NULL,
            lines text[] NOT NULL,
            city text NOT NULL,
            country text NOT NULL,
            postal_code text,
            region text,
            phone text,
            is_default boolean NOT NULL
        );
        CREATE INDEX user_addresses_by_user ON user_addresses (user_id, id);
    """

    def apply(self, recorded: Recorded[Any], cursor: Cursor) -> None:
        """Write the rows of one event."""
        event = recorded.event
        if isinstance(event, UserRegistered):
            cursor.execute(
                "INSERT INTO users VALUES (%s, %s, %s, %s, '{CUSTOMER}', %s, NULL, NULL)",
                (
                    event.user_id,
                    recorded.version,
                    event.email,
                    event.display_name,
                    event.at,
                ),
            )
            return
        cursor.execute(
            "UPDATE users SET version = %s WHERE id = %s", (recorded.version, event.user_id)
        )
        match event:
            case ProfileChanged():
                cursor.execute(
                    "UPDATE users SET display_name = %s WHERE id = %s",
                    (event.display_name, event.user_id),
                )
            case RoleGranted():
                cursor.execute(
                    "UPDATE users SET roles = array_append(array_remove(roles, %s), %s) "
                    "WHERE id = %s",
                    (event.role, event.role, event.user_id),
                )
            case RoleRevoked():
                cursor.execute(
                    "UPDATE users SET roles = array_remove(roles, %s) WHERE id = %s",
                    (event.role, event.user_id),
                )
            case ErasureRequested():
                cursor.execute(
                    "UPDATE users SET erasure_requested_at = %s WHERE id = %s",
                    (event.at, event.user_id),
                )
            case UserErased():
                cursor.execute(
                    "UPDATE users SET email = '', display_name = NULL, roles = '{}', erased_at = %s"
                    " WHERE id = %s",
                    (event.at, event.user_id),
                )
                cursor.execute("DELETE FROM user_addresses WHERE user_id = %s", (event.user_id,))
            case _:
                _apply_address(event, cursor)


def _apply_address(event: Any, cursor: Cursor) -> None:
    match event:
        case AddressAdded():
            cursor.execute(
                "INSERT INTO user_addresses VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, false)",
                (event.address_id, event.user_id, *_address_values(event)),
            )
            if event.is_default:
                _set_default(event.user_id, event.address_id, cursor)
        case AddressChanged():
            cursor.execute(
                "UPDATE user_addresses SET (name, lines, city, country, postal_code, region, phone)"
                " = (%s, %s, %s, %s, %s, %s, %s) WHERE id = %s",
                (*_address_values(event), event.address_id),
            )
        case DefaultAddressChosen():
            _set_default(event.user_id, event.address_id, cursor)
        case AddressRemoved():
            cursor.execute("DELETE FROM user_addresses WHERE id = %s", (event.address_id,))


def _address_values(event: AddressAdded | AddressChanged) -> tuple[Any, ...]:
    return (
        event.name,
        event.lines,
        event.city,
        event.country,
        event.postal_code,
        event.region,
        event.phone,
    )


def _set_default(user_id: str, address_id: str, cursor: Cursor) -> None:
    cursor.execute(
        "UPDATE user_addresses SET is_default = (id = %s) WHERE user_id = %s",
        (address_id, user_id),
    )


class Sessions(Projection):
    """One row per session that may still be used."""

    name, version, handles = "sessions", 1, (SessionStarted, SessionRevoked)
    parallel = True
    tables = """
        CREATE TABLE sessions (
            id text PRIMARY KEY,
            user_id text NOT NULL,
            expires_at timestamptz NOT NULL
        );
        CREATE INDEX sessions_by_user ON sessions (user_id);
    """

    def apply(self, recorded: Recorded[Any], cursor: Cursor) -> None:
        """Write the rows of one event."""
        match recorded.event:
            case SessionStarted(session_id=session_id, user_id=user_id, expires_at=expires_at):
                cursor.execute(
                    "INSERT INTO sessions VALUES (%s, %s, %s)", (session_id, user_id, expires_at)
                )
            case SessionRevoked(session_id=session_id):
                cursor.execute("DELETE FROM sessions WHERE id = %s", (session_id,))


class UserReads:
    """Queries over the read models, and over the credentials beside them."""

    def __init__(self, reads: ReadModels) -> None:
        self._reads = reads

    async def by_id(self, ids: Sequence[str]) -> dict[str, Row]:
        """Users by id; unknown ones are missing."""
        rows = await self._reads.fetch("SELECT * FROM users WHERE id = ANY(%s)", (list(ids),))
        return {row["id"]: row for row in rows}

    async def addresses_of(self, user_ids: Sequence[str]) -> dict[str, list[Row]]:
        """Addresses by user, oldest first; users without any are missing."""
        rows = await self._reads.fetch(
            "SELECT * FROM user_addresses WHERE user_id = ANY(%s) ORDER BY id", (list(user_ids),)
        )
        found: dict[str, list[Row]] = {}
        for row in rows:
            found.setdefault(row["user_id"], []).append(row)
        return found

    async def addresses(self, ids: Sequence[str]) -> dict[str, Row]:
        """Addresses by their own id; unknown ones are missing."""
        rows = await self._reads.fetch(
            "SELECT * FROM user_addresses WHERE id = ANY(%s)", (list(ids),)
        )
        return {row["id"]: row for row in rows}

    async def page(
        self, page: Page, *, email: str | None, role: str | None, created_after: Any
    ) -> Sequence[Row]:
        """Users that match every given condition."""
        return await self._reads.fetch(
            f"""
            SELECT * FROM users
            WHERE {page.condition}
              AND (%(email)s::text IS NULL OR lower(email) = lower(%(email)s))
              AND (%(role)s::text IS NULL OR %(role)s = ANY(roles))
              AND (%(created_after)s::timestamptz IS NULL OR created_at > %(created_after)s)
            ORDER BY {page.order} LIMIT {page.limit}
            """,
            {**page.params, "email": email, "role": role, "created_after": created_after},
        )

    async def sessions_of(self, user_id: str) -> list[str]:
        """Ids of the sessions of a user that are not revoked."""
        rows = await self._reads.fetch("SELECT id FROM sessions WHERE user_id = %s", (user_id,))
        return [row["id"] for row in rows]

    async def password_hash(self, user_id: str) -> str | None:
        """The stored hash; None if the user has no password."""
        row = await self._reads.fetch_one(
            "SELECT password_hash FROM public.user_credentials WHERE user_id = %s", (user_id,)
        )
        return None if row is None else str(row["password_hash"])

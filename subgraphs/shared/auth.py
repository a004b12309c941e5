"""Who calls: the router's signed statement about the client, and what roles allow.

The router proves the client's token and states what it found in `x-router-actor`, signed with a
secret that clients do not have, so that a service need not trust whoever reaches its port:

    base64url(JSON {sub, roles, sid, iat, exp}) "." base64url(HMAC-SHA256(first part, secret))

Feeds carry what no client may see: they take another token made from the same secret.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum

import msgspec

from subgraphs.shared.errors import Forbidden, Unauthenticated

ACTOR_HEADER = "x-router-actor"
ACTOR_BYTES_MAX = 4096
CLOCK_SKEW_SECONDS = 5
_FEED_PURPOSE = b"lonja feed v1"


class Role(Enum):
    """What a user may be. None implies another: each is granted, with a reason."""

    CUSTOMER = "CUSTOMER"
    STAFF = "STAFF"
    AUDITOR = "AUDITOR"
    OPERATOR = "OPERATOR"
    ADMIN = "ADMIN"


@dataclass(frozen=True, slots=True)
class Caller:
    """The client behind a request; `user_id` is None for somebody who has not signed in."""

    user_id: str | None = None
    roles: frozenset[Role] = field(default=frozenset())
    session_id: str | None = None

    @property
    def is_staff(self) -> bool:
        """Whether actions of this caller are recorded as done by staff."""
        return not self.roles.isdisjoint(_STAFF_KINDS)

    def has(self, *roles: Role) -> bool:
        """Whether the caller has one of the roles."""
        return not self.roles.isdisjoint(roles)

    def require_user(self) -> str:
        """The caller's user id. Raises Unauthenticated."""
        if self.user_id is None:
            raise Unauthenticated
        return self.user_id

    def require_role(self, action: str, *roles: Role) -> str:
        """The caller's user id, if they have one of the roles. Raises Unauthenticated, Forbidden.

        `action` completes "you may not …".
        """
        user_id = self.require_user()
        if not self.has(*roles):
            raise Forbidden(action, needs=[role.value for role in roles])
        return user_id

    def may_see(self, owner_id: str | None, *roles: Role) -> bool:
        """Whether the object is the caller's own, or they have one of the roles.

        For objects in lists and entity resolvers, where what may not be seen is left out or null.
        """
        return (self.user_id is not None and self.user_id == owner_id) or self.has(*roles)


ANONYMOUS = Caller()
_STAFF_KINDS = frozenset({Role.STAFF, Role.AUDITOR, Role.OPERATOR, Role.ADMIN})


class _Claims(msgspec.Struct):
    sub: str
    exp: int
    roles: list[str] = []
    sid: str | None = None


def sign_actor(
    secret: bytes,
    *,
    user_id: str,
    roles: Iterable[Role],
    now: datetime,
    session_id: str | None = None,
    lifetime: timedelta = timedelta(seconds=60),
) -> str:
    """The header a router would send: for tests and for calls in process."""
    issued = int(now.timestamp())
    claims = {
        "sub": user_id,
        "roles": sorted(role.value for role in roles),
        "sid": session_id,
        "iat": issued,
        "exp": issued + int(lifetime.total_seconds()),
    }
    body = _encode(msgspec.json.encode(claims))
    return f"{body}.{_encode(_signature(secret, body))}"


def read_caller(header: str | None, secret: bytes, now: datetime) -> Caller:
    """Who the router says it is. No header is an anonymous caller. Raises Unauthenticated.

    Role names that this service does not know are left out: they allow nothing here.
    """
    if not header:
        return ANONYMOUS
    body, dot, signature = header.partition(".")
    if not dot or len(header) > ACTOR_BYTES_MAX or not header.isascii():
        raise Unauthenticated(f"{ACTOR_HEADER} is not two parts joined by a dot")
    if not hmac.compare_digest(_decode(signature), _signature(secret, body)):
        raise Unauthenticated(f"the signature of {ACTOR_HEADER} is wrong")
    try:
        claims = msgspec.json.decode(_decode(body), type=_Claims)
    except msgspec.DecodeError:
        raise Unauthenticated(f"the claims of {ACTOR_HEADER} are not what they should be") from None
    if claims.exp + CLOCK_SKEW_SECONDS < now.timestamp():
        raise Unauthenticated(f"{ACTOR_HEADER} has expired")
    roles = frozenset(Role(name) for name in claims.roles if name in Role.__members__)
    return Caller(claims.sub, roles, claims.sid)


def feed_authorization(secret: bytes) -> str:
    """The `authorization` header that opens a service's feed."""
    return f"Internal {_encode(_signature(secret, _FEED_PURPOSE.decode()))}"


def check_feed_authorization(header: str | None, secret: bytes) -> None:
    """Raises Unauthenticated unless the header is the one that `feed_authorization` makes."""
    if header is None or not hmac.compare_digest(
        header.encode(), feed_authorization(secret).encode()
    ):
        raise Unauthenticated("a feed takes an `authorization: Internal …` header")


def _signature(secret: bytes, body: str) -> bytes:
    return hmac.new(secret, body.encode("ascii"), hashlib.sha256).digest()


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def _decode(text: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        raise Unauthenticated(f"{ACTOR_HEADER} is not base64url") from None

"""What happens to users. No event holds a password, a token, or the hash of a password."""

from __future__ import annotations

from datetime import datetime

from eventstore.event import Event, Personal, event_type


@event_type("user.registered", subject="user_id")
class UserRegistered(Event, frozen=True):
    user_id: str
    email: Personal[str]
    display_name: Personal[str | None]
    at: datetime


@event_type("user.profile_changed", subject="user_id")
class ProfileChanged(Event, frozen=True):
    user_id: str
    display_name: Personal[str | None]


@event_type("user.password_changed", public=False)
class PasswordChanged(Event, frozen=True):
    """That it was, and when: what it was changed to is nowhere."""

    user_id: str


@event_type("user.role_granted", subject="user_id")
class RoleGranted(Event, frozen=True):
    """`reason` is mandatory: an auditor asks why."""

    user_id: str
    role: str
    reason: Personal[str]


@event_type("user.role_revoked", subject="user_id")
class RoleRevoked(Event, frozen=True):
    user_id: str
    role: str
    reason: Personal[str]


@event_type("user.address_added", subject="user_id")
class AddressAdded(Event, frozen=True):
    user_id: str
    address_id: str
    name: Personal[str]
    lines: Personal[list[str]]
    city: Personal[str]
    country: str
    postal_code: Personal[str | None]
    region: Personal[str | None]
    phone: Personal[str | None]
    is_default: bool


@event_type("user.address_changed", subject="user_id")
class AddressChanged(Event, frozen=True):
    user_id: str
    address_id: str
    name: Personal[str]
    lines: Personal[list[str]]
    city: Personal[str]
    country: str
    postal_code: Personal[str | None]
    region: Personal[str | None]
    phone: Personal[str | None]


@event_type("user.default_address_chosen")
class DefaultAddressChosen(Event, frozen=True):
    user_id: str
    address_id: str


@event_type("user.address_removed")
class AddressRemoved(Event, frozen=True):
    user_id: str
    address_id: str


@event_type("user.erasure_requested", subject="user_id")
class ErasureRequested(Event, frozen=True):
    user_id: str
    reason: Personal[str]
    at: datetime


@event_type("user.erased")
class UserErased(Event, frozen=True):
    """The person is to be forgotten, here and by whoever hears of it. `reason` tells nothing of
    them: it stays."""

    user_id: str
    reason: str
    at: datetime


@event_type("email.reserved", public=False)
class EmailReserved(Event, frozen=True):
    """In the stream of the address: whoever comes first has it. Tagged with the user's id, by which
    it is found when the address itself is forgotten."""

    user_id: str


@event_type("email.released", public=False)
class EmailReleased(Event, frozen=True):
    """The address may be registered anew."""

    user_id: str


@event_type("sign_in.succeeded", public=False)
class SignedIn(Event, frozen=True):
    """In the stream of the e-mail address, as are the failures: a stranger's guesses must not
    move the version of the user's own stream."""

    user_id: str
    session_id: str
    at: datetime


@event_type("sign_in.failed", public=False)
class SignInFailed(Event, frozen=True):
    """`reason` is wrong_password or unknown_email; the client is not told which."""

    reason: str
    at: datetime
    user_id: str | None = None


@event_type("sign_in.locked", public=False)
class SignInLocked(Event, frozen=True):
    failures: int
    at: datetime
    until: datetime


@event_type("session.started", public=False)
class SessionStarted(Event, frozen=True):
    """`token_hash` is the SHA-256 of a random token of 256 bits: it tells nothing of the token."""

    session_id: str
    user_id: str
    token_hash: str
    expires_at: datetime


@event_type("session.refreshed", public=False)
class SessionRefreshed(Event, frozen=True):
    session_id: str
    token_hash: str


@event_type("session.revoked", public=False)
class SessionRevoked(Event, frozen=True):
    """`reason` is signed_out, signed_out_everywhere, password_changed, token_reused or erased."""

    session_id: str
    user_id: str
    reason: str


EVENTS = (
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
    EmailReserved,
    EmailReleased,
    SignedIn,
    SignInFailed,
    SignInLocked,
    SessionStarted,
    SessionRefreshed,
    SessionRevoked,
)

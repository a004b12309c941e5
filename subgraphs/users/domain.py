"""The user: who they are, what they may do, where they live."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from email_validator import EmailNotValidError, validate_email

from eventstore.event import Event
from subgraphs.shared.auth import Role
from subgraphs.shared.errors import InvalidValue, NotFound, Refusal
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
    UserErased,
    UserRegistered,
)

ADDRESSES_MAX = 50
ADDRESS_LINES_MAX = 6
TEXT_CHARACTERS_MAX = 200
REASON_CHARACTERS_MAX = 500
PASSWORD_CHARACTERS_MIN = 8
PASSWORD_CHARACTERS_MAX = 256
NAMED_ORDERS_MAX = 10

_COUNTRY = re.compile(r"[A-Z]{2}\Z")


class EmailTaken(Refusal):
    """Somebody has registered with this address."""

    code = "EMAIL_TAKEN"

    def __init__(self, email: str) -> None:
        self.email = email
        super().__init__("this e-mail address is registered: sign in", path=["input", "email"])


class LastAdmin(Refusal):
    """Nobody would be left to grant roles."""

    code = "LAST_ADMIN"


class ErasurePending(Refusal):
    """The user has asked to be forgotten: nothing more is stored of them."""

    code = "ERASURE_PENDING"

    def __init__(self, user_id: str) -> None:
        self.user_id = user_id
        super().__init__(f"{user_id} is to be erased: nothing of them can be changed any more")


class Erased(Refusal):
    """The user was forgotten."""

    code = "USER_ERASED"

    def __init__(self, user_id: str) -> None:
        self.user_id = user_id
        super().__init__(f"{user_id} was erased: nothing of them is stored any more")


class OrdersUnderWay(Refusal):
    """Somebody still waits for goods or money: they cannot be forgotten before."""

    code = "ORDERS_UNDER_WAY"

    def __init__(self, user_id: str, numbers: Sequence[str]) -> None:
        self.user_id, self.numbers = user_id, list(numbers)
        named = ", ".join(numbers[:NAMED_ORDERS_MAX])
        if len(numbers) > NAMED_ORDERS_MAX:
            named += f" and {len(numbers) - NAMED_ORDERS_MAX} more"
        super().__init__(
            f"{user_id} has orders under way ({named}): cancel them or wait for them to end",
            path=["userId"],
        )


@dataclass(frozen=True, slots=True)
class Address:
    """Where something can be sent. `country` is ISO 3166-1, two letters."""

    name: str
    lines: tuple[str, ...]
    city: str
    country: str
    postal_code: str | None = None
    region: str | None = None
    phone: str | None = None

    def checked(self) -> Address:
        """The address without surrounding blanks. Raises InvalidValue."""
        if not 1 <= len(self.lines) <= ADDRESS_LINES_MAX:
            raise InvalidValue(
                f"an address has 1 to {ADDRESS_LINES_MAX} lines, this has {len(self.lines)}",
                path=["input", "lines"],
            )
        if not _COUNTRY.match(self.country):
            raise InvalidValue(
                f"{self.country[:16]!r} is not a country of two letters, like ES",
                path=["input", "country"],
            )
        return Address(
            name=_text(self.name, "name"),
            lines=tuple(_text(line, "lines") for line in self.lines),
            city=_text(self.city, "city"),
            country=self.country,
            postal_code=_optional(self.postal_code, "postalCode"),
            region=_optional(self.region, "region"),
            phone=_optional(self.phone, "phone"),
        )


@dataclass(frozen=True, slots=True)
class User:
    """State folded from one user's stream. `registered_at` is None before its first event."""

    id: str
    registered_at: datetime | None = None
    email: str = ""
    display_name: str | None = None
    roles: frozenset[Role] = field(default=frozenset({Role.CUSTOMER}))
    addresses: Mapping[str, Address] = field(default_factory=dict)
    default_address_id: str | None = None
    erasure_requested_at: datetime | None = None
    erased_at: datetime | None = None

    @classmethod
    def initial(cls, stream: str) -> User:
        """Nobody yet."""
        return cls(stream)

    @property
    def registered(self) -> bool:
        """Whether there is such a user."""
        return self.registered_at is not None

    def register(self, email: str, display_name: str | None, now: datetime) -> list[Event]:
        """Decide. Raises InvalidValue for what is not an e-mail address."""
        if self.registered:
            return []
        name = _optional(display_name, "displayName")
        return [UserRegistered(self.id, checked_email(email), name, now)]

    def change_profile(self, display_name: str | None) -> list[Event]:
        """Decide. Nothing to do where the name is the same."""
        self._changeable()
        name = _optional(display_name, "displayName")
        return [] if name == self.display_name else [ProfileChanged(self.id, name)]

    def change_password(self) -> list[Event]:
        """Decide, after the old one was proved and the new one checked."""
        self._changeable()
        return [PasswordChanged(self.id)]

    def grant(self, role: Role, reason: str) -> list[Event]:
        """Decide. Nothing to do where the user has the role."""
        self._changeable()
        reason = checked_reason(reason)
        return [] if role in self.roles else [RoleGranted(self.id, role.value, reason)]

    def revoke(self, role: Role, reason: str, *, by: str) -> list[Event]:
        """Decide. Raises LastAdmin where an administrator would drop their own role."""
        self._changeable()
        reason = checked_reason(reason)
        if role is Role.ADMIN and by == self.id:
            raise LastAdmin("administrators cannot take that role from themselves: ask another")
        return [RoleRevoked(self.id, role.value, reason)] if role in self.roles else []

    def add_address(self, address_id: str, address: Address, *, make_default: bool) -> list[Event]:
        """Decide. The first address is the default one. The same id again is nothing to do."""
        self._changeable()
        if address_id in self.addresses:
            return []
        if len(self.addresses) >= ADDRESSES_MAX:
            raise InvalidValue(f"a user has at most {ADDRESSES_MAX} addresses: remove one first")
        checked = address.checked()
        return [
            AddressAdded(
                self.id,
                address_id,
                **_fields(checked),
                is_default=make_default or not self.addresses,
            )
        ]

    def change_address(self, address_id: str, address: Address) -> list[Event]:
        """Decide. Raises NotFound."""
        self._changeable()
        checked = address.checked()
        if self._address(address_id) == checked:
            return []
        return [AddressChanged(self.id, address_id, **_fields(checked))]

    def choose_default_address(self, address_id: str) -> list[Event]:
        """Decide. Raises NotFound."""
        self._changeable()
        self._address(address_id)
        if self.default_address_id == address_id:
            return []
        return [DefaultAddressChosen(self.id, address_id)]

    def remove_address(self, address_id: str) -> list[Event]:
        """Decide. Nothing to do where there is no such address any more."""
        self._changeable()
        return [AddressRemoved(self.id, address_id)] if address_id in self.addresses else []

    def request_erasure(self, reason: str, now: datetime) -> list[Event]:
        """Decide. Asking twice is nothing to do."""
        if not self.registered:
            raise NotFound("User", self.id)
        if self.erased_at is not None:
            raise Erased(self.id)
        reason = checked_reason(reason)
        return [] if self.erasure_requested_at else [ErasureRequested(self.id, reason, now)]

    def erase(
        self, reason: str, now: datetime, *, by: str, under_way: Sequence[str]
    ) -> list[Event]:
        """Decide, whether they asked for it or not. Erased already is nothing to do.

        `under_way` are the numbers of their orders that have not ended: raises OrdersUnderWay for
        any, LastAdmin where an administrator would erase themselves.
        """
        if not self.registered:
            raise NotFound("User", self.id)
        reason = checked_reason(reason)
        if self.erased_at is not None:
            return []
        if by == self.id:
            raise LastAdmin("administrators cannot erase themselves: ask another")
        if under_way:
            raise OrdersUnderWay(self.id, under_way)
        return self.forgotten(reason, now)

    def forgotten(self, reason: str, now: datetime) -> list[Event]:
        """Decide, where nobody can refuse any more. Nothing to do for who is not a user."""
        known = self.registered and self.erased_at is None
        return [UserErased(self.id, reason, now)] if known else []

    def evolve(self, event: Event) -> User:
        """Fold. Never refuses: the event already happened."""
        match event:
            case UserRegistered():
                return replace(
                    self,
                    registered_at=event.at,
                    email=event.email,
                    display_name=event.display_name,
                )
            case ProfileChanged():
                return replace(self, display_name=event.display_name)
            case RoleGranted():
                return replace(self, roles=self.roles | {Role(event.role)})
            case RoleRevoked():
                return replace(self, roles=self.roles - {Role(event.role)})
            case AddressAdded() | AddressChanged():
                return self._with_address(event)
            case DefaultAddressChosen():
                return replace(self, default_address_id=event.address_id)
            case AddressRemoved():
                return self._without_address(event.address_id)
            case ErasureRequested():
                return replace(self, erasure_requested_at=event.at)
            case UserErased():
                return User(
                    self.id,
                    registered_at=self.registered_at,
                    roles=frozenset(),
                    erasure_requested_at=self.erasure_requested_at,
                    erased_at=event.at,
                )
            case _:
                return self

    def _with_address(self, event: AddressAdded | AddressChanged) -> User:
        address = Address(
            name=event.name,
            lines=tuple(event.lines),
            city=event.city,
            country=event.country,
            postal_code=event.postal_code,
            region=event.region,
            phone=event.phone,
        )
        default = self.default_address_id
        if isinstance(event, AddressAdded) and event.is_default:
            default = event.address_id
        return replace(
            self,
            addresses={**self.addresses, event.address_id: address},
            default_address_id=default,
        )

    def _without_address(self, address_id: str) -> User:
        rest = {key: address for key, address in self.addresses.items() if key != address_id}
        default = self.default_address_id
        return replace(
            self, addresses=rest, default_address_id=None if default == address_id else default
        )

    def _address(self, address_id: str) -> Address:
        try:
            return self.addresses[address_id]
        except KeyError:
            raise NotFound("Address", address_id, path=["id"]) from None

    def _changeable(self) -> None:
        if not self.registered:
            raise NotFound("User", self.id)
        if self.erased_at is not None:
            raise Erased(self.id)
        if self.erasure_requested_at is not None:
            raise ErasurePending(self.id)


def checked_email(email: str) -> str:
    """The address in its normal form, the domain in lower case. Raises InvalidValue.

    Before the @ it is ASCII: few mail servers take anything else (SMTPUTF8, RFC 6531).
    """
    try:
        checked = validate_email(email, check_deliverability=False, allow_smtputf8=False)
        return checked.normalized
    except EmailNotValidError as error:
        raise InvalidValue(
            f"{email[:80]!r} is not an e-mail address: {error}", path=["input", "email"]
        ) from None


def checked_password(password: str, path: Sequence[str] = ("input", "password")) -> str:
    """The password as it is, if long enough (and not endless). Raises InvalidValue."""
    if not PASSWORD_CHARACTERS_MIN <= len(password) <= PASSWORD_CHARACTERS_MAX:
        raise InvalidValue(
            f"a password has {PASSWORD_CHARACTERS_MIN} to {PASSWORD_CHARACTERS_MAX} characters, "
            f"this has {len(password)}",
            path=path,
        )
    return password


def checked_reason(reason: str, path: Sequence[str] = ("reason",)) -> str:
    """The reason without surrounding blanks. Raises InvalidValue where there is none."""
    reason = reason.strip()
    if not reason or len(reason) > REASON_CHARACTERS_MAX:
        raise InvalidValue(
            f"give a reason, of at most {REASON_CHARACTERS_MAX} characters", path=path
        )
    return reason


def _text(value: str, name: str) -> str:
    text = value.strip()
    if not text or len(text) > TEXT_CHARACTERS_MAX or not text.isprintable():
        raise InvalidValue(
            f"{name} has 1 to {TEXT_CHARACTERS_MAX} printable characters", path=["input", name]
        )
    return text


def _optional(value: str | None, name: str) -> str | None:
    return None if value is None or not value.strip() else _text(value, name)


def _fields(address: Address) -> dict[str, Any]:
    return {
        "name": address.name,
        "lines": list(address.lines),
        "city": address.city,
        "country": address.country,
        "postal_code": address.postal_code,
        "region": address.region,
        "phone": address.phone,
    }

"""Users, given, when, then."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from subgraphs.shared.auth import Role
from subgraphs.shared.errors import InvalidValue, NotFound
from subgraphs.users.domain import (
    ADDRESSES_MAX,
    Address,
    ErasurePending,
    LastAdmin,
    User,
    checked_password,
)
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
    UserRegistered,
)
from tests.support.given import Given, given

NOW = datetime(2026, 1, 1, tzinfo=UTC)
REGISTERED = UserRegistered("usr_1", "ana@example.com", "Ana", NOW)
HOME = Address("Ana", ("Carrer de la Llotja 2",), "València", "ES", postal_code="46001")
HOME_ADDED = AddressAdded(
    "usr_1", "adr_1", "Ana", ["Carrer de la Llotja 2"], "València", "ES", "46001", None, None, True
)


def nobody() -> Given[User]:
    return given(User, "usr_1")


def ana(*events: object) -> Given[User]:
    return given(User, "usr_1", REGISTERED, *events)  # type: ignore[arg-type]


def test_register() -> None:
    user = nobody().when(lambda u: u.register("ana@Example.com", " Ana ", NOW)).then(REGISTERED)
    assert (user.email, user.display_name) == ("ana@example.com", "Ana")
    assert user.roles == {Role.CUSTOMER}


def test_registered_already_is_nothing_to_do() -> None:
    ana().when(lambda u: u.register("ana@example.com", None, NOW)).then_nothing()


@pytest.mark.parametrize(
    "email", ["", "ana", "ana@", "@example.com", "a b@example.com", "a@b", "ñ@example.com"]
)
def test_what_is_no_address_is_not_registered(email: str) -> None:
    refusal = (
        nobody()
        .when(lambda u: u.register(email, None, NOW))
        .then_raises(InvalidValue, "is not an e-mail address")
    )
    assert refusal.path == ["input", "email"]


def test_a_name_is_printable_and_not_endless() -> None:
    for name in ("a\x00b", "x" * 201):
        nobody().when(lambda u, n=name: u.register("ana@example.com", n, NOW)).then_raises(
            InvalidValue, "displayName"
        )


def test_change_profile() -> None:
    ana().when(lambda u: u.change_profile("Anna")).then(ProfileChanged("usr_1", "Anna"))
    ana().when(lambda u: u.change_profile("Ana")).then_nothing()
    nobody().when(lambda u: u.change_profile("Ana")).then_raises(NotFound)


def test_change_password() -> None:
    ana().when(lambda u: u.change_password()).then(PasswordChanged("usr_1"))
    nobody().when(lambda u: u.change_password()).then_raises(NotFound)
    requested = ErasureRequested("usr_1", "closing", NOW)
    ana(requested).when(lambda u: u.change_password()).then_raises(ErasurePending)


def test_grant_a_role_with_a_reason() -> None:
    user = (
        ana()
        .when(lambda u: u.grant(Role.STAFF, " hired "))
        .then(RoleGranted("usr_1", "STAFF", "hired"))
    )
    assert user.roles == {Role.CUSTOMER, Role.STAFF}
    ana().when(lambda u: u.grant(Role.CUSTOMER, "again")).then_nothing()


def test_no_role_changes_without_a_reason() -> None:
    ana().when(lambda u: u.grant(Role.STAFF, "  ")).then_raises(InvalidValue, "give a reason")
    ana().when(lambda u: u.revoke(Role.CUSTOMER, "", by="usr_2")).then_raises(InvalidValue)


def test_revoke_a_role() -> None:
    staff = RoleGranted("usr_1", "STAFF", "hired")
    user = (
        ana(staff)
        .when(lambda u: u.revoke(Role.STAFF, "left", by="usr_2"))
        .then(RoleRevoked("usr_1", "STAFF", "left"))
    )
    assert user.roles == {Role.CUSTOMER}
    ana().when(lambda u: u.revoke(Role.STAFF, "left", by="usr_2")).then_nothing()


def test_administrators_do_not_unmake_themselves() -> None:
    admin = RoleGranted("usr_1", "ADMIN", "first")
    ana(admin).when(lambda u: u.revoke(Role.ADMIN, "tired", by="usr_1")).then_raises(LastAdmin)


def test_the_first_address_is_the_default_one() -> None:
    user = ana().when(lambda u: u.add_address("adr_1", HOME, make_default=False)).then(HOME_ADDED)
    assert user.default_address_id == "adr_1"
    ana(HOME_ADDED).when(lambda u: u.add_address("adr_1", HOME, make_default=False)).then_nothing()


def test_a_user_has_a_bounded_number_of_addresses() -> None:
    many = [
        AddressAdded("usr_1", f"adr_{n}", "A", ["1"], "C", "ES", None, None, None, False)
        for n in range(ADDRESSES_MAX)
    ]
    ana(*many).when(lambda u: u.add_address("adr_x", HOME, make_default=True)).then_raises(
        InvalidValue, "at most 50"
    )


@pytest.mark.parametrize(
    ("address", "speaks_of"),
    [
        (Address("A", (), "C", "ES"), "lines"),
        (Address("A", ("1",) * 7, "C", "ES"), "lines"),
        (Address("", ("1",), "C", "ES"), "name"),
        (Address("A", (" ",), "C", "ES"), "lines"),
        (Address("A", ("1",), "C", "Spain"), "country"),
        (Address("A", ("1",), "C", "ES", phone="1" * 201), "phone"),
    ],
)
def test_a_bad_address_is_refused_by_field(address: Address, speaks_of: str) -> None:
    refusal = (
        ana()
        .when(lambda u: u.add_address("adr_1", address, make_default=False))
        .then_raises(InvalidValue)
    )
    assert refusal.path == ["input", speaks_of]


def test_change_an_address() -> None:
    moved = Address("Ana", ("Plaça del Mercat 1",), "València", "ES")
    ana(HOME_ADDED).when(lambda u: u.change_address("adr_1", moved)).then(
        AddressChanged(
            "usr_1", "adr_1", "Ana", ["Plaça del Mercat 1"], "València", "ES", None, None, None
        )
    )
    ana(HOME_ADDED).when(lambda u: u.change_address("adr_1", HOME)).then_nothing()
    ana().when(lambda u: u.change_address("adr_1", HOME)).then_raises(NotFound)


def test_choose_and_remove_the_default_address() -> None:
    chosen = DefaultAddressChosen("usr_1", "adr_1")
    ana(HOME_ADDED).when(lambda u: u.choose_default_address("adr_1")).then_nothing()
    ana().when(lambda u: u.choose_default_address("adr_1")).then_raises(NotFound)
    second = AddressAdded("usr_1", "adr_2", "A", ["1"], "C", "ES", None, None, None, True)
    ana(HOME_ADDED, second).when(lambda u: u.choose_default_address("adr_1")).then(chosen)
    user = (
        ana(HOME_ADDED)
        .when(lambda u: u.remove_address("adr_1"))
        .then(AddressRemoved("usr_1", "adr_1"))
    )
    assert user.default_address_id is None
    ana().when(lambda u: u.remove_address("adr_1")).then_nothing()


def test_after_an_erasure_request_nothing_more_is_stored() -> None:
    requested = ErasureRequested("usr_1", "closing my account", NOW)
    ana().when(lambda u: u.request_erasure("closing my account", NOW)).then(requested)
    ana(requested).when(lambda u: u.request_erasure("again", NOW)).then_nothing()
    ana(requested).when(lambda u: u.add_address("adr_1", HOME, make_default=False)).then_raises(
        ErasurePending
    )
    nobody().when(lambda u: u.request_erasure("x", NOW)).then_raises(NotFound)


@pytest.mark.parametrize("password", ["", "short", "x" * 257])
def test_passwords_have_a_sane_length(password: str) -> None:
    with pytest.raises(InvalidValue, match="8 to 256"):
        checked_password(password)

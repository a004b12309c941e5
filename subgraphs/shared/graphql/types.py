"""GraphQL types that every subgraph declares alike, so that they compose."""

from __future__ import annotations

from functools import singledispatch
from typing import NewType

import strawberry

from eventstore.audit.as_of import Time
from subgraphs.shared import errors, money

strawberry.enum(
    Time,
    name="EventTime",
    description="RECORDED: when the log learned of an event. OCCURRED: when it happened.",
)

DecimalString = NewType("DecimalString", str)
CurrencyCode = NewType("CurrencyCode", str)
CountryCode = NewType("CountryCode", str)


@strawberry.interface(description="Anything with an id: ask the journal's `node` for it.")
class Node:
    id: strawberry.ID


@strawberry.interface(description="Why a mutation refused. Members carry the values in question.")
class UserError:
    message: str = strawberry.field(description="For people; the code is for programs.")
    code: str
    path: list[str] | None = strawberry.field(description="The argument spoken of, from the top.")
    refusal: strawberry.Private[errors.Refusal | None] = None


@strawberry.federation.type(shareable=True)
class InvalidInput(UserError):
    pass


@strawberry.federation.type(shareable=True)
class VersionConflict(UserError):
    expected: int | None
    actual: int


@strawberry.federation.type(shareable=True, name="Money")
class MoneyType:
    amount: DecimalString = strawberry.field(description='A decimal string like "10.50".')
    currency: CurrencyCode

    @classmethod
    def of(cls, value: money.Money) -> MoneyType:
        """The GraphQL form of an amount."""
        return cls(amount=DecimalString(value.amount), currency=CurrencyCode(value.currency))

    @classmethod
    def minor(cls, minor: int, currency: str) -> MoneyType:
        """The GraphQL form of so many minor units."""
        return cls.of(money.Money(minor, currency))


@strawberry.input
class MoneyInput:
    amount: DecimalString
    currency: CurrencyCode

    def value(self, *path: str) -> money.Money:
        """The amount. Raises InvalidMoney, speaking of the argument at `path`."""
        return money.Money.parse(self.amount, self.currency, path=[*path, "amount"])


@strawberry.federation.type(
    shareable=True, description="Proof of a write. `position` may be sent back in x-read-position."
)
class Receipt:
    command_id: strawberry.ID
    version: int
    position: str
    replayed: bool


@strawberry.federation.type(shareable=True)
class PageInfo:
    has_next_page: bool
    has_previous_page: bool
    start_cursor: str | None
    end_cursor: str | None


@strawberry.input
class AddressInput:
    name: str
    lines: list[str]
    city: str
    country: CountryCode
    postal_code: str | None = None
    region: str | None = None
    phone: str | None = None


def refused(refusal: errors.Refusal) -> UserError:
    """The entry of `userErrors` that a refusal becomes, with the refusal itself."""
    error = user_error(refusal)
    error.refusal = refusal
    return error


@singledispatch
def user_error(refusal: errors.Refusal) -> UserError:
    """The typed entry of `userErrors`. Services register their own:

    @user_error.register
    def _(refusal: StockShort) -> UserError: return InsufficientStock(...)
    """
    return InvalidInput(message=refusal.message, code=refusal.code, path=refusal.path)


@user_error.register
def _(refusal: errors.VersionChanged) -> UserError:
    return VersionConflict(
        message=refusal.message,
        code=refusal.code,
        path=refusal.path,
        expected=refusal.expected,
        actual=refusal.actual,
    )

"""Scalars: what goes over the wire as a string, and is refused where it is anything else."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, cast

import strawberry
from strawberry.schema.types.base_scalars import DateTimeDefinition
from strawberry.types.scalar import ScalarDefinition

from subgraphs.shared.graphql.types import CountryCode, CurrencyCode, DecimalString

_DECIMAL = re.compile(r"-?[0-9]{1,16}(\.[0-9]{1,8})?\Z")
_CURRENCY = re.compile(r"[A-Z]{3}\Z")
_COUNTRY = re.compile(r"[A-Z]{2}\Z")
_ISO_DATETIME = cast("Callable[[object], object]", DateTimeDefinition.parse_value)


def _parse_decimal(value: Any) -> DecimalString:
    if type(value) is int:
        value = str(value)
    if not isinstance(value, str) or not _DECIMAL.match(value):
        raise ValueError(
            f'{value!r} is not a Decimal: send a string like "10.50", never a floating-point number'
        )
    return DecimalString(value)


def _parse_datetime(value: Any) -> datetime:
    """A time without a zone is of UTC: it must not depend on where the database thinks it is."""
    found = _ISO_DATETIME(value)
    assert isinstance(found, datetime), f"{found!r} came of a DateTime"
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found


def _parse_currency(value: Any) -> CurrencyCode:
    if not isinstance(value, str) or not _CURRENCY.match(value):
        raise ValueError(f"{value!r} is not a CurrencyCode: send three capitals, like EUR")
    return CurrencyCode(value)


def _parse_country(value: Any) -> CountryCode:
    if not isinstance(value, str) or not _COUNTRY.match(value):
        raise ValueError(f"{value!r} is not a CountryCode: send two capitals, like ES")
    return CountryCode(value)


SCALARS: dict[object, ScalarDefinition] = {
    datetime: strawberry.scalar(
        name="DateTime",
        description="A time of ISO 8601; of UTC where it names no zone.",
        serialize=datetime.isoformat,
        parse_value=_parse_datetime,
    ),
    DecimalString: strawberry.scalar(
        name="Decimal",
        description="An exact decimal number, as a string.",
        serialize=str,
        parse_value=_parse_decimal,
    ),
    CurrencyCode: strawberry.scalar(
        name="CurrencyCode",
        description="A currency of ISO 4217, like EUR.",
        serialize=str,
        parse_value=_parse_currency,
    ),
    CountryCode: strawberry.scalar(
        name="CountryCode",
        description="A country of ISO 3166-1, two letters, like ES.",
        serialize=str,
        parse_value=_parse_country,
    ),
}

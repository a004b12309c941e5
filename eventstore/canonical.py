"""Canonical JSON as RFC 8785 has it: one text for one value, so that hashes agree everywhere.

Object members are sorted by the UTF-16 code units of their names, numbers are written as ECMAScript
writes them, strings with the fewest escapes, and nothing is between the tokens.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import msgspec

INTEGER_MAX = 2**53 - 1
"""The largest integer every reader of JSON keeps exact (RFC 7493 § 2.2)."""

_string = msgspec.json.Encoder().encode


class NotCanonical(ValueError):
    """A value that canonical JSON cannot hold."""


def canonical(value: Any) -> bytes:
    """The canonical text of a JSON value (None, bool, int, float, str, lists, mappings by str).

    Raises NotCanonical for NaN, infinities, integers beyond 2^53 - 1, lone surrogates, other types.
    """
    parts: list[bytes] = []
    _write(value, parts)
    return b"".join(parts)


def _write(value: Any, parts: list[bytes]) -> None:
    match value:
        case None:
            parts.append(b"null")
        case True:
            parts.append(b"true")
        case False:
            parts.append(b"false")
        case str():
            parts.append(string(value))
        case int():
            if abs(value) > INTEGER_MAX:
                raise NotCanonical(f"{value} is beyond 2^53 - 1: give it as text")
            parts.append(b"%d" % value)
        case float():
            parts.append(number(value).encode())
        case Mapping():
            _write_object(value, parts)
        case list() | tuple():
            parts.append(b"[")
            for place, item in enumerate(value):
                if place:
                    parts.append(b",")
                _write(item, parts)
            parts.append(b"]")
        case _:
            raise NotCanonical(f"a value of type {type(value).__name__} is not JSON")


def _write_object(value: Mapping[Any, Any], parts: list[bytes]) -> None:
    for name in value:
        if not isinstance(name, str):
            raise NotCanonical(f"a member is named by {name!r}, expected text")
    parts.append(b"{")
    ordered = sorted(value, key=_utf16)
    for place, name in enumerate(ordered):
        if place:
            parts.append(b",")
        parts.append(string(name))
        parts.append(b":")
        _write(value[name], parts)
    parts.append(b"}")


def _utf16(name: str) -> bytes:
    return name.encode("utf-16-be", "surrogatepass")


def string(value: str) -> bytes:
    """A JSON string: only quotes, backslashes and control characters are escaped (§ 3.2.2.2)."""
    try:
        return _string(value)
    except UnicodeEncodeError as error:
        surrogate = value[error.start]
        raise NotCanonical(f"text has a lone surrogate {surrogate!r}") from error


def number(value: float) -> str:
    """A double as ECMAScript's Number::toString writes it (§ 3.2.2.3).

    Python's repr gives the same shortest digits; only where the exponent starts differs.
    """
    if not math.isfinite(value):
        raise NotCanonical(f"{value} is not a number of JSON")
    if value == 0:
        return "0"
    sign = "-" if value < 0 else ""
    mantissa, _, exponent = repr(abs(value)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    point = len(whole) + int(exponent or 0)
    if whole == "0":
        point -= len(whole) + len(fraction) - len(digits)
    digits = digits.rstrip("0")
    count = len(digits)
    if count <= point <= 21:
        text = digits + "0" * (point - count)
    elif 0 < point <= 21:
        text = f"{digits[:point]}.{digits[point:]}"
    elif -6 < point <= 0:
        text = f"0.{'0' * -point}{digits}"
    else:
        power = point - 1
        rest = f".{digits[1:]}" if count > 1 else ""
        text = f"{digits[0]}{rest}e{'+' if power > 0 else '-'}{abs(power)}"
    return sign + text

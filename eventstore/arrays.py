"""PostgreSQL arrays in binary, built straight from bytes: no dumper for each item.

The layout of an array is that of `array_send` in PostgreSQL: dimensions, a flag for nulls, the type
of the elements, then length and lower bound of each dimension, then each element after its length.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from struct import Struct, pack

_LENGTH = Struct("!i").pack
_HEADER = Struct("!iiIii").pack
_INT8 = Struct("!iq").pack
_INT4 = Struct("!ii").pack

TEXT, JSON, BYTEA, UUID, INT8, INT4 = 25, 114, 17, 2950, 20, 23
"""Types of elements (pg_type.oid)."""


def _array(element: int, count: int, items: Iterable[bytes]) -> bytes:
    if not count:
        return pack("!iiI", 0, 0, element)
    return b"".join((_HEADER(1, 0, element, count, 1), *items))


def sized(element: int, values: Sequence[bytes]) -> bytes:
    """An array of values of any length: of TEXT (UTF-8), JSON or BYTEA."""
    parts = [part for value in values for part in (_LENGTH(len(value)), value)]
    return _array(element, len(values), parts)


def fixed(element: int, size: int, values: Sequence[bytes]) -> bytes:
    """An array of values of one length: of UUID (16 bytes each), or hashes as BYTEA."""
    length = _LENGTH(size)
    return _array(element, len(values), (length, length.join(values)))


def texts(values: Collection[str]) -> bytes:
    """text[]."""
    return sized(TEXT, [value.encode() for value in values])


def int8s(values: Collection[int]) -> bytes:
    """bigint[]."""
    return _array(INT8, len(values), [_INT8(8, value) for value in values])


def int4s(values: Collection[int]) -> bytes:
    """integer[]."""
    return _array(INT4, len(values), [_INT4(4, value) for value in values])

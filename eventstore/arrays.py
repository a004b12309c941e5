"""PostgreSQL arrays in binary, built straight from bytes: no dumper for each item.

The layout of an array is that of `array_send` in PostgreSQL: dimensions, a flag for nulls, the type
of the elements, then length and lower bound of each dimension, then each element after its length.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from struct import Struct, pack

from psycopg.adapt import Buffer, Dumper, PyFormat
from psycopg.pq import Format

_LENGTH = Struct("!i").pack
_HEADER = Struct("!iiIii").pack
_INT8 = Struct("!iq").pack
_INT4 = Struct("!ii").pack


class Array:
    """A parameter: a one-dimensional array, already encoded, of array type `oid`."""

    __slots__ = ("data", "oid")

    def __init__(self, oid: int, data: bytes) -> None:
        self.oid, self.data = oid, data


class _ArrayDumper(Dumper):
    format = Format.BINARY

    def get_key(self, obj: Array, format: PyFormat) -> tuple[type, int]:  # type: ignore[override]  # noqa: A002
        return (Array, obj.oid)

    def upgrade(self, obj: Array, format: PyFormat) -> Dumper:  # noqa: A002
        dumper = type(self)(self.cls)
        dumper.oid = obj.oid
        return dumper

    def dump(self, obj: Array) -> Buffer:
        return obj.data


def register(adapters: object) -> None:
    """Teach a connection's adapters to send `Array`."""
    adapters.register_dumper(Array, _ArrayDumper)  # type: ignore[attr-defined]


def _array(oid: int, element: int, count: int, items: Iterable[bytes]) -> Array:
    if not count:
        return Array(oid, pack("!iiI", 0, 0, element))
    return Array(oid, b"".join((_HEADER(1, 0, element, count, 1), *items)))


def _sized(oid: int, element: int, values: Sequence[bytes]) -> Array:
    parts: list[bytes] = []
    for value in values:
        parts.append(_LENGTH(len(value)))
        parts.append(value)
    return _array(oid, element, len(values), parts)


def texts(values: Sequence[bytes]) -> Array:
    """text[] of UTF-8."""
    return _sized(1009, 25, values)


def jsons(values: Sequence[bytes]) -> Array:
    """json[] of JSON texts."""
    return _sized(199, 114, values)


def byteas(values: Sequence[bytes]) -> Array:
    """bytea[]."""
    return _sized(1001, 17, values)


def uuids(values: Sequence[bytes]) -> Array:
    """uuid[] of 16 bytes each."""
    return _sized(2951, 2950, values)


def int8s(values: Sequence[int]) -> Array:
    """bigint[]."""
    return _array(1016, 20, len(values), [_INT8(8, value) for value in values])


def int4s(values: Sequence[int]) -> Array:
    """integer[]."""
    return _array(1007, 23, len(values), [_INT4(4, value) for value in values])

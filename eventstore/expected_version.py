"""What a writer believes of a stream: a version it saw, or one of three words."""

from __future__ import annotations

from enum import Enum


class Expect(Enum):
    """An expectation that is not a number. Version 0 is an empty stream, so NO_STREAM equals 0."""

    ANY = "any"
    NO_STREAM = "no stream"
    STREAM_EXISTS = "an existing stream"

    def __str__(self) -> str:
        return self.value


ANY, NO_STREAM, STREAM_EXISTS = Expect.ANY, Expect.NO_STREAM, Expect.STREAM_EXISTS

ExpectedVersion = int | Expect


def agrees(expected: ExpectedVersion, actual: int) -> bool:
    """Whether a stream at version `actual` is where the writer expects it."""
    match expected:
        case Expect.ANY:
            return True
        case Expect.NO_STREAM:
            return actual == 0
        case Expect.STREAM_EXISTS:
            return actual > 0
        case _:
            return expected == actual

"""Every error of the event store: a stable `code`, its values as attributes."""

from __future__ import annotations


class EventStoreError(Exception):
    """Base of all errors of this package."""

    code = "EVENT_STORE_ERROR"


class WrongExpectedVersion(EventStoreError):
    """The stream is not where the writer last saw it: load it again and decide anew."""

    code = "WRONG_EXPECTED_VERSION"

    def __init__(self, stream: str, expected: object, actual: int) -> None:
        self.stream, self.expected, self.actual = stream, expected, actual
        super().__init__(
            f"stream {stream} is at version {actual}, expected {expected}: load it and decide again"
        )


class IdempotencyKeyReused(EventStoreError):
    """The key was used before, for another request."""

    code = "IDEMPOTENCY_KEY_REUSED"

    def __init__(self, key: str) -> None:
        self.key = key
        super().__init__(
            f"idempotency key {key!r} was used before with another body: "
            "send the first body again, or use a new key"
        )


class UnknownEventType(EventStoreError):
    """An event type (or a version of it) that the registry does not know."""

    code = "UNKNOWN_EVENT_TYPE"

    def __init__(self, type_name: str, version: int, known: object) -> None:
        self.type_name, self.version = type_name, version
        super().__init__(
            f"event type {type_name!r} version {version} is not registered; known: {known}"
        )


class MalformedEvent(EventStoreError):
    """A payload that does not have the shape its event type declares."""

    code = "MALFORMED_EVENT"

    def __init__(self, type_name: str, version: int, reason: str) -> None:
        self.type_name, self.version, self.reason = type_name, version, reason
        super().__init__(f"event {type_name!r} version {version} cannot be used: {reason}")

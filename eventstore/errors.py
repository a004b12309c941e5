"""Every error of the event store: a stable `code`, its values as attributes."""

from __future__ import annotations

from collections.abc import Sequence


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


class ConditionFailed(EventStoreError):
    """Events that the writer had not seen match the condition of its append: decide anew."""

    code = "CONDITION_FAILED"

    def __init__(self, tags: object, types: object, after: int, found: int) -> None:
        self.tags, self.types, self.after, self.found = tags, types, after, found
        super().__init__(
            f"an event with tags {tags} was recorded at {found}, expected none after {after}: "
            "read again and decide anew"
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


class InvalidAppend(EventStoreError, ValueError):
    """An append that no state of the log could accept: a limit passed, a name misspelt."""

    code = "INVALID_APPEND"

    def __init__(self, what: str, found: object, expected: str) -> None:
        self.what, self.found, self.expected = what, found, expected
        super().__init__(f"{what} is {found}, expected {expected}")


class InvalidRead(EventStoreError, ValueError):
    """A read whose bounds make no sense: a negative position, an absurd page."""

    code = "INVALID_READ"

    def __init__(self, what: str, found: object, expected: str) -> None:
        self.what, self.found, self.expected = what, found, expected
        super().__init__(f"{what} is {found}, expected {expected}")


class EffectRefused(EventStoreError):
    """A statement of the append broke a constraint: nothing of the append was stored."""

    code = "EFFECT_REFUSED"

    def __init__(self, constraint: str, detail: str) -> None:
        self.constraint, self.detail = constraint, detail
        super().__init__(f"constraint {constraint!r} refused an effect of the append: {detail}")


class EffectFailed(EventStoreError):
    """A statement of the append could not be run: nothing of the append was stored."""

    code = "EFFECT_FAILED"

    def __init__(self, sqlstate: str, detail: str) -> None:
        self.sqlstate, self.detail = sqlstate, detail
        super().__init__(f"an effect of the append failed with SQLSTATE {sqlstate}: {detail}")


class AppendFailed(EventStoreError):
    """PostgreSQL would not store the append, for a reason that is none of the caller's."""

    code = "APPEND_FAILED"

    def __init__(self, sqlstate: str, detail: str) -> None:
        self.sqlstate, self.detail = sqlstate, detail
        super().__init__(f"the append failed with SQLSTATE {sqlstate}: {detail}")


class StoreUnavailable(EventStoreError):
    """The database cannot be reached. `unknown` if an append may have been stored nevertheless:
    ask with its idempotency key, or read its stream, before trying again.
    """

    code = "STORE_UNAVAILABLE"

    def __init__(self, name: str, reason: str, *, unknown: bool = False) -> None:
        self.name, self.reason, self.unknown = name, reason, unknown
        outcome = "; whether the append was stored is not known yet" if unknown else ""
        super().__init__(f"the event store {name!r} is unavailable: {reason}{outcome}")


class StoreOverloaded(StoreUnavailable):
    """More appends wait than the store lets wait: slow down and try again."""

    code = "STORE_OVERLOADED"

    def __init__(self, name: str, waiting: int) -> None:
        self.waiting = waiting
        super().__init__(name, f"{waiting} appends are waiting already")


class WrongStore(EventStoreError):
    """The database holds the log of another service."""

    code = "WRONG_STORE"

    def __init__(self, name: str, found: str) -> None:
        self.name, self.found = name, found
        super().__init__(f"the database holds the log of {found!r}, expected that of {name!r}")


class ForeignPosition(EventStoreError):
    """A position that this log cannot have given out."""

    code = "FOREIGN_POSITION"

    def __init__(self, name: str, position: object, reason: str) -> None:
        self.name, self.position, self.reason = name, position, reason
        super().__init__(f"{position!r} is no position of the log {name!r}: {reason}")


class FeedFailed(EventStoreError):
    """Another service's feed answered with something else than a page."""

    code = "FEED_FAILED"

    def __init__(self, name: str, reason: str) -> None:
        self.name, self.reason = name, reason
        super().__init__(f"the feed of {name!r} cannot be read: {reason}")


class ErasedSubject(EventStoreError):
    """The events tell of a person whom this log has been made to forget: nothing was stored."""

    code = "SUBJECT_ERASED"

    def __init__(self, subject: str) -> None:
        self.subject = subject
        super().__init__(f"{subject!r} was erased: nothing personal is stored of them any more")


class NoKeyring(EventStoreError):
    """The store holds, or is to hold, personal data and was given no key for it."""

    code = "NO_KEYRING"

    def __init__(self, name: str, types: object) -> None:
        self.name, self.types = name, types
        super().__init__(
            f"the event store {name!r} seals personal data of {types} and was given no master key: "
            "expected EventStore(..., keyring=Keyring(...))"
        )


class WrongMasterKey(EventStoreError):
    """Keys of persons are wrapped by a master key that is not at hand."""

    code = "WRONG_MASTER_KEY"

    def __init__(self, name: str, found: str, expected: Sequence[str]) -> None:
        self.name, self.found, self.expected = name, found, expected
        super().__init__(
            f"the event store {name!r} has keys wrapped by the master key {found}, but at hand is "
            f"{', '.join(expected)}: restore that key from its backup, nothing else opens them"
        )


class Unreadable(EventStoreError):
    """What an event says of a person cannot be read, though nobody erased them. Who only looks is
    shown the rest of the event, marked; who decides or projects is refused it.
    """


class SubjectKeyCorrupt(Unreadable):
    """The wrapped key of a person is not what the master key wrapped."""

    code = "SUBJECT_KEY_CORRUPT"

    def __init__(self, name: str, subject: str) -> None:
        self.name, self.subject = name, subject
        super().__init__(
            f"the key of {subject!r} in the event store {name!r} does not unwrap: its row in "
            "subject_keys was changed or damaged, restore it from a backup"
        )


class SubjectKeyLost(Unreadable):
    """An event is sealed for a person whose key is not there, though nobody erased it."""

    code = "SUBJECT_KEY_LOST"

    def __init__(self, name: str, subject: str) -> None:
        self.name, self.subject = name, subject
        super().__init__(
            f"the event store {name!r} has no key of {subject!r} and no record of an erasure: "
            "their row in subject_keys is lost, restore it from a backup"
        )


class SealedDataCorrupt(Unreadable):
    """Sealed personal data was changed, or belongs to another event."""

    code = "SEALED_DATA_CORRUPT"

    def __init__(self, name: str, what: str) -> None:
        self.name, self.what = name, what
        super().__init__(
            f"the sealed personal data of {what} in {name!r} does not open: it was changed or is "
            "of another event; verify the log"
        )

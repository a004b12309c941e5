"""An event store on PostgreSQL: append with group commit, read, follow, feed, prove.

`EventStore` is the log of one service; `Streams` decides with it; `LocalFeed` and `HttpFeed` are
what other services read of it. docs/eventstore.md shows all of it in twenty lines.
"""

from eventstore.append import Append, Appended, Effect, Idempotency, Unless
from eventstore.errors import (
    AppendFailed,
    ConditionFailed,
    EffectFailed,
    EffectRefused,
    ErasedSubject,
    EventStoreError,
    FeedFailed,
    ForeignPosition,
    IdempotencyKeyReused,
    InvalidAppend,
    InvalidRead,
    MalformedEvent,
    NoKeyring,
    SealedDataCorrupt,
    StoreOverloaded,
    StoreUnavailable,
    SubjectKeyCorrupt,
    SubjectKeyLost,
    UnknownEventType,
    Unreadable,
    WrongExpectedVersion,
    WrongMasterKey,
    WrongStore,
)
from eventstore.event import Actor, Client, Event, Folds, Metadata, Personal, Recorded, event_type
from eventstore.expected_version import ANY, NO_STREAM, STREAM_EXISTS, ExpectedVersion
from eventstore.feed import Feed, LocalFeed
from eventstore.feed_page import FeedEvent, FeedPage
from eventstore.http_feed import HttpFeed, feed_endpoint
from eventstore.position import position_of, positions, receipt
from eventstore.privacy.erasure import SubjectErased
from eventstore.privacy.keyring import Keyring, MasterKey
from eventstore.privacy.privacy import Note
from eventstore.read import Query
from eventstore.state_cache import Loaded
from eventstore.store import EventStore, Limits
from eventstore.streams import Executed, Streams
from eventstore.types import EventTypes, Upcaster

__all__ = [
    "ANY",
    "NO_STREAM",
    "STREAM_EXISTS",
    "Actor",
    "Append",
    "AppendFailed",
    "Appended",
    "Client",
    "ConditionFailed",
    "Effect",
    "EffectFailed",
    "EffectRefused",
    "ErasedSubject",
    "Event",
    "EventStore",
    "EventStoreError",
    "EventTypes",
    "Executed",
    "ExpectedVersion",
    "Feed",
    "FeedEvent",
    "FeedFailed",
    "FeedPage",
    "Folds",
    "ForeignPosition",
    "HttpFeed",
    "Idempotency",
    "IdempotencyKeyReused",
    "InvalidAppend",
    "InvalidRead",
    "Keyring",
    "Limits",
    "Loaded",
    "LocalFeed",
    "MalformedEvent",
    "MasterKey",
    "Metadata",
    "NoKeyring",
    "Note",
    "Personal",
    "Query",
    "Recorded",
    "SealedDataCorrupt",
    "StoreOverloaded",
    "StoreUnavailable",
    "Streams",
    "SubjectErased",
    "SubjectKeyCorrupt",
    "SubjectKeyLost",
    "UnknownEventType",
    "Unless",
    "Unreadable",
    "Upcaster",
    "WrongExpectedVersion",
    "WrongMasterKey",
    "WrongStore",
    "event_type",
    "feed_endpoint",
    "position_of",
    "positions",
    "receipt",
]

"""What an append is made of: events for streams, and what is to be stored together with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from eventstore.event import Event
from eventstore.expected_version import ANY, ExpectedVersion

STREAM_BYTES_MAX = 255
KEY_BYTES_MAX = 512
TAG_BYTES_MAX = 255
TAGS_MAX = 32
APPEND_EVENTS_MAX = 20_000
EVENT_BYTES_MAX = 1_048_576
METADATA_BYTES_MAX = 65_536
OUTCOME_BYTES_MAX = 1_048_576


class Append(msgspec.Struct, frozen=True):
    """Events for one stream, in order. `tags` are given to each of them."""

    stream: str
    events: Sequence[Event]
    expected_version: ExpectedVersion = ANY
    tags: tuple[str, ...] = ()


class Idempotency(msgspec.Struct, frozen=True):
    """Names a request: the same key with the same hash is answered as before, without effect."""

    key: str
    request_hash: bytes


class Effect(msgspec.Struct, frozen=True):
    """A statement run in the transaction of the append: rows that must never disagree with it."""

    sql: str
    params: Sequence[Any] | Mapping[str, Any] = ()


class Unless(msgspec.Struct, frozen=True):
    """Holds up an append if an event of one of `types` (of any, if empty) with all of `tags` was
    recorded after the position `after`: a boundary of consistency that no stream draws.

    Who decides by a query of tags reads the log up to a position, and appends unless it went on.
    """

    tags: tuple[str, ...]
    after: int
    types: tuple[str, ...] = ()


class Appended(msgspec.Struct, frozen=True):
    """What was stored. `position` is that of the last event (without events: where the log stood);
    `versions` says where each stream of the append stands now. `replayed` if an earlier append with
    the same idempotency key is answered again, with its `outcome`.
    """

    position: int
    versions: Mapping[str, int] = {}
    replayed: bool = False
    outcome: bytes = b""

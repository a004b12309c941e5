"""From what a caller gives to what the committer takes: checked, limited, encoded."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from eventstore.append import (
    APPEND_EVENTS_MAX,
    EVENT_BYTES_MAX,
    KEY_BYTES_MAX,
    METADATA_BYTES_MAX,
    OUTCOME_BYTES_MAX,
    STREAM_BYTES_MAX,
    TAG_BYTES_MAX,
    TAGS_MAX,
    Append,
    Effect,
    Idempotency,
    Unless,
)
from eventstore.decide import Request, Write
from eventstore.errors import InvalidAppend, MalformedEvent
from eventstore.event import Metadata
from eventstore.expected_version import Expect, ExpectedVersion
from eventstore.privacy.privacy import Sealing
from eventstore.record import Id, Row, make_row

_encode_metadata = msgspec.json.Encoder(order="sorted").encode
_decode_metadata = msgspec.json.Decoder(Metadata).decode


def make_request(
    sealing: Sealing,
    appends: Append | Sequence[Append],
    metadata: Metadata,
    *,
    idempotency: Idempotency | None,
    outcome: bytes,
    effects: Sequence[Effect],
    unless: Sequence[Unless] = (),
    new_id: Callable[[], Id],
) -> Request:
    """Raises InvalidAppend, MalformedEvent or UnknownEventType: what no log could take; and
    ErasedSubject.
    """
    if isinstance(appends, Append):
        appends = (appends,)
    context = encode_metadata(sealing.metadata(metadata))
    writes: list[Write] = []
    events = size = 0
    for append in appends:
        check_text("stream", append.stream, STREAM_BYTES_MAX)
        check_expected(append.expected_version)
        check_tags(append.tags)
        rows: list[Row] = []
        for event in append.events:
            payload = sealing.payload(append.stream, event)
            if len(payload) > EVENT_BYTES_MAX:
                reason = (
                    f"its payload has {len(payload)} bytes, at most {EVENT_BYTES_MAX} are taken"
                )
                raise MalformedEvent(event.TYPE, event.TYPE_VERSION, reason)
            size += len(payload) + len(context)
            rows.append(
                make_row(
                    append.stream,
                    new_id(),
                    event.TYPE,
                    event.TYPE_VERSION,
                    append.tags,
                    context,
                    payload,
                )
            )
        events += len(rows)
        writes.append(Write(append.stream, append.expected_version, rows))
    for condition in unless:
        check_tags(condition.tags)
        if not condition.tags:
            raise InvalidAppend("number of tags of a condition", 0, "at least one")
        if type(condition.after) is not int or not 0 <= condition.after < 2**62:
            raise InvalidAppend("position of a condition", repr(condition.after), "a position")
    return checked(
        Request(
            writes,
            events,
            size,
            idempotency,
            outcome,
            tuple(effects),
            tuple(unless),
            sealing.subjects,
        )
    )


def checked(request: Request) -> Request:
    """The request itself. Raises InvalidAppend when a limit is passed, or nothing would be kept."""
    if request.events > APPEND_EVENTS_MAX:
        raise InvalidAppend("number of events", request.events, f"at most {APPEND_EVENTS_MAX}")
    if request.idempotency is not None:
        check_text("idempotency key", request.idempotency.key, KEY_BYTES_MAX)
        check_bytes("request hash", request.idempotency.request_hash)
    elif not request.events:
        raise InvalidAppend("number of events", 0, "at least one, or an idempotency key")
    check_bytes("outcome", request.outcome)
    if len(request.outcome) > OUTCOME_BYTES_MAX:
        found = f"{len(request.outcome)} bytes long"
        raise InvalidAppend("outcome", found, f"at most {OUTCOME_BYTES_MAX} bytes")
    return request


def encode_metadata(metadata: Metadata) -> bytes:
    """Canonical JSON of the metadata. Raises InvalidAppend."""
    if metadata.occurred_at.tzinfo is None:
        raise InvalidAppend("occurred_at", metadata.occurred_at, "a time with its zone")
    try:
        encoded = _encode_metadata(metadata)
    except UnicodeEncodeError as error:
        raise InvalidAppend("metadata", "text with a lone surrogate", "valid Unicode") from error
    if b"\\u0000" in encoded and _has_nul(metadata):
        raise InvalidAppend("metadata", "text with a NUL character", "text without")
    if len(encoded) > METADATA_BYTES_MAX:
        found = f"{len(encoded)} bytes long"
        raise InvalidAppend("metadata", found, f"at most {METADATA_BYTES_MAX} bytes")
    try:
        _decode_metadata(encoded)  # what cannot be read back would be in the log for ever
    except msgspec.ValidationError as error:
        raise InvalidAppend("metadata", str(error), "what eventstore.Metadata declares") from error
    return encoded


def _has_nul(metadata: Metadata) -> bool:
    client, actor = metadata.client, metadata.actor
    texts = [metadata.command_id, metadata.correlation_id, metadata.causation_id, metadata.reason]
    texts += [metadata.traceparent, actor.kind, actor.id, actor.on_behalf_of]
    texts += [client.ip, client.agent] if client is not None else []
    return any("\x00" in text for text in texts if text)


def check_text(what: str, text: object, bytes_max: int) -> None:
    """Raises InvalidAppend unless `text` is a name that PostgreSQL and JSON can hold."""
    if not isinstance(text, str) or not text:
        raise InvalidAppend(what, repr(text), "text that is not empty")
    try:
        length = len(text.encode())
    except UnicodeEncodeError:
        raise InvalidAppend(what, ascii(text), "valid Unicode") from None
    if length > bytes_max:
        raise InvalidAppend(what, f"{length} bytes long", f"at most {bytes_max} bytes")
    if "\x00" in text:
        raise InvalidAppend(what, repr(text), "text without NUL characters")


def check_bytes(what: str, found: object) -> None:
    """Raises InvalidAppend."""
    if not isinstance(found, bytes):
        raise InvalidAppend(what, repr(found), "bytes")


def check_tags(tags: Sequence[str]) -> None:
    if isinstance(tags, str):
        raise InvalidAppend("tags", repr(tags), "several texts")
    if len(tags) > TAGS_MAX:
        raise InvalidAppend("number of tags", len(tags), f"at most {TAGS_MAX}")
    for tag in tags:
        check_text("tag", tag, TAG_BYTES_MAX)


def check_expected(expected: ExpectedVersion) -> None:
    if isinstance(expected, Expect):
        return
    if type(expected) is not int or expected < 0:
        raise InvalidAppend("expected version", repr(expected), "a version, or one of Expect")

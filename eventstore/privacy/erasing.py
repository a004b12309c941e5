"""What an erasure appends, and what is answered when somebody was erased before."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import psycopg

from eventstore.append import Append, Appended
from eventstore.decide import Request
from eventstore.errors import InvalidAppend
from eventstore.event import Metadata
from eventstore.expected_version import NO_STREAM
from eventstore.layout import Layout
from eventstore.privacy.erasure import SUBJECT_BYTES_MAX, SubjectErased, subject_stream
from eventstore.privacy.privacy import Sealing
from eventstore.privacy.subject_keys import destruction
from eventstore.record import Id
from eventstore.request import check_text, make_request


def erasure(
    layout: Layout,
    sealing: Sealing,
    subject: str,
    *,
    reason: str,
    metadata: Metadata,
    appends: Sequence[Append],
    new_id: Callable[[], Id],
) -> Request:
    """Ends the key of a subject and says so, together with `appends`; refused with
    WrongExpectedVersion of their stream if that was done before.

    Raises InvalidAppend for appends that tell of the subject, and what `make_request` raises.
    """
    check_text("subject", subject, SUBJECT_BYTES_MAX)
    if subject in sealing.subjects:
        raise InvalidAppend("events with an erasure", f"personal ones of {subject!r}", "none")
    if metadata.actor.id == subject:  # it would be sealed by the key that is destroyed
        metadata = msgspec.structs.replace(metadata, client=None)
    event = SubjectErased(subject, reason, metadata.occurred_at)
    return make_request(
        sealing,
        [Append(subject_stream(subject), [event], NO_STREAM), *appends],
        metadata,
        idempotency=None,
        outcome=b"",
        effects=destruction(layout, subject),
        new_id=new_id,
    )


def erased_before(connection: psycopg.Connection[Any], layout: Layout, subject: str) -> Appended:
    """What was appended when the subject was erased."""
    stream = subject_stream(subject)
    sql = f"SELECT position, version FROM {layout.schema}.streams WHERE stream = %s"
    row = connection.execute(sql.encode(), [stream]).fetchone()
    assert row is not None
    return Appended(row[0], {stream: row[1]}, replayed=True)

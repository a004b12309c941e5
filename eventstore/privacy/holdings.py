"""What a log holds of a person: asked before and after an erasure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import psycopg

from eventstore.canonical import string
from eventstore.layout import Layout
from eventstore.privacy.sealing import PREFIX
from eventstore.types import EventTypes


class Key(StrEnum):
    """What became of a person's key."""

    NONE = "none"
    HELD = "held"
    DESTROYED = "destroyed"


@dataclass(frozen=True, slots=True)
class Holdings:
    """`sealed` events open with the person's key, or where their command came from does. `plain`
    ones were stored before their type had personal fields: no erasure reaches those.
    """

    key: Key
    sealed: int
    plain: int

    @property
    def known(self) -> bool:
        """Whether the log ever told of the person."""
        return self.key is not Key.NONE or self.plain > 0


def holdings(
    connection: psycopg.Connection[Any], layout: Layout, types: EventTypes, subject: str
) -> Holdings:
    """Looks at every event of the log."""
    keys = connection.execute(
        f"SELECT wrapped IS NULL FROM {layout.schema}.subject_keys WHERE subject = %s".encode(),
        [subject],
    ).fetchall()
    key = Key.NONE if not keys else Key.DESTROYED if keys[0][0] else Key.HELD
    shapes = {name: shape for name in types.names if (shape := types.personal(name))}
    of = b'{"of":%b,' % string(subject)
    counted = connection.execute(
        "SELECT count(*) FILTER (WHERE starts_with(payload::text, %s)"
        " OR strpos(metadata::text, %s) > 0),"
        " count(*) FILTER (WHERE NOT starts_with(payload::text, %s) AND CASE WHEN"
        " payload ->> member = %s THEN EXISTS (SELECT FROM json_each_text(payload) AS each"
        " WHERE each.value IS NOT NULL AND each.key = ANY(string_to_array(personal, ' '))) END)"
        f" FROM {layout.schema}.events"
        " LEFT JOIN unnest(%s::text[], %s::text[], %s::text[]) AS t (name, member, personal)"
        " ON type = name".encode(),
        [
            (PREFIX + of).decode(),
            (b'"client":' + of).decode(),
            PREFIX.decode(),
            subject,
            list(shapes),
            [shape.subject for shape in shapes.values()],
            [" ".join(shape.stand_ins) for shape in shapes.values()],
        ],
    ).fetchone()
    assert counted is not None
    return Holdings(key, *counted)

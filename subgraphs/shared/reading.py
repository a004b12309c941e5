"""What an auditor reads is recorded before the answer leaves: `audit.read`, one event a request.

Resolvers of the log say what was asked (`asked`) and show events by `Reading.saw`; the service
appends what came together to its own log. An answer whose reading cannot be recorded is not given.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec
from graphql.execution.values import get_argument_values
from strawberry import Info

from eventstore import ANY, Append, EventStore
from eventstore.event import Metadata
from subgraphs.shared.auth import Role
from subgraphs.shared.events import AskedField, AuditRead

if TYPE_CHECKING:
    from subgraphs.shared.graphql.context import RequestContext

PERSONS_LISTED_MAX = 1000
ASKED_MAX = 100
"""How many different questions of one request are listed: entities may be many."""
ARGUMENTS_CHARACTERS_MAX = 4000

_PERSON = re.compile(rb"usr_[0-9a-z]{26}(?![0-9a-z])")


@dataclass(slots=True)
class Reading:
    """One request's questions, how many events it was shown, and whom they tell of."""

    questions: dict[AskedField, None] = field(default_factory=dict)
    events: int = 0
    persons: set[str] = field(default_factory=set)

    def ask(self, name: str, arguments: Mapping[str, Any], *, of: str = "") -> None:
        """A question; `of` is the thing whose field it is."""
        if len(self.questions) < ASKED_MAX:
            text = msgspec.json.encode(arguments, enc_hook=str, order="sorted").decode()
            self.questions[AskedField(name, of, text[:ARGUMENTS_CHARACTERS_MAX])] = None

    def saw(self, content: bytes, *, events: int = 1) -> None:
        """Events that are shown; persons are found by their ids, wherever in `content` they are."""
        self.events += events
        self.persons |= persons_in(content)

    def event(self) -> AuditRead:
        """What is recorded."""
        persons = sorted(self.persons)
        return AuditRead(
            asked=tuple(self.questions),
            events=self.events,
            persons=tuple(persons[:PERSONS_LISTED_MAX]),
            persons_unlisted=max(0, len(persons) - PERSONS_LISTED_MAX),
        )


def persons_in(content: bytes) -> set[str]:
    """The ids of users, wherever in `content` they are."""
    return {found.decode() for found in set(_PERSON.findall(content))}


def asked(info: Info[RequestContext[Any], None], *, of: str = "") -> None:
    """Note the field that is being resolved, with its arguments, if it is an auditor who asks."""
    if not info.context.caller.has(Role.AUDITOR):
        return
    raw = info._raw_info
    definition = raw.parent_type.fields[raw.field_name]
    arguments = get_argument_values(definition, raw.field_nodes[0], raw.variable_values)
    info.context.reading.ask(raw.field_name, arguments, of=of)


READS_PREFIX = "aud_"


def reads_stream(reader: str) -> str:
    """The stream of what somebody read."""
    prefix, _, rest = reader.partition("_")
    return f"{READS_PREFIX}{rest if prefix == 'usr' and rest else reader}"


async def record_reads(store: EventStore, reads: Iterable[AuditRead], metadata: Metadata) -> None:
    """Append what was read to the stream of who read it. Raises what EventStore.append raises."""
    await store.append(Append(reads_stream(metadata.actor.id), list(reads), ANY), metadata=metadata)

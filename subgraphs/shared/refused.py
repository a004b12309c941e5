"""Refused commands are recorded too: who wanted what, and why it was refused.

Every mutation of every service passes here. Not recorded are malformed arguments (InvalidValue: no
command was given), refusals that the domain itself recorded (`Refusal.recorded`), and those of
callers who have not signed in: anybody could fill the log with them.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime, timedelta
from typing import Any

from strawberry import Info
from strawberry.extensions import FieldExtension

from eventstore import ANY, Append, ErasedSubject, EventStore
from subgraphs.shared.errors import Forbidden, InvalidValue, Refusal
from subgraphs.shared.events import CommandRefused
from subgraphs.shared.graphql.context import RequestContext
from subgraphs.shared.graphql.types import UserError
from subgraphs.shared.ids import prefix_of

RECORDED_MAX = 60
WINDOW = timedelta(minutes=1)
"""One caller gets RECORDED_MAX refusals a WINDOW into the log; the rest are counted."""
CALLERS_MAX = 10_000
MESSAGE_CHARACTERS_MAX = 500
DEPTH_MAX = 5


@dataclass(slots=True)
class _Recent:
    since: datetime
    recorded: int = 0
    unrecorded: int = 0


class RefusedCommands:
    """Appends refusals to a service's own log; counts, in memory, how many a caller had lately."""

    def __init__(self, store: EventStore, *, recorded_max: int = RECORDED_MAX) -> None:
        self._store, self._max = store, recorded_max
        self._recent: OrderedDict[str, _Recent] = OrderedDict()

    async def record(
        self,
        context: RequestContext[Any],
        operation: str,
        arguments: Mapping[str, Any],
        refusals: Sequence[tuple[str, str]],
    ) -> None:
        """`refusals` are codes and messages. Raises what EventStore.append raises: a refusal that
        cannot be recorded is an outage.
        """
        caller = context.caller.user_id
        if caller is None:
            return
        recent = self._window(caller, context.clock())
        kept = refusals[: max(0, self._max - recent.recorded)]
        if not kept:
            recent.unrecorded += len(refusals)
            return
        subject = _first_id(arguments)
        events = [
            CommandRefused(
                caller_id=caller,
                operation=operation,
                code=code,
                message=message[:MESSAGE_CHARACTERS_MAX],
                subject=subject,
                unrecorded=recent.unrecorded if place == 0 else 0,
            )
            for place, (code, message) in enumerate(kept)
        ]
        stream = f"rfs_{(subject or caller).partition('_')[2]}"
        with suppress(ErasedSubject):  # a token outlives its user by minutes
            await self._store.append(Append(stream, events, ANY), metadata=context.metadata())
        recent.recorded += len(kept)
        recent.unrecorded = len(refusals) - len(kept)

    def _window(self, caller: str, now: datetime) -> _Recent:
        recent = self._recent.setdefault(caller, _Recent(now))
        if recent.since <= now - WINDOW:
            recent.since, recent.recorded = now, 0
        self._recent.move_to_end(caller)
        if len(self._recent) > CALLERS_MAX:
            self._recent.popitem(last=False)
        return recent


class RecordsRefusals(FieldExtension):
    """Around a mutation's resolver: what it refuses is recorded before the client hears of it."""

    async def resolve_async(
        self,
        next_: Callable[..., Awaitable[Any]],
        source: Any,
        info: Info[RequestContext[Any], None],
        **kwargs: Any,
    ) -> Any:
        try:
            payload = await next_(source, info, **kwargs)
        except Forbidden as error:
            await _record(info, kwargs, [(error.code, str(error))])
            raise
        errors: Sequence[UserError] = getattr(payload, "user_errors", ())
        if refusals := [(e.code, e.message) for e in errors if _to_be_recorded(e.refusal)]:
            await _record(info, kwargs, refusals)
        return payload


def refusals_stream(thing_id: str) -> str:
    """The stream of what was refused for a thing, or to a caller who named none."""
    return f"rfs_{thing_id.partition('_')[2]}"


def _to_be_recorded(refusal: Refusal | None) -> bool:
    return refusal is None or not (refusal.recorded or isinstance(refusal, InvalidValue))


async def _record(
    info: Info[RequestContext[Any], None],
    arguments: Mapping[str, Any],
    refusals: Sequence[tuple[str, str]],
) -> None:
    recorder = info.context.refused
    if recorder is not None:
        await recorder.record(info.context, info.field_name, arguments, refusals)


def _first_id(value: Any, depth: int = DEPTH_MAX) -> str | None:
    """The first id of ours in arguments, inputs and lists; an idempotency key is none."""
    match value:
        case str():
            return value if _is_id(value) else None
        case Mapping():
            parts = [part for name, part in value.items() if name != "idempotency_key"]
        case list() | tuple():
            parts = list(value)
        case _ if is_dataclass(value):
            names = [each.name for each in fields(value) if each.name != "idempotency_key"]
            parts = [getattr(value, name) for name in names]
        case _:
            return None
    found = (_first_id(part, depth - 1) for part in parts) if depth else ()
    return next((each for each in found if each is not None), None)


def _is_id(text: str) -> bool:
    try:
        prefix_of(text)
    except Refusal:
        return False
    return True

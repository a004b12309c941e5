"""From a mutation's arguments to an append, and from its outcome to a receipt or to user errors.

    done = await commands.run(context, Cart, cart_id, lambda cart: cart.set_line(...),
                              expected_version=expected_version)
    done.state, done.receipt

Refusals are exceptions up to the resolver, where `attempt` turns them into `userErrors`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import msgspec
import strawberry

from eventstore import Append, Appended, Effect, EventStore, Idempotency, Streams
from eventstore.errors import ErasedSubject, IdempotencyKeyReused, WrongExpectedVersion
from eventstore.event import NOBODY, Actor, Event, Folds
from subgraphs.shared.errors import (
    InvalidValue,
    KeyReused,
    PersonErased,
    Refusal,
    Refusals,
    VersionChanged,
)
from subgraphs.shared.graphql.context import RequestContext
from subgraphs.shared.graphql.types import Receipt, UserError, refused
from subgraphs.shared.hashing import request_hash

S = TypeVar("S", bound=Folds)
S_co = TypeVar("S_co", covariant=True)
T = TypeVar("T")

KEY_CHARACTERS_MAX = 200

Decide = Callable[[S], Sequence[Event]]
Effects = Callable[[S, Sequence[Event]], Sequence[Effect]]


@dataclass(frozen=True, slots=True)
class Done(Generic[S_co]):
    """A command that was carried out, now or by an earlier request with the same key.

    `stream` is the one written to: on a replay, that of the first time. `others` are the states and
    versions of more streams of the same aggregate, for a command on several.
    """

    stream: str
    state: S_co
    receipt: Receipt
    others: Sequence[tuple[S_co, int]] = ()


@dataclass(frozen=True, slots=True)
class Attempt(Generic[T]):
    """What a payload is made of: the value, or the reasons why there is none."""

    value: T | None
    user_errors: list[UserError] = field(default_factory=list)


class Commands:
    """Carries out the commands of one service."""

    def __init__(self, store: EventStore, streams: Streams, *, name: str, secret: bytes) -> None:
        self._store, self._streams = store, streams
        self._name, self._secret = name, secret

    async def run(
        self,
        context: RequestContext[Any],
        aggregate: type[S],
        stream: str,
        decide: Decide[S],
        *,
        operation: str = "",
        expected_version: int | None = None,
        idempotency_key: str | None = None,
        body: Any = None,
        reason: str | None = None,
        on_behalf_of: str | None = None,
        effects: Effects[S] | None = None,
    ) -> Done[S]:
        """Load, decide, append. Without `expected_version` a lost race is decided again.

        `operation` and `body` (the arguments) are what must be equal for a repeat of the key; the
        key counts per caller. `on_behalf_of` is whose thing it is, if it is somebody's.

        Raises what `decide` raises, VersionChanged, KeyReused, InvalidValue.
        """
        metadata = context.metadata(reason=reason, on_behalf_of=on_behalf_of)
        idempotency = self.idempotency(context, idempotency_key, operation, body)
        try:
            executed = await self._streams.execute(
                aggregate,
                stream,
                decide,
                metadata=metadata,
                expected_version=expected_version,
                idempotency=idempotency,
                outcome=outcome_of(metadata.command_id, stream),
                effects=effects,
            )
        except WrongExpectedVersion as error:
            raise VersionChanged(stream, expected_version, error.actual) from error
        except IdempotencyKeyReused as error:
            raise KeyReused from error
        appended = executed.appended
        if not appended.replayed:
            receipt = self.receipt(appended, stream, metadata.command_id)
            return Done(stream, executed.state, receipt)
        return await self._replayed(aggregate, appended)

    async def append(
        self,
        context: RequestContext[Any],
        aggregate: type[S],
        states: Mapping[str, S],
        appends: Sequence[Append],
        *,
        operation: str,
        idempotency_key: str | None = None,
        body: Any = None,
        reason: str | None = None,
        on_behalf_of: str | None = None,
        actor: Actor | None = None,
        effects: Sequence[Effect] = (),
        standing: Mapping[str, int] | None = None,
    ) -> Done[S]:
        """Append what is already decided, over several streams at once.

        `states` are those of the aggregate after it, by stream, the main one first; `appends` may
        hold other streams too. `actor` is who acts, if that is not the caller; `standing` are the
        versions of streams that get no events. Raises WrongExpectedVersion and EffectRefused as
        they are (the caller knows what each stream and constraint means), KeyReused.
        """
        metadata = context.metadata(reason=reason, on_behalf_of=on_behalf_of)
        if actor is not None:
            metadata = msgspec.structs.replace(metadata, actor=actor)
        idempotency = self.idempotency(context, idempotency_key, operation, body)
        try:
            appended = await self._store.append(
                appends,
                metadata=metadata,
                idempotency=idempotency,
                outcome=outcome_of(metadata.command_id, *states),
                effects=effects,
            )
        except IdempotencyKeyReused as error:
            raise KeyReused from error
        if appended.replayed:
            return await self._replayed(aggregate, appended)
        main, *_ = states
        versions = {**(standing or {}), **appended.versions}
        others = [(state, versions.get(stream, 0)) for stream, state in states.items()]
        receipt = self.receipt(appended, main, metadata.command_id)
        receipt.version = versions.get(main, 0)
        return Done(main, states[main], receipt, others[1:])

    async def replayed(
        self,
        context: RequestContext[Any],
        aggregate: type[S],
        *,
        operation: str,
        idempotency_key: str | None,
        body: Any,
    ) -> Done[S] | None:
        """What was done before with this key; None if nothing was. Raises KeyReused.

        For commands that do costly or refusable work before they append.
        """
        idempotency = self.idempotency(context, idempotency_key, operation, body)
        if idempotency is None:
            return None
        try:
            appended = await self._store.replayed(idempotency)
        except IdempotencyKeyReused as error:
            raise KeyReused from error
        return None if appended is None else await self._replayed(aggregate, appended)

    def idempotency(
        self, context: RequestContext[Any], key: str | None, operation: str, body: Any
    ) -> Idempotency | None:
        """The store's form of a client's key: of this caller alone, and a hash, for a log cannot
        forget what clients may have put into it. Raises InvalidValue.
        """
        if key is None:
            return None
        if not key or len(key) > KEY_CHARACTERS_MAX or not key.isprintable():
            raise InvalidValue(
                f"an idempotency key has 1 to {KEY_CHARACTERS_MAX} printable characters",
                path=["idempotencyKey"],
            )
        caller = context.caller.user_id or NOBODY
        name = hashlib.blake2b(key.encode(), key=self._secret[:64], digest_size=16).hexdigest()
        return Idempotency(f"{caller}:{name}", request_hash(self._secret, operation, body))

    def receipt(self, appended: Appended, stream: str, command_id: str) -> Receipt:
        """The client's proof of an append."""
        return Receipt(
            command_id=strawberry.ID(command_id),
            version=appended.versions.get(stream, 0),
            position=f"{self._name}:{appended.position}",
            replayed=appended.replayed,
        )

    async def _replayed(self, aggregate: type[S], appended: Appended) -> Done[S]:
        command_id, *streams = appended.outcome.decode().split(" ")
        states = [await self._streams.load(aggregate, stream) for stream in streams]
        receipt = self.receipt(appended, streams[0], command_id)
        return Done(streams[0], states[0][0], receipt, states[1:])


def outcome_of(command_id: str, *streams: str) -> bytes:
    """What is kept with a key, and read again for the answer to its repeat."""
    return " ".join((command_id, *streams)).encode()


async def attempt(work: Awaitable[T]) -> Attempt[T]:
    """Await a command; its refusals become `userErrors`."""
    try:
        return Attempt(await work)
    except Refusal as refusal:
        return Attempt(None, [refused(refusal)])
    except Refusals as several:
        return Attempt(None, [refused(refusal) for refusal in several.refusals])
    except ErasedSubject as error:
        return Attempt(None, [refused(PersonErased(error.subject))])

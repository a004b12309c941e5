"""What a resolver knows of its request: who calls, with which correlation, and what is loaded."""

from __future__ import annotations

from collections.abc import (
    AsyncGenerator,
    Awaitable,
    Callable,
    Collection,
    Hashable,
    Mapping,
    Sequence,
)
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from strawberry.dataloader import DataLoader

from eventstore.event import NOBODY, Actor, Client, Metadata
from subgraphs.shared.auth import ANONYMOUS, Caller
from subgraphs.shared.ids import new_id
from subgraphs.shared.reading import Reading

if TYPE_CHECKING:
    from subgraphs.shared.changes import Change, Changes
    from subgraphs.shared.operations import Operator
    from subgraphs.shared.refused import RefusedCommands

HEADER_CHARACTERS_MAX = 200

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
R = TypeVar("R")
T = TypeVar("T")


@dataclass(slots=True, kw_only=True)
class RequestContext(Generic[R]):
    """One per request. `resources` is what the service gives its resolvers: handlers, reads.

    `stale` is set when the position asked for in `x-read-position` did not come in time; it goes
    into the answer's extensions.
    """

    resources: R
    clock: Callable[[], datetime]
    caller: Caller = ANONYMOUS
    service_actor: str | None = None
    request_id: str
    correlation_id: str
    headers: Mapping[str, str] = field(default_factory=dict)
    read_positions: Mapping[str, int] = field(default_factory=dict)
    stale: dict[str, Any] | None = None
    operator: Operator | None = None
    refused: RefusedCommands | None = None
    told: Changes | None = None
    reading: Reading = field(default_factory=Reading)
    _loaders: dict[Hashable, Any] = field(default_factory=dict)

    def metadata(self, *, reason: str | None = None, on_behalf_of: str | None = None) -> Metadata:
        """Who, why and where from, for the events of one command of this request.

        `on_behalf_of` is whose thing it is: kept where that is somebody else than the caller.
        """
        actor = self.actor
        if on_behalf_of is not None and on_behalf_of != actor.id:
            actor = Actor(actor.kind, actor.id, on_behalf_of)
        return Metadata(
            actor=actor,
            command_id=new_id("cmd"),
            correlation_id=self.correlation_id,
            reason=reason,
            occurred_at=self.clock(),
            client=self._client(),
            traceparent=self._header("traceparent"),
        )

    @property
    def operations(self) -> Operator:
        """What operators may ask of the service."""
        assert self.operator is not None, "only requests of a service have an operator's part"
        return self.operator

    @property
    def actor(self) -> Actor:
        """The caller, as events name them; or the service itself, for what it does unasked."""
        if self.service_actor is not None:
            return Actor("service", self.service_actor)
        if self.caller.user_id is None:
            return Actor("user", NOBODY)
        return Actor("staff" if self.caller.is_staff else "user", self.caller.user_id)

    def loader(
        self,
        load: Callable[[Sequence[K]], Awaitable[Mapping[K, V]]],
        *,
        variant: Hashable = None,
    ) -> DataLoader[K, V | None]:
        """This request's batching loader of `load`, which maps keys to values; missing is None.

        `load` is asked once for all keys that resolvers want at the same time. Another `variant`
        of the same function (another channel, say) is another loader.
        """
        identity = (getattr(load, "__qualname__", load), variant)
        found = self._loaders.get(identity)
        if found is None:

            async def batch(keys: list[K]) -> list[V | None]:
                values = await load(keys)
                return [values.get(key) for key in keys]

            found = self._loaders[identity] = DataLoader(load_fn=batch)
        return cast("DataLoader[K, V | None]", found)

    async def follow(
        self, topics: Collection[str] | None, load: Callable[[Change], Awaitable[T | None]]
    ) -> AsyncGenerator[T, None]:
        """What `load` gives for each change that is told under these topics, or any; None is left
        out. Raises SubscriberTooSlow.
        """
        assert self.told is not None, "only requests of a service hear of its changes"
        async with aclosing(self.told.follow(topics)) as changes:
            async for change in changes:
                self.forget_loaded()
                found = await load(change)
                if found is not None:
                    yield found

    def forget_loaded(self) -> None:
        """Load everything anew: between two events of a subscription the world went on."""
        self._loaders.clear()

    def _client(self) -> Client | None:
        ip, agent = self._header("x-client-ip"), self._header("x-client-agent")
        return Client(ip, agent) if ip or agent else None

    def _header(self, name: str) -> str | None:
        value = self.headers.get(name)
        return value[:HEADER_CHARACTERS_MAX] if value else None


def read_positions(header: str | None) -> dict[str, int]:
    """`orders:123,users:5` as a mapping. What is not a position asks for nothing: left out."""
    positions: dict[str, int] = {}
    for part in (header or "").split(",")[:32]:
        name, _, position = part.strip().partition(":")
        if name and position.isascii() and position.isdigit() and len(position) < 19:
            positions[name] = max(int(position), positions.get(name, 0))
    return positions

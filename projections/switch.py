"""Switching to a build that is ready, and back to the one it replaced."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from projections import catalogue
from projections.batch import Connection
from projections.catalogue import Build, State
from projections.drive import advance
from projections.errors import NothingToSwitch, ReasonNeeded, VerificationFailed
from projections.exchange import GRACE_SECONDS, WAIT_SECONDS, exchange
from projections.log import Log
from projections.member import Member
from projections.supervision import Declared
from projections.verify import Verification, verify


@dataclass(frozen=True, slots=True)
class Switched:
    """What readers see now, what they saw before, at which position it changed; and what was
    compared before, if anything was.
    """

    live: Build
    before: Build
    position: int
    verification: Verification | None = None


async def switch(
    source: Log,
    conninfo: str,
    declared: Declared,
    name: str,
    *,
    force: bool = False,
    reason: str = "",
    grace_seconds: float = GRACE_SECONDS,
    timeout_seconds: float = WAIT_SECONDS,
) -> Switched:
    """Let readers see the build that is ready; the one they saw follows for `grace_seconds`.

    Builds of one version are compared first. Raises VerificationFailed if they differ, unless
    `force` is given (with a reason, or ReasonNeeded is raised); NothingToSwitch, NotCaughtUp.
    """
    if force and not reason.strip():
        raise ReasonNeeded("switching without comparing")
    declared.newest(name)
    live, ready = await asyncio.to_thread(
        _chosen, source, conninfo, name, State.READY, "rebuild it first"
    )
    found: Verification | None = None
    if live.version == ready.version and not force:
        found = await verify(source, conninfo, declared, name, timeout_seconds=timeout_seconds)
        if not found.equal:
            raise VerificationFailed(name, found.position, found.differences, found.examples)
    return await asyncio.to_thread(
        _exchange, source, conninfo, declared, live, ready, grace_seconds, timeout_seconds, found
    )


async def roll_back(
    source: Log,
    conninfo: str,
    declared: Declared,
    name: str,
    *,
    grace_seconds: float = GRACE_SECONDS,
    timeout_seconds: float = WAIT_SECONDS,
) -> Switched:
    """Let readers see again what they saw before the last switch, while it still follows.

    Raises NothingToSwitch after the grace period, NotCaughtUp if it no longer follows.
    """
    declared.newest(name)
    live, before = await asyncio.to_thread(
        _chosen, source, conninfo, name, State.FOLLOWING, "nothing follows any more: rebuild it"
    )
    return await asyncio.to_thread(
        _exchange, source, conninfo, declared, live, before, grace_seconds, timeout_seconds, None
    )


def _chosen(
    source: Log, conninfo: str, name: str, state: State, way_on: str
) -> tuple[Build, Build]:
    with catalogue.connect(conninfo, f"{source.name} switch") as connection:
        found = catalogue.builds(connection, name)
    live = [build for build in found if build.state is State.LIVE]
    chosen = [build for build in found if build.state is state]
    if not live or not chosen:
        building = [build for build in found if build.state is State.BUILDING]
        raise NothingToSwitch(name, f"{building[0]} is still being built" if building else way_on)
    return live[0], max(chosen, key=lambda build: (build.live_at or build.created_at, build.number))


def _exchange(
    source: Log,
    conninfo: str,
    declared: Declared,
    live: Build,
    chosen: Build,
    grace_seconds: float,
    timeout_seconds: float,
    verification: Verification | None,
) -> Switched:
    with catalogue.connect(conninfo, f"{source.name} switch") as connection:
        _bring(connection, source, conninfo, declared, live, chosen)
        position = exchange(
            connection,
            live,
            chosen,
            grace_seconds=grace_seconds,
            timeout_seconds=timeout_seconds,
        )
        after = [catalogue.build(connection, build.id) for build in (chosen, live)]
    assert after[0] is not None
    assert after[1] is not None
    return Switched(after[0], after[1], position, verification)


def _bring(
    connection: Connection,
    source: Log,
    conninfo: str,
    declared: Declared,
    live: Build,
    chosen: Build,
) -> None:
    """If nobody follows the chosen build now, bring it to where the live one is."""
    now = [catalogue.build(connection, build.id) for build in (live, chosen)]
    projection = declared.of(chosen)
    assert now[0] is not None
    assert now[1] is not None
    if now[1].position < now[0].position and projection is not None:
        advance(source, conninfo, Member(chosen, projection), now[0].position)

"""What a runner does about builds as such: the declared against the catalogue."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import psycopg
import structlog

from projections import catalogue, views
from projections.catalogue import Build, State
from projections.errors import (
    InvalidProjection,
    NotCaughtUp,
    TablesChanged,
    UnknownProjection,
    VersionBehind,
)
from projections.exchange import exchange
from projections.projection import Projection, check

Connection = psycopg.Connection[Any]

UPGRADE_BEHIND_EVENTS_MAX = 100
"""A new version becomes live when it is no further behind the head than this."""
UPGRADE_SWITCH_SECONDS = 1.0

log = structlog.get_logger(__name__)


class Declared:
    """The projections of a service's code, by name and version.

    Raises InvalidProjection for one that cannot be run, or is given twice.
    """

    def __init__(self, projections: Sequence[Projection]) -> None:
        self._by_name: dict[str, dict[int, Projection]] = {}
        for projection in projections:
            check(projection)
            versions = self._by_name.setdefault(projection.name, {})
            if projection.version in versions:
                raise InvalidProjection(
                    projection.name, f"version {projection.version} is declared twice"
                )
            versions[projection.version] = projection

    @property
    def names(self) -> tuple[str, ...]:
        """All names, in the order of declaration."""
        return tuple(self._by_name)

    def versions(self, name: str) -> Sequence[Projection]:
        """All versions of one projection, the newest first. Raises UnknownProjection."""
        if name not in self._by_name:
            raise UnknownProjection(name, self.names)
        return [found for _, found in sorted(self._by_name[name].items(), reverse=True)]

    def newest(self, name: str) -> Projection:
        """The version that is to be live. Raises UnknownProjection."""
        return self.versions(name)[0]

    def of(self, build: Build) -> Projection | None:
        """The code of a build; None if it is not among the declared."""
        return self._by_name.get(build.name, {}).get(build.version)

    def follows(self, build: Build) -> bool:
        """Whether a runner of this code keeps the build up to date."""
        state = build.state
        followed = state in (State.LIVE, State.READY, State.FOLLOWING)
        upgrading = state is State.BUILDING and build.upgrade
        return (followed or upgrading) and self.of(build) is not None


def prepare(connection: Connection, declared: Declared, *, upgrade: bool = True) -> None:
    """Make the first build of each projection, and (for an `upgrade`) a build beside the live one
    for a new version. Raises VersionBehind, TablesChanged or TableTaken, having changed nothing.
    """
    with catalogue.changing(connection):
        for name in declared.names:
            _prepare(connection, declared, name, upgrade)


def _prepare(connection: Connection, declared: Declared, name: str, upgrade: bool) -> None:
    found = catalogue.builds(connection, name)
    newest = declared.newest(name)
    live = next((build for build in found if build.state is State.LIVE), None)
    if live is None:
        made = catalogue.create(connection, newest, State.LIVE)
        views.show(connection, made.schema_name, made.tables, hide=())
        return
    if live.version > newest.version:
        raise VersionBehind(name, newest.version, live.version)
    for build in found:
        code = declared.of(build)
        if code is not None and code.shape != build.shape:
            raise TablesChanged(name, code.version)
    if not upgrade or any(build.version == newest.version for build in found):
        return
    for build in found:
        if build.state in (State.BUILDING, State.READY):
            if catalogue.owned_by_another(connection, build.id):
                log.warning("projections.upgrade_delayed", build=str(build))
                return
            catalogue.retire(connection, build)
    made = catalogue.create(connection, newest, State.BUILDING, upgrade=True)
    log.info("projections.upgrading", build=str(made), live=str(live))


def tidy(connection: Connection, declared: Declared, found: Sequence[Build], head: int) -> bool:
    """Switch to upgrades that have caught up, retire what is past its grace period; True if
    anything changed.
    """
    changed = False
    now = datetime.now(UTC)
    live = {build.name: build for build in found if build.state is State.LIVE}
    for build in found:
        if build.name not in declared.names:
            continue
        if build.state is State.FOLLOWING and build.follow_until and build.follow_until <= now:
            with catalogue.changing(connection):
                catalogue.retire(connection, build)
            changed = True
        elif (
            build.upgrade
            and build.state in (State.BUILDING, State.READY)
            and build.position >= head - UPGRADE_BEHIND_EVENTS_MAX
        ):
            changed = _upgrade(connection, live[build.name], build) or changed
    catalogue.sweep(connection)
    return changed


def _upgrade(connection: Connection, live: Build, build: Build) -> bool:
    try:
        exchange(connection, live, build, timeout_seconds=UPGRADE_SWITCH_SECONDS)
    except NotCaughtUp as error:
        log.warning("projections.switch_delayed", build=str(build), reason=str(error))
        return False
    log.info("projections.switched", build=str(build), before=str(live))
    return True

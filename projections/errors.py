"""Every error of the projection engine: a stable `code`, its values as attributes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime


class ProjectionError(Exception):
    """Base of all errors of this package."""

    code = "PROJECTION_ERROR"


class InvalidProjection(ProjectionError):
    """A projection or reactor whose declaration cannot be run."""

    code = "INVALID_PROJECTION"

    def __init__(self, name: str, reason: str) -> None:
        self.name, self.reason = name, reason
        super().__init__(f"projection {name!r} cannot be run: {reason}")


class UnknownProjection(ProjectionError):
    """No projection of this name."""

    code = "UNKNOWN_PROJECTION"

    def __init__(self, name: str, known: Sequence[str]) -> None:
        self.name, self.known = name, tuple(known)
        super().__init__(f"there is no projection {name!r}; known: {', '.join(known) or 'none'}")


class UnknownReactor(ProjectionError):
    """No reactor of this name."""

    code = "UNKNOWN_REACTOR"

    def __init__(self, name: str, known: Sequence[str]) -> None:
        self.name, self.known = name, tuple(known)
        super().__init__(f"there is no reactor {name!r}; known: {', '.join(known) or 'none'}")


class NotAProjection(ProjectionError):
    """A reactor was named where a projection is needed: what has side effects has no replay."""

    code = "NOT_A_PROJECTION"

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(
            f"{name!r} is a reactor: it has side effects and is never replayed; "
            "redrive its parked messages instead"
        )


class UnreadableMessage(ProjectionError):
    """A message whose personal part does not open: nobody acts on it before it can be read."""

    code = "UNREADABLE_MESSAGE"

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"the event cannot be read: {reason}; then redrive it")


class UnknownLayout(ProjectionError):
    """What the engine keeps was laid out by a later release."""

    code = "UNKNOWN_LAYOUT"

    def __init__(self, found: int, known: int) -> None:
        self.found, self.known = found, known
        super().__init__(
            f"the catalogue of projections has layout {found}, this release knows 1 to {known}: "
            "run the release that made it, or a later one"
        )


class VersionBehind(ProjectionError):
    """The code declares a version lower than the one that is live."""

    code = "VERSION_BEHIND"

    def __init__(self, name: str, declared: int, live: int) -> None:
        self.name, self.declared, self.live = name, declared, live
        super().__init__(
            f"projection {name!r} is declared as version {declared}, but version {live} is live: "
            "run the code of the live version, or give the new shape a higher version"
        )


class TablesChanged(ProjectionError):
    """The tables a projection declares are not those its version was built with."""

    code = "TABLES_CHANGED"

    def __init__(self, name: str, version: int) -> None:
        self.name, self.version = name, version
        super().__init__(
            f"projection {name!r} version {version} was built with other tables than it declares "
            f"now: declare it as version {version + 1}"
        )


class TableTaken(ProjectionError):
    """Two projections want to show a table by the same name."""

    code = "TABLE_TAKEN"

    def __init__(self, name: str, table: str, owner: str) -> None:
        self.name, self.table, self.owner = name, table, owner
        super().__init__(
            f"projection {name!r} declares the table {table!r}, which {owner} has: "
            "give it another name"
        )


class RebuildInProgress(ProjectionError):
    """A rebuild of this projection is under way, or waits to be switched to."""

    code = "REBUILD_IN_PROGRESS"

    def __init__(self, name: str, build: str, state: str, position: int, owner: str) -> None:
        self.name, self.build, self.state = name, build, state
        self.position, self.owner = position, owner
        way_on = "switch to it or restart it" if state == "ready" else "wait for it or end it"
        super().__init__(
            f"projection {name!r} has a rebuild already: {build} is {state} at position "
            f"{position}{f', run by {owner}' if owner else ''}: {way_on}"
        )


class RebuildStopped(ProjectionError):
    """A rebuild was asked to stop; run it again to go on from where it is."""

    code = "REBUILD_STOPPED"

    def __init__(self, name: str, build: str, position: int) -> None:
        self.name, self.build, self.position = name, build, position
        super().__init__(
            f"the rebuild {build} of {name!r} stopped at position {position}: "
            "rebuild again to go on from there"
        )


class NothingToSwitch(ProjectionError):
    """There is no build that could become the live one."""

    code = "NOTHING_TO_SWITCH"

    def __init__(self, name: str, way_on: str) -> None:
        self.name = name
        super().__init__(f"projection {name!r} has no other build to switch to: {way_on}")


class NothingToFold(ProjectionError):
    """What was asked for a scratch copy has no event that the projection handles."""

    code = "NOTHING_TO_FOLD"

    def __init__(self, name: str, stream: str | None, since: datetime | None) -> None:
        self.name, self.stream, self.since = name, stream, since
        where = "" if stream is None else f" in the stream {stream!r}"
        when = "" if since is None else f" since {since:%Y-%m-%d %H:%M:%S} UTC"
        super().__init__(f"projection {name!r} handles no event{where}{when}")


class NotCaughtUp(ProjectionError):
    """A build did not reach the position it is needed at within the time allowed."""

    code = "NOT_CAUGHT_UP"

    def __init__(self, build: str, position: int, needed: int, seconds: float) -> None:
        self.build, self.position, self.needed = build, position, needed
        super().__init__(
            f"{build} is at position {position}, needed at {needed}, and did not get there in "
            f"{seconds:g} s: see that its service runs, then try again"
        )


class VerificationFailed(ProjectionError):
    """The rebuilt tables differ from the live ones."""

    code = "VERIFICATION_FAILED"

    def __init__(self, name: str, position: int, differences: int, examples: Sequence[str]) -> None:
        self.name, self.position = name, position
        self.differences, self.examples = differences, tuple(examples)
        super().__init__(
            f"projection {name!r}: {differences} keys differ between the live and the rebuilt "
            f"tables at position {position}, among them {', '.join(examples)}: find out why, "
            "or force the switch with a reason"
        )


class ReasonNeeded(ProjectionError):
    """An act that overrides a safeguard needs a reason, which is recorded."""

    code = "REASON_NEEDED"

    def __init__(self, act: str) -> None:
        self.act = act
        super().__init__(f"{act} needs a reason: it is recorded with who did it")


class CheckpointAhead(ProjectionError):
    """A checkpoint beyond the end of the log: they do not belong together."""

    code = "CHECKPOINT_AHEAD"

    def __init__(self, build: str, position: int, head: int) -> None:
        self.build, self.position, self.head = build, position, head
        super().__init__(
            f"{build} is at position {position}, but the log of this database ends at {head}: "
            "the log was lost or replaced; restore it, or rebuild the projection"
        )

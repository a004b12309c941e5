"""Places where a test may break the engine: named points that do nothing unless armed."""

from __future__ import annotations

from collections.abc import Callable

_armed: dict[str, Callable[[], None]] = {}

POINTS = (
    "catalogue.before_commit",
    "projections.before_commit",
    "projections.after_commit",
    "projections.adopting",
    "projections.releasing",
    "redrive.before_commit",
    "reactors.before_react",
    "reactors.after_react",
    "reactors.before_checkpoint",
    "reactors.before_park",
    "timers.after_fire",
    "rebuild.before_ready",
    "switch.before_commit",
)


def fault_point(name: str) -> None:
    """Run what is armed here: it may raise, cut a connection, or end the process."""
    if _armed:
        action = _armed.get(name)
        if action is not None:
            action()


def arm(name: str, action: Callable[[], None]) -> None:
    """Let `action` run whenever the point is passed. Raises ValueError for an unknown name."""
    if name not in POINTS:
        raise ValueError(f"there is no fault point {name!r}; known: {', '.join(POINTS)}")
    _armed[name] = action


def disarm() -> None:
    """Let all points do nothing again."""
    _armed.clear()

"""What led to what: events of one correlation as a tree, over all services."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from rich.tree import Tree


@dataclass(frozen=True, slots=True)
class Traced:
    """An event as a trace needs it. `causation_id` is an event's id, or that of a command."""

    id: str
    service: str
    type: str
    stream: str
    actor: str
    causation_id: str | None
    recorded_at: datetime


@dataclass(slots=True)
class Step:
    """An event, and what it led to. `milliseconds` since the first event of the tree."""

    service: str
    type: str
    stream: str
    actor: str
    milliseconds: float
    led_to: list[Step] = field(default_factory=list)


def tree_of(events: Iterable[Traced]) -> Step | None:
    """Each event under the one that caused it, those of no known cause under the first.

    None where there are no events.
    """
    in_time = sorted(events, key=lambda event: event.recorded_at)
    if not in_time:
        return None
    start = in_time[0].recorded_at
    steps = {
        event.id: Step(
            event.service,
            event.type,
            event.stream,
            event.actor,
            (event.recorded_at - start).total_seconds() * 1000,
        )
        for event in in_time
    }
    root = steps[in_time[0].id]
    for event in in_time[1:]:
        # A cause is recorded before its effect; one that claims otherwise (clocks differ) hangs
        # under the first, so that there is never a circle.
        parent = steps.get(event.causation_id or "", root)
        step = steps[event.id]
        later = parent is step or parent.milliseconds > step.milliseconds
        (root if later else parent).led_to.append(step)
    return root


def drawn(root: Step) -> Tree:
    """The tree for a terminal."""
    tree = Tree(_line(root), guide_style="dim")
    waiting = [(root, tree)]
    while waiting:
        step, branch = waiting.pop()
        waiting.extend((following, branch.add(_line(following))) for following in step.led_to)
    return tree


def _line(step: Step) -> str:
    when, where = f"{step.milliseconds:7.1f} ms", f"[cyan]{step.service}[/cyan]"
    return f"{when}  {where}  {step.type}  [dim]{step.stream}[/dim]"

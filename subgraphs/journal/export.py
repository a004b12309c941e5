"""An export as its stream tells of it. Pure: files and pages are elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum

from eventstore.event import Event
from subgraphs.journal.events import (
    ExportCompleted,
    ExportFailed,
    ExportStarted,
    ExportWithdrawn,
)


class ExportStatus(Enum):
    """How far it has come."""

    NEW = "NEW"
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    WITHDRAWN = "WITHDRAWN"


@dataclass(frozen=True, slots=True)
class Export:
    """`result` is there while the file is; `reason` says why it failed, or was withdrawn."""

    id: str
    status: ExportStatus = ExportStatus.NEW
    started: ExportStarted | None = None
    result: ExportCompleted | None = None
    reason: str | None = None

    @classmethod
    def initial(cls, stream: str) -> Export:
        return cls(stream)

    def start(self, started: ExportStarted) -> Sequence[Event]:
        """Decide."""
        return [started]

    def complete(self, result: ExportCompleted) -> Sequence[Event]:
        """Decide: by whichever process is first."""
        return [result] if self.status is ExportStatus.RUNNING else []

    def fail(self, reason: str) -> Sequence[Event]:
        """Decide."""
        return [ExportFailed(self.id, reason)] if self.status is ExportStatus.RUNNING else []

    def withdraw(self, reason: str) -> Sequence[Event]:
        """Decide: only what was completed has a file to be withdrawn."""
        return [ExportWithdrawn(self.id, reason)] if self.status is ExportStatus.COMPLETED else []

    def evolve(self, event: Event) -> Export:
        """Fold."""
        match event:
            case ExportStarted():
                return replace(self, status=ExportStatus.RUNNING, started=event)
            case ExportCompleted():
                return replace(self, status=ExportStatus.COMPLETED, result=event)
            case ExportFailed(reason=reason):
                return replace(self, status=ExportStatus.FAILED, reason=reason)
            case ExportWithdrawn(reason=reason):
                return replace(self, status=ExportStatus.WITHDRAWN, result=None, reason=reason)
            case _:
                return self

"""How much memory the shop took at its worst: this process and its children, PostgreSQL too."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Self

SAMPLE_SECONDS = 0.5
SHARE_MAX = 0.01
"""Of one core that looking may take: a hundred processes' pages are costly to count."""
PROC = Path("/proc")


class PeakMemory:
    """Samples while it is open, and once more at the end. `peak_bytes` is None where /proc does not
    tell.

    Proportional set sizes are added up, so that memory shared between processes counts once.
    """

    def __init__(self) -> None:
        self.peak_bytes: int | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="peak-memory", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        ended = False
        while not ended:
            before = time.thread_time()
            self._look()
            took = time.thread_time() - before
            ended = self._stop.wait(max(SAMPLE_SECONDS, took / SHARE_MAX))
        self._look()

    def _look(self) -> None:
        total = sum(filter(None, map(_bytes_of, _family())))
        if total:
            self.peak_bytes = max(self.peak_bytes or 0, total)


def _family() -> set[int]:
    """This process and all that descend from it."""
    parents: dict[int, int] = {}
    for entry in PROC.glob("[0-9]*/stat"):
        try:
            after_name = entry.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        parents[int(entry.parent.name)] = int(after_name[1])
    own = int((PROC / "self").resolve().name) if (PROC / "self").exists() else 0
    family = {own}
    grown = True
    while grown:
        children = {pid for pid, parent in parents.items() if parent in family} - family
        family |= children
        grown = bool(children)
    return family


def _bytes_of(pid: int) -> int | None:
    try:
        text = (PROC / str(pid) / "smaps_rollup").read_text()
    except OSError:
        return None
    for line in text.splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return None

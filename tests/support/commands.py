"""`lonja` as a process of a test: started, listened to, killed, and none of its family left."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.support.postgres import new_folder
from tests.support.whole import PASSWORD, STAFF_EMAIL

ROOT = Path(__file__).parents[2]
LONJA = str(Path(sys.executable).with_name("lonja"))
WAIT_SECONDS_MAX = 120.0

CHEAP_SHOP = {
    "LONJA_USERS__BOOTSTRAP_ADMIN_EMAIL": STAFF_EMAIL,
    "LONJA_USERS__BOOTSTRAP_ADMIN_PASSWORD": PASSWORD,
    "LONJA_USERS__ARGON2_TIME_COST": "1",
    "LONJA_USERS__ARGON2_MEMORY_KIB": "64",
    "LONJA_USERS__ARGON2_PARALLELISM": "1",
    "LONJA_USERS__SIGN_IN_FAILURES_PER_MINUTE_MAX": "0",
}
"""Settings of a shop that has an administrator, and passwords that are hashed fast."""


def environment(**changes: str) -> dict[str, str]:
    """This process's, without settings of Lonja's that the machine may have."""
    inherited = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("LONJA_", "PYTEST_", "FORCE_COLOR"))
    }
    return inherited | changes


class Command:
    """A running command. What it prints goes to `folder`; it may be asked at any time."""

    def __init__(
        self, arguments: list[str], folder: Path, given: Mapping[str, str], cwd: Path = ROOT
    ) -> None:
        self._out, self._err = folder / "out.log", folder / "err.log"
        with self._out.open("ab") as out, self._err.open("ab") as err:
            self._said_before = out.tell()
            self.process = subprocess.Popen(
                arguments,
                env=dict(given),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                cwd=cwd,
            )

    @property
    def out(self) -> str:
        """What it has printed so far."""
        return self._out.read_bytes()[self._said_before :].decode()

    @property
    def err(self) -> str:
        return self._err.read_text()

    def until_said(self, text: str) -> str:
        """Everything printed, once `text` is among it."""
        until(lambda: text in self.out or self.process.poll() is not None)
        assert text in self.out, f"ended with {self.process.poll()}: {self.out}{self.err}"
        return self.out

    def send(self, number: int) -> None:
        self.process.send_signal(number)

    def ended(self, seconds: float = WAIT_SECONDS_MAX) -> int:
        """Its exit code, once it has one."""
        return self.process.wait(seconds)

    def family(self) -> set[int]:
        """The process and all that descend from it."""
        parents = {pid: parent for pid, parent, _ in _processes()}
        found, grown = {self.process.pid}, True
        while grown:
            children = {pid for pid, parent in parents.items() if parent in found} - found
            found |= children
            grown = bool(children)
        return found


def until(true: Callable[[], object], seconds: float = WAIT_SECONDS_MAX) -> None:
    """Return once it holds."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "what was waited for did not come"
        time.sleep(0.02)  # between two looks at a condition


def alive(pids: set[int]) -> set[int]:
    """Those of them that still run."""
    return {pid for pid, _, state in _processes() if pid in pids and state != "Z"}


def _processes() -> Iterator[tuple[int, int, str]]:
    """Pid, parent and state of everything that runs."""
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = entry.read_text().rsplit(")", 1)[1].split()[:2]
        except OSError:
            continue
        yield int(entry.parent.name), int(parent), state


@contextmanager
def place() -> Iterator[Path]:
    """A folder that the embedded server's account can enter, in memory where there is such."""
    folder = new_folder()
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@contextmanager
def running(
    *arguments: str, folder: Path, given: Mapping[str, str] | None = None, program: str = LONJA
) -> Iterator[Command]:
    """The command meanwhile; ended at the end if the test has not ended it."""
    folder.mkdir(exist_ok=True)
    command = Command([program, *arguments], folder, environment() if given is None else given)
    try:
        yield command
    finally:
        if command.process.poll() is None:
            command.send(signal.SIGTERM)
            try:
                command.process.wait(WAIT_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                command.process.kill()
                command.process.wait()
                raise


def run(
    *arguments: str, given: Mapping[str, str] | None = None, program: str = LONJA
) -> subprocess.CompletedProcess[str]:
    """The command to its end, with all it printed."""
    return subprocess.run(
        [program, *arguments],
        env=environment() if given is None else dict(given),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=WAIT_SECONDS_MAX * 2,
        cwd=ROOT,
        check=False,
    )

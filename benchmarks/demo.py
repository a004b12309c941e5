"""What the whole shop costs: the demo, and the shop when nobody buys.

    python -m benchmarks.demo [--baskets 300] [--idle-seconds 20] [--json FILE]

The demo runs as anybody runs it, in a process of its own with an embedded PostgreSQL. CPU seconds
are those of that process and of all its children, so they do not depend on what else the machine
does, as the time on the wall does; those of one basket less are the start and the end. Then
`lonja up` is started and left alone: what it takes of one core, PostgreSQL included. Linux only.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

LONJA = [sys.executable, "-c", "from lonja.cli import main; main()"]
READY_SECONDS_MAX = 120.0
STOP_SECONDS_MAX = 60.0
SETTLE_SECONDS = 5.0
TICKS = os.sysconf("SC_CLK_TCK")


def demo(baskets: int) -> dict[str, Any]:
    """The figures of one replay. Raises CalledProcessError if it does not reconcile."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        [*LONJA, "demo", "--baskets", str(baskets), "--json"], stdout=subprocess.PIPE, check=True
    )
    wall = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    speed = json.loads(done.stdout)["speed"]
    user, system = after.ru_utime - before.ru_utime, after.ru_stime - before.ru_stime
    return {
        "baskets": baskets,
        "wall_seconds": round(wall, 1),
        "cpu_seconds": round(user + system, 1),
        "cpu_seconds_user": round(user, 1),
        "cpu_seconds_system": round(system, 1),
        "context_switches": after.ru_nvcsw + after.ru_nivcsw - before.ru_nvcsw - before.ru_nivcsw,
        "orders": speed["orders"],
        "events": speed["events"],
        "requests": speed["requests"],
        "replay_seconds": round(speed["seconds"], 1),
        "events_per_second": round(speed["events"] / speed["seconds"]),
        "requests_per_second": round(speed["requests"] / speed["seconds"]),
        "memory_mib_max": round((speed["peak_memory_bytes"] or 0) / 1_048_576),
    }


def idle(seconds: float) -> dict[str, Any]:
    """What a shop takes that nobody uses."""
    with tempfile.TemporaryDirectory(prefix="lonja-benchmark-") as folder:
        Path(folder).chmod(0o711)  # the embedded server's account must be able to enter
        port = _free_port()
        shop = subprocess.Popen(
            [*LONJA, "up", "--data-dir", folder, "--port", str(port)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            _wait_until_ready(shop, f"http://127.0.0.1:{port}/health")
            start = _cpu_seconds(shop.pid)
            time.sleep(SETTLE_SECONDS)
            before, since = _cpu_seconds(shop.pid), time.perf_counter()
            time.sleep(seconds)
            used = _cpu_seconds(shop.pid) - before
            share = used / (time.perf_counter() - since)
            threads = len(list(Path(f"/proc/{shop.pid}/task").iterdir()))
            processes = len(_family(shop.pid))
        finally:
            shop.send_signal(signal.SIGINT)
            try:
                shop.wait(STOP_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                shop.kill()
                shop.wait()
    return {
        "start_cpu_seconds": round(start, 1),
        "idle_share_of_a_core": round(share, 4),
        "threads": threads,
        "processes": processes,
    }


def _wait_until_ready(shop: subprocess.Popen[bytes], url: str) -> None:
    deadline = time.monotonic() + READY_SECONDS_MAX
    while shop.poll() is None and time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise TimeoutError(f"`lonja up` did not answer {url} in {READY_SECONDS_MAX:g} s")


def _stat(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()


def _family(root: int) -> set[int]:
    """A process and all that descend from it."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(entry.name)] = int(_stat(int(entry.name))[1])
        except OSError:
            continue
    family, grown = {root}, True
    while grown:
        children = {pid for pid, parent in parents.items() if parent in family} - family
        family |= children
        grown = bool(children)
    return family


def _cpu_seconds(root: int) -> float:
    """CPU seconds of a process and its descendants, those that ended and were waited for too."""
    total = 0
    for pid in _family(root):
        try:
            total += sum(int(field) for field in _stat(pid)[11:15])
        except OSError:
            continue
    return total / TICKS


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def build() -> dict[str, Any]:
    """The Python that was measured: one without profile-guided optimisation is a fifth slower."""
    configured = sysconfig.get_config_var("CONFIG_ARGS") or ""
    return {
        "python": platform.python_version(),
        "optimised_build": "--enable-optimizations" in configured,
        "cpus": os.cpu_count(),
    }


def main() -> None:
    arguments = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    arguments.add_argument("--baskets", type=int, default=300)
    arguments.add_argument("--idle-seconds", type=float, default=20)
    arguments.add_argument("--json", type=Path)
    given = arguments.parse_args()
    found: dict[str, Any] = {"build": build(), "one_basket": demo(1), "demo": demo(given.baskets)}
    spent = found["demo"]["cpu_seconds"] - found["one_basket"]["cpu_seconds"]
    found["cpu_ms_a_basket"] = round(1000 * spent / max(1, given.baskets - 1))
    if given.idle_seconds:
        found["idle"] = idle(given.idle_seconds)
    for name, value in found.items():
        rows = value.items() if isinstance(value, dict) else [("", value)]
        for row, figure in rows:
            print(f"{name:18}{row:24}{figure}")
    if given.json:
        given.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()

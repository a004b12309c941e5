"""`python -m tests.support.schedules.main`: many schedules; a failure is printed with its steps.

Seeds are numbered; `--first` and `--schedules` choose them, so that a failure can be had again.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor

from tests.support.postgres import TestServer, new_folder
from tests.support.schedules.schedule import Violation, run_schedule

CHUNK = 25


def run_some(first: int, count: int, conninfo: str) -> tuple[Counter[str], list[str]]:
    """What callers were told in so many schedules, and the failures as text."""
    told: Counter[str] = Counter()
    failures: list[str] = []
    for seed in range(first, first + count):
        try:
            told += run_schedule(seed, conninfo)
        except Violation as violation:
            failures.append(str(violation))
    return told, failures


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--schedules", type=int, default=2_000)
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    folder, since = new_folder(), time.monotonic()
    server = TestServer(folder / "pg")
    total: Counter[str] = Counter()
    failures: list[str] = []
    try:
        server.start()
        conninfo = server.create_database("schedules")
        end = options.first + options.schedules
        with ProcessPoolExecutor(options.processes) as pool:
            running = [
                pool.submit(run_some, first, min(CHUNK, end - first), conninfo)
                for first in range(options.first, end, CHUNK)
            ]
            for some in running:
                told, found = some.result()
                total, failures = total + told, failures + found
                print("\n".join(found), end="\n" if found else "")
    finally:
        server.remove()
        shutil.rmtree(folder, ignore_errors=True)
    told_text = ", ".join(f"{count:,} {what}" for what, count in sorted(total.items()))
    print(f"{options.schedules:,} schedules in {time.monotonic() - since:.0f} s: {told_text}")
    print(f"{len(failures)} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())

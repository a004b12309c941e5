"""The program in docs/projections.md runs and prints what it says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

DOCUMENT = Path(__file__).parents[2] / "docs" / "projections.md"


@pytest.mark.slow
def test_the_program_in_the_document_runs(database: str, tmp_path: Path) -> None:
    (program,) = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    script = tmp_path / "parcels.py"
    script.write_text(program)
    done = subprocess.run(
        [sys.executable, "-W", "error", str(script), database],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "[{'town': 'Sevilla', 'number': 1, 'grams': 900},"
        " {'town': 'Valencia', 'number': 2, 'grams': 300}]",
        "equal: True",
        "live now: parcels build 2 (version 1)",
    ]

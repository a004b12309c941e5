"""The programs in docs/projections.md run and print what they say."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

DOCUMENT = Path(__file__).parents[2] / "docs" / "projections.md"
PRINTED = [
    [
        "[{'town': 'Sevilla', 'number': 1, 'grams': 900},"
        " {'town': 'Valencia', 'number': 2, 'grams': 300}]",
        "equal: True",
        "live now: parcels build 2 (version 1)",
    ],
    ["[{'town': 'Sevilla'}]", "equal: True"],
]


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(PRINTED)))
def test_a_program_in_the_document_runs(number: int, database: str, tmp_path: Path) -> None:
    programs = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    assert len(programs) == len(PRINTED)
    script = tmp_path / "program.py"
    script.write_text(programs[number])
    done = subprocess.run(
        [sys.executable, "-W", "error", str(script), database],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == PRINTED[number]

"""The script of docs/eventstore.md, as a reader would run it."""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs" / "eventstore.md"


@pytest.mark.slow
async def test_the_event_store_alone(database: str, tmp_path: Path) -> None:
    found = re.search(r"```python\n(.*?)```", DOCS.read_text(), re.DOTALL)
    assert found is not None
    script = tmp_path / "script.py"
    script.write_text(found[1])
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, script, database), stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    assert process.returncode == 0
    lines = out.decode().splitlines()
    assert lines[0].startswith("Appended(position=1, versions={'acc_1': 1}")
    assert lines[1] == "1 AccountOpened(owner='Ada') usr_1"
    assert "owner" in lines[2]

"""The explorer page's script."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from router.http.explorer import PAGE


@pytest.mark.node
@pytest.mark.slow
@pytest.mark.skipif(shutil.which("node") is None, reason="needs Node.js")
def test_the_script_is_javascript(tmp_path: Path) -> None:
    script = PAGE.read_text().partition("<script>")[2].partition("</script>")[0]
    path = tmp_path / "explorer.js"
    path.write_text(script)
    checked = subprocess.run(["node", "--check", path], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr

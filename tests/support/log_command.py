"""`lonja log`, over services that have a database each."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from lonja.cli import main


def settings_for(
    databases: Mapping[str, str], data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the command finds in its environment."""
    monkeypatch.setenv("LONJA_DATABASE_URLS", json.dumps(databases))
    monkeypatch.setenv("LONJA_DATA_DIR", str(data_dir))


def log_command(*arguments: str) -> Result:
    """Run it."""
    return CliRunner().invoke(main, ["log", *arguments])

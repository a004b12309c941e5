"""What `router` offers, and what importing it brings along."""

from __future__ import annotations

import subprocess
import sys

import pytest

import router


def test_everything_offered_is_there() -> None:
    for name in router.__all__:
        assert getattr(router, name).__module__.startswith("router.")


def test_nothing_else_is() -> None:
    with pytest.raises(AttributeError, match="compost"):
        _ = router.compost  # type: ignore[attr-defined]


@pytest.mark.slow
def test_composition_is_imported_when_it_is_asked_for() -> None:
    told = "import sys, router; print('router.composition' in sys.modules)"
    told += "; from router import compose; print('router.composition' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", told], capture_output=True, check=True, text=True)
    assert found.stdout.split() == ["False", "True"]

"""Each hint of the list comes out of some golden case, or has a reason not to."""

from __future__ import annotations

import re
from pathlib import Path

HERE = Path(__file__).parent
NOT_RAISED = {
    "INCONSISTENT_TYPE_SYSTEM_DIRECTIVE_LOCATIONS": (
        "type system directives are composed in their newest definition, never merged"
    ),
    "INCONSISTENT_TYPE_SYSTEM_DIRECTIVE_REPEATABLE": (
        "type system directives are composed in their newest definition, never merged"
    ),
}


def test_every_hint_is_raised_or_has_a_reason() -> None:
    codes = set((HERE / "hint_codes.txt").read_text().split())
    assert len(codes) == 30
    raised = {
        code
        for path in (HERE / "golden" / "supergraphs").glob("*.graphql")
        for code in re.findall(r"^# hint (\w+)", path.read_text(), re.MULTILINE)
    }
    assert raised <= codes
    assert codes - raised == set(NOT_RAISED)

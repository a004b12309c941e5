"""The value of `@fromContext(field:)`: `$name selection`."""

from __future__ import annotations

import re
from typing import Final

_IGNORED: Final = r"(?:[\s,\ufeff]|#[^\n\r]*)*"
_VALUE: Final = re.compile(rf"^{_IGNORED}\${_IGNORED}([A-Za-z_]\w*)(.*)$", re.DOTALL)


def split_context(text: str) -> tuple[str | None, str | None]:
    """(context name, selection as written), or (None, None) when it names no context."""
    match = _VALUE.match(text)
    return (match.group(1), match.group(2)) if match else (None, None)

"""What no auditor needs to see: fields that open something, taken out before they are copied.

U+0000 goes too: a log may hold it, jsonb may not, and one such event must not stop the copying.
"""

from __future__ import annotations

from typing import Any

import msgspec

SECRET_FIELDS = frozenset(
    {
        "payment_method_token",
        "method_token",
        "token_hash",
        "client_token",
        "secret",
        "password_hash",
        "answer",
    }
)
"""Of events, and of the states that are folded from them. `answer` is what a customer told their
bank (payment.action_answered).
"""
NUL_SHOWN = "\ufffd"

DEPTH_MAX = 50

_NAMES = (*(name.encode() for name in sorted(SECRET_FIELDS)), b"\\u0000")


def redact(payload: bytes) -> tuple[bytes, list[str]]:
    """The payload, as JSON, with null for each secret; and the paths of those, like `lines.0.x`.

    Texts with U+0000 have NUL_SHOWN in its place, and their paths are named too.
    """
    if not any(name in payload for name in _NAMES):
        return payload, []
    value = msgspec.json.decode(payload)
    redacted: list[str] = []
    value = _cleared(value, "", redacted, DEPTH_MAX)
    return msgspec.json.encode(value), redacted


def without_nul(text: str) -> str:
    """The text as PostgreSQL can hold it."""
    return text.replace("\0", NUL_SHOWN)


def _cleared(value: Any, path: str, redacted: list[str], depth: int) -> Any:
    match value:
        case str() if "\0" in value:
            redacted.append(path.removesuffix("."))
            return without_nul(value)
        case dict() if depth:
            cleared: dict[str, Any] = {}
            for name, item in value.items():
                if name in SECRET_FIELDS and item is not None:
                    redacted.append(f"{path}{name}")
                    cleared[name] = None
                else:
                    inner = _cleared(item, f"{path}{name}.", redacted, depth - 1)
                    cleared[without_nul(name)] = inner
            return cleared
        case list() if depth:
            return [
                _cleared(item, f"{path}{index}.", redacted, depth - 1)
                for index, item in enumerate(value)
            ]
        case _:
            return value

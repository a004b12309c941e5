"""What no auditor needs to see: fields that open something, taken out before they are copied."""

from __future__ import annotations

from typing import Any

import msgspec

SECRET_FIELDS = frozenset(
    {"payment_method_token", "token_hash", "client_token", "secret", "password_hash"}
)
DEPTH_MAX = 50

_NAMES = tuple(name.encode() for name in sorted(SECRET_FIELDS))


def redact(payload: bytes) -> tuple[bytes, list[str]]:
    """The payload, as JSON, with null for each secret; and the paths of those, like `lines.0.x`."""
    if not any(name in payload for name in _NAMES):
        return payload, []
    value = msgspec.json.decode(payload)
    redacted: list[str] = []
    _clear(value, "", redacted, DEPTH_MAX)
    return msgspec.json.encode(value), redacted


def _clear(value: Any, path: str, redacted: list[str], depth: int) -> None:
    if depth == 0:
        return
    match value:
        case dict():
            for name, item in value.items():
                if name in SECRET_FIELDS and item is not None:
                    value[name] = None
                    redacted.append(f"{path}{name}")
                else:
                    _clear(item, f"{path}{name}.", redacted, depth - 1)
        case list():
            for index, item in enumerate(value):
                _clear(item, f"{path}{index}.", redacted, depth - 1)

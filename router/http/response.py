"""Answers: media type, status and body, as GraphQL over HTTP prescribes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

import orjson

from router.http.errors import HttpRefusal, NotAcceptable

RawHeaders = list[tuple[bytes, bytes]]


class MediaType(Enum):
    """The media types of GraphQL answers."""

    GRAPHQL = "application/graphql-response+json"
    JSON = "application/json"


CONTENT_TYPES: Final = {kind: f"{kind.value}; charset=utf-8".encode() for kind in MediaType}

_USUAL: Final = {
    b"*/*": MediaType.JSON,
    b"application/json": MediaType.JSON,
    b"application/graphql-response+json": MediaType.GRAPHQL,
    b"application/graphql-response+json, application/json;q=0.9": MediaType.GRAPHQL,
    b"application/json, */*": MediaType.JSON,
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one operation.

    `executed` is false when the operation was refused before it ran: then the body has no `data`,
    and the status tells so to clients that know `application/graphql-response+json`.
    """

    body: dict[str, Any]
    executed: bool
    headers: Sequence[tuple[str, str]] = ()


def negotiate(accept: bytes | None) -> MediaType:
    """The media type to answer with; JSON where the client does not care. Raises NotAcceptable."""
    if accept is None:
        return MediaType.JSON
    usual = _USUAL.get(accept)
    if usual is not None:
        return usual
    best, best_weight, best_rank = None, 0.0, 0
    for part in accept.decode("latin-1").lower().split(","):
        kind, weight = _weighted(part)
        media, rank = _match(kind)
        if media is not None and weight > 0 and (weight, rank) > (best_weight, best_rank):
            best, best_weight, best_rank = media, weight, rank
    if best is None:
        raise NotAcceptable(
            "The router answers with application/graphql-response+json or application/json."
        )
    return best


def _weighted(part: str) -> tuple[str, float]:
    kind, *parameters = [piece.strip() for piece in part.split(";")]
    weight = 1.0
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                weight = float(value)
            except ValueError:
                weight = 0.0
        elif name.strip() == "charset" and value.strip('" ') not in {"utf-8", "utf8"}:
            weight = 0.0
    return kind, weight


def _match(kind: str) -> tuple[MediaType | None, int]:
    """The media type that a range stands for, and how closely it names it."""
    match kind:
        case "application/graphql-response+json":
            return MediaType.GRAPHQL, 4
        case "application/json":
            return MediaType.JSON, 3
        case "application/*":
            return MediaType.JSON, 2
        case "*/*":
            return MediaType.JSON, 1
        case _:
            return None, 0


def status_of(answer: Answer, media: MediaType) -> int:
    """200 unless the operation was refused and the client can be told by the status."""
    return 200 if answer.executed or media is MediaType.JSON else 400


def encode(value: Any) -> bytes:
    """JSON; numbers beyond 64 bits (custom scalars may have them) are kept."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return json.dumps(value, separators=(",", ":")).encode()


def refusal_body(refusal: HttpRefusal) -> bytes:
    """A body that only says why."""
    return encode({"errors": [refusal.as_error()]})

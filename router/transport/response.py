"""From what a subgraph said to a well-formed answer, or the reason why it is none."""

from __future__ import annotations

from typing import Any

import orjson

from router.transport.errors import (
    SubgraphHttpError,
    SubgraphMalformedResponse,
)
from router.transport.subgraph import SubgraphResponse

RETRYABLE_STATUSES = frozenset({429, 502, 503, 504})


def response_from_http(
    service: str, status: int, headers: tuple[tuple[str, str], ...], body: bytes
) -> SubgraphResponse:
    """Read a body of any status: a GraphQL answer in it counts, whatever the status says.

    Raises SubgraphHttpError for an unsuccessful status without such an answer, and
    SubgraphMalformedResponse for a successful one.
    """
    success = 200 <= status < 300
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        if not success:
            raise _http_error(service, status) from None
        raise SubgraphMalformedResponse(service, _not_json(headers, body)) from None
    try:
        response = response_from_value(service, value)
    except SubgraphMalformedResponse:
        if not success:
            raise _http_error(service, status) from None
        raise
    if not success and not response.errors:
        raise _http_error(service, status)
    response.headers = headers
    response.status = status
    return response


def response_from_value(service: str, value: Any) -> SubgraphResponse:
    """Check the outer shape. `data` must be an object, null or (with errors) left out."""
    if not isinstance(value, dict):
        raise SubgraphMalformedResponse(service, f"expected an object, found {_kind(value)}")
    data = value.get("data")
    if data is not None and not isinstance(data, dict):
        raise SubgraphMalformedResponse(
            service, f"`data` is {_kind(data)}, expected an object or null"
        )
    errors = value.get("errors")
    if errors is None:
        errors = []
    elif not isinstance(errors, list):
        raise SubgraphMalformedResponse(service, f"`errors` is {_kind(errors)}, expected a list")
    elif errors:
        errors = [error if isinstance(error, dict) else {"message": error} for error in errors]
    if "data" not in value and not errors:
        raise SubgraphMalformedResponse(service, "it has neither `data` nor `errors`")
    extensions = value.get("extensions")
    return SubgraphResponse(data, errors, extensions if isinstance(extensions, dict) else None)


def _http_error(service: str, status: int) -> SubgraphHttpError:
    return SubgraphHttpError(service, status, retryable=status in RETRYABLE_STATUSES)


def _not_json(headers: tuple[tuple[str, str], ...], body: bytes) -> str:
    if not body:
        return "the body is empty"
    kind = next((value for name, value in headers if name == "content-type"), "no content type")
    return f"the body is not JSON ({kind.partition(';')[0]}, {len(body)} bytes)"


def _kind(value: Any) -> str:
    """A JSON kind in words."""
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "a string"
        case list():
            return "a list"
        case _:
            return "an object"

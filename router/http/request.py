"""Reading a GraphQL-over-HTTP request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl

import orjson

from router.http.errors import BadRequest, BatchTooLarge, UnsupportedMediaType

PARAMETERS_MAX: Final = 20
"""Parameters in a query string."""


@dataclass(frozen=True, slots=True)
class GraphQLRequest:
    """One operation as the client sent it. `variables` were not checked yet."""

    query: str
    operation_name: str | None
    variables: Mapping[str, Any]
    extensions: Mapping[str, Any]


def check_content_type(content_type: bytes | None) -> None:
    """POST bodies are JSON in UTF-8. Raises UnsupportedMediaType."""
    if content_type == b"application/json":
        return
    kind, _, parameters = (content_type or b"").decode("latin-1").lower().partition(";")
    if kind.strip() not in {"application/json", "application/graphql+json"}:
        raise UnsupportedMediaType(
            f"The content type of the request is {kind.strip() or 'missing'}; "
            "expected application/json."
        )
    name, _, charset = parameters.strip().partition("=")
    if name.strip() == "charset" and charset.strip('" ') not in {"utf-8", "utf8"}:
        raise UnsupportedMediaType("The charset of the request must be UTF-8.")


def read_body(
    body: bytes, *, batch_max: int, variables_depth_max: int
) -> GraphQLRequest | list[GraphQLRequest]:
    """One request, or a batch. Raises BadRequest, BatchTooLarge."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        what = "is empty" if not body else f"is not JSON: {error}"
        raise BadRequest(f"The request body {what}.") from None
    if isinstance(value, list):
        if len(value) > batch_max:
            raise BatchTooLarge(len(value), batch_max)
        if not value:
            raise BadRequest("The batch is empty.")
        return [read_request(item, variables_depth_max) for item in value]
    return read_request(value, variables_depth_max)


def read_query_string(query_string: bytes, *, variables_depth_max: int) -> GraphQLRequest:
    """A request by GET. Raises BadRequest."""
    try:
        pairs = parse_qsl(
            query_string.decode("ascii"),
            keep_blank_values=True,
            max_num_fields=PARAMETERS_MAX,
            errors="strict",
        )
    except ValueError:
        raise BadRequest("The query string cannot be read.") from None
    members: dict[str, Any] = dict(pairs)
    for name in ("variables", "extensions"):
        text = members.get(name)
        if text:
            try:
                members[name] = orjson.loads(text)
            except orjson.JSONDecodeError:
                raise BadRequest(f"The parameter `{name}` is not JSON.") from None
        else:
            members.pop(name, None)
    if not members.get("operationName"):
        members.pop("operationName", None)
    return read_request(members, variables_depth_max)


def read_request(value: Any, variables_depth_max: int) -> GraphQLRequest:
    """One request of JSON. Raises BadRequest."""
    if type(value) is not dict:
        raise BadRequest("A GraphQL request is a JSON object.")
    query = value.get("query")
    if type(query) is not str:
        found = "is missing" if query is None else "is no string"
        raise BadRequest(f"The member `query` {found}.")
    operation_name = value.get("operationName")
    if operation_name is not None and type(operation_name) is not str:
        raise BadRequest("The member `operationName` is no string.")
    variables = _mapping(value, "variables")
    if variables and _deeper_than(variables, variables_depth_max):
        raise BadRequest(f"The variables are nested more than {variables_depth_max} levels deep.")
    return GraphQLRequest(query, operation_name or None, variables, _mapping(value, "extensions"))


def _deeper_than(value: Mapping[str, Any], levels: int) -> bool:
    """Whether containers are nested more than `levels` deep; level by level, without recursion."""
    containers: list[Any] = [value]
    for _ in range(levels):
        containers = [
            item
            for container in containers
            for item in (container.values() if type(container) is dict else container)
            if type(item) in _CONTAINERS
        ]
        if not containers:
            return False
    return True


_CONTAINERS: Final = frozenset({dict, list})
_NOTHING: Final[Mapping[str, Any]] = {}


def _mapping(value: dict[str, Any], name: str) -> Mapping[str, Any]:
    found = value.get(name)
    if found is None:
        return _NOTHING
    if type(found) is not dict:
        raise BadRequest(f"The member `{name}` is no object.")
    return found

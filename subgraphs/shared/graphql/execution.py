"""Run operations of a subgraph's schema: parse and validate once per text, then execute.

Straight through graphql-core: the documents come from a router that has limited and validated them,
mostly the same few again and again.
"""

from __future__ import annotations

import inspect
from collections import OrderedDict
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

import orjson
import psycopg
import structlog
from graphql import (
    DocumentNode,
    ExecutionResult,
    GraphQLError,
    GraphQLSchema,
    OperationType,
    StringValueNode,
    ValidationRule,
    execute,
    parse,
    specified_rules,
    subscribe,
    validate,
)
from graphql.utilities import get_operation_ast
from strawberry.federation import Schema

from eventstore import StoreOverloaded, StoreUnavailable
from subgraphs.shared.errors import Refusal, RequestError
from subgraphs.shared.graphql.context import RequestContext

log = structlog.get_logger("subgraphs.graphql")

DOCUMENTS_MAX = 1000
DOCUMENT_CHARACTERS_MAX = 200_000
DOCUMENT_TOKENS_MAX = 20_000

UNAVAILABLE = (StoreUnavailable, StoreOverloaded, psycopg.OperationalError)
"""An outage, not a bug: the same request may work later."""

NUL_REFUSED = "a text holds U+0000, which none here may: nothing could store it or find it"

NOT_OVER_HTTP = (
    "a subscription is many answers: send it as graphql-transport-ws, the WebSocket protocol"
)

Prepared = DocumentNode | list[GraphQLError]
Answer = dict[str, Any]


class NoNulRule(ValidationRule):
    """PostgreSQL's texts cannot hold U+0000: no argument gets as far as a log or a statement."""

    def enter_string_value(self, node: StringValueNode, *_: Any) -> None:
        if "\0" in node.value:
            self.report_error(GraphQLError(NUL_REFUSED, node))


RULES = (*specified_rules, NoNulRule)


class Executor:
    """Executes operations of one schema; keeps the last `documents_max` texts prepared."""

    def __init__(self, schema: Schema, *, documents_max: int = DOCUMENTS_MAX) -> None:
        self._documents_max = documents_max
        self._schema: GraphQLSchema = schema._schema
        self._documents: OrderedDict[str, Prepared] = OrderedDict()

    def prepare(self, query: str) -> Prepared:
        """The document, or why it cannot be executed."""
        known = self._documents.get(query)
        if known is not None:
            self._documents.move_to_end(query)
            return known
        prepared = self._parsed(query)
        self._documents[query] = prepared
        if len(self._documents) > self._documents_max:
            self._documents.popitem(last=False)
        return prepared

    def kind(self, query: str, operation_name: str | None) -> OperationType | None:
        """What the operation is; None for a document that cannot be executed."""
        prepared = self.prepare(query)
        if isinstance(prepared, list):
            return None
        operation = get_operation_ast(prepared, operation_name)
        return None if operation is None else operation.operation

    async def execute(
        self,
        query: str,
        variables: Mapping[str, Any] | None,
        operation_name: str | None,
        context: RequestContext[Any],
    ) -> Answer:
        """The answer as JSON values; `data` is absent when the request could not be executed."""
        prepared = self._ready(query, variables)
        if isinstance(prepared, dict):
            return prepared
        if (
            "subscription" in query
            and self.kind(query, operation_name) is OperationType.SUBSCRIPTION
        ):
            return refused(NOT_OVER_HTTP, "SUBSCRIPTION_NOT_STREAMED")
        result = execute(
            self._schema,
            prepared,
            context_value=context,
            variable_values=_own(variables) if variables else None,
            operation_name=operation_name,
        )
        if inspect.isawaitable(result):
            result = await result
        return answer(result, context)

    async def subscribe(
        self,
        query: str,
        variables: Mapping[str, Any] | None,
        operation_name: str | None,
        context: RequestContext[Any],
    ) -> AsyncGenerator[Answer, None]:
        """One answer for each event of a subscription, each with fresh loaders.

        An answer without `data` is the last: the subscription was refused, or cannot go on.
        """
        prepared = self._ready(query, variables)
        if isinstance(prepared, dict):
            yield prepared
            return
        stream = subscribe(
            self._schema,
            prepared,
            context_value=context,
            variable_values=_own(variables) if variables else None,
            operation_name=operation_name,
        )
        if inspect.isawaitable(stream):
            stream = await stream
        if isinstance(stream, ExecutionResult):
            yield {"errors": [shown(error, context) for error in stream.errors or ()]}
            return
        async with aclosing(stream):  # type: ignore[type-var]  # an async generator
            while True:
                context.forget_loaded()
                try:
                    result = await anext(stream)
                except StopAsyncIteration:
                    return
                except Exception as error:
                    yield {"errors": [_masked({"message": str(error)}, error, context)]}
                    return
                yield answer(result, context)

    def _ready(self, query: str, variables: Mapping[str, Any] | None) -> DocumentNode | Answer:
        """The document, or the answer to a request that cannot be executed."""
        prepared = self.prepare(query)
        if isinstance(prepared, list):
            return {"errors": [error.formatted for error in prepared]}
        if variables and _has_nul(variables):
            return refused(NUL_REFUSED, "BAD_REQUEST")
        return prepared

    def _parsed(self, query: str) -> Prepared:
        if len(query) > DOCUMENT_CHARACTERS_MAX:
            return [
                GraphQLError(
                    f"the operation has {len(query)} characters: "
                    f"at most {DOCUMENT_CHARACTERS_MAX} are taken"
                )
            ]
        try:
            document = parse(query, no_location=False, max_tokens=DOCUMENT_TOKENS_MAX)
        except GraphQLError as error:
            return [error]
        return validate(self._schema, document, RULES) or document


def refused(message: str, code: str) -> Answer:
    """The answer to a request that is not executed."""
    return {"errors": [{"message": message, "extensions": {"code": code}}]}


def _has_nul(variables: Mapping[str, Any]) -> bool:
    """Whether a text in the variables holds U+0000; most have none, which their JSON tells."""
    return b"\\u0000" in orjson.dumps(variables, default=str) and _holds_nul(variables)


def _holds_nul(value: Any) -> bool:
    match value:
        case str():
            return "\0" in value
        case Mapping():
            return any(_holds_nul(part) for pair in value.items() for part in pair)
        case list() | tuple():
            return any(_holds_nul(item) for item in value)
        case _:
            return False


def _own(variables: Mapping[str, Any]) -> dict[str, Any]:
    """The variables, with representations that may be changed: strawberry takes `__typename` out
    of them, and a caller in this process keeps what it passed.
    """
    return {
        name: [dict(item) if isinstance(item, dict) else item for item in value]
        if isinstance(value, list)
        else value
        for name, value in variables.items()
    }


def answer(result: ExecutionResult, context: RequestContext[Any]) -> dict[str, Any]:
    """An execution's result as JSON values, its internal errors masked."""
    response: dict[str, Any] = {}
    if result.errors:
        response["errors"] = [shown(error, context) for error in result.errors]
        if result.data is None and all(error.path is None for error in result.errors):
            return response
    response["data"] = result.data
    if context.stale is not None:
        response["extensions"] = {"stale": context.stale}
    return response


def shown(error: GraphQLError, context: RequestContext[Any]) -> dict[str, Any]:
    """What the client gets to see of an error; the rest is logged under the request's id."""
    cause = _cause(error)
    if cause is None or error.path is None:
        return dict(error.formatted)
    return _masked(dict(error.formatted), cause, context)


def _masked(
    formatted: dict[str, Any], cause: Exception, context: RequestContext[Any]
) -> dict[str, Any]:
    """The error with its code; without its message, if that is not for clients."""
    if isinstance(cause, RequestError | Refusal):
        formatted["extensions"] = {"code": cause.code}
        return formatted
    if isinstance(cause, UNAVAILABLE):
        log.warning("resolver without database", path=formatted.get("path"), reason=str(cause))
        formatted["message"] = "the service cannot reach its database: try again"
        formatted["extensions"] = {"code": "SERVICE_UNAVAILABLE"}
        return formatted
    log.error(
        "resolver failed",
        path=formatted.get("path"),
        request_id=context.request_id,
        exc_info=(type(cause), cause, cause.__traceback__),
    )
    formatted["message"] = f"internal error, see the service's log for {context.request_id}"
    formatted["extensions"] = {"code": "INTERNAL", "requestId": context.request_id}
    return formatted


def _cause(error: GraphQLError) -> Exception | None:
    """The exception a resolver raised; None if GraphQL itself found the error."""
    cause: Exception | None = error
    while isinstance(cause, GraphQLError):
        cause = cause.original_error
    return cause

"""`/graphql`: one HTTP request from its first header to its last byte."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from typing import Any, Final

import structlog
from starlette.types import Receive, Scope, Send

from router.config import RouterConfig
from router.http.callers import Callers
from router.http.errors import (
    BadRequest,
    DeadlineExceeded,
    HeadersTooLarge,
    HttpRefusal,
    MethodNotAllowed,
    NotAcceptable,
    Overloaded,
    RequestTimeout,
)
from router.http.explorer import ExplorerPage
from router.http.headers import request_id
from router.http.middleware.body import read_whole_body
from router.http.middleware.cors import CorsPolicy
from router.http.middleware.csrf import CsrfGuard
from router.http.operation import Caller, OperationPipeline, Ready
from router.http.request import GraphQLRequest, check_content_type, read_body, read_query_string
from router.http.response import (
    CONTENT_TYPES,
    Answer,
    MediaType,
    RawHeaders,
    encode,
    negotiate,
    refusal_body,
    status_of,
)
from router.http.streaming import StreamFormat, stream_answers, stream_format, whole_stream
from router.http.subscriptions import Subscriber, SubscriptionHub
from router.telemetry import Metrics

GRACE_SECONDS: Final = 1.0
"""After the operation's deadline: time to complete a partial answer."""
ALLOWED: Final = "GET, POST, OPTIONS"

log = structlog.get_logger("router.http")


class GraphQLEndpoint:
    """An ASGI application for one path. Everything it can refuse it refuses before it executes."""

    def __init__(
        self,
        pipeline: OperationPipeline,
        config: RouterConfig,
        metrics: Metrics,
        callers: Callers,
        subscriptions: SubscriptionHub,
    ) -> None:
        self.pipeline = pipeline
        self.config = config
        self.metrics = metrics
        self.callers = callers
        self.subscriptions = subscriptions
        self.in_flight = 0
        self.idle = asyncio.Event()
        self.idle.set()
        self._returned = callers.rules.response
        self.cors = CorsPolicy(config.cors)
        self.csrf = CsrfGuard(config.csrf)
        self._page = ExplorerPage() if config.graphiql else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; whatever happens, an answer is sent.

        What a subscription sends after its head is neither a request in flight nor under the
        operation's deadline.
        """
        exchange = _Exchange(scope, receive, send)
        started = time.perf_counter()
        self.enter()
        try:
            await self._answer(exchange)
        finally:
            self.leave()
            seconds = time.perf_counter() - started
            self.metrics.answered(exchange.status, seconds)
            self.log_request(
                exchange.request_id,
                exchange.scope["method"],
                exchange.status,
                seconds,
                exchange.codes,
            )
        if exchange.subscriber is not None:
            await self._stream(exchange, exchange.subscriber)

    def enter(self) -> None:
        """One more operation is under way; `leave` when it is answered."""
        self.in_flight += 1
        if self.in_flight == 1:
            self.idle.clear()

    def leave(self) -> None:
        """One less."""
        self.in_flight -= 1
        if self.in_flight == 0:
            self.idle.set()

    async def _answer(self, exchange: _Exchange) -> None:
        limit = self.config.deadline_seconds + GRACE_SECONDS
        deadline = asyncio.timeout(limit)
        try:
            async with deadline:
                await self._handle(exchange)
        except HttpRefusal as refusal:
            await self._refuse(exchange, refusal)
        except TimeoutError as error:
            if not deadline.expired():
                await self._fail(exchange, error)
            elif exchange.read:
                await self._refuse(exchange, DeadlineExceeded(self.config.deadline_seconds))
            else:
                await self._refuse(exchange, RequestTimeout("The request did not arrive in time."))
        except Exception as error:
            await self._fail(exchange, error)

    async def _handle(self, exchange: _Exchange) -> None:
        headers, config = exchange.headers, self.config
        if self.in_flight > config.limits.concurrent_requests_max:
            raise Overloaded
        if exchange.header_bytes() > config.limits.header_bytes_max:
            raise HeadersTooLarge(config.limits.header_bytes_max)
        method = exchange.scope["method"]
        if method == "POST":
            check_content_type(headers.get(b"content-type"))
            self._negotiate(exchange)
            body = await read_whole_body(
                exchange.receive,
                headers.get(b"content-length"),
                bytes_max=config.limits.body_bytes_max,
            )
            exchange.read = True
            request = read_body(
                body,
                batch_max=config.limits.batch_operations_max,
                variables_depth_max=config.limits.variables_depth_max,
            )
        elif method in {"GET", "HEAD"}:
            exchange.read = True
            if self._page is not None and self._page.wanted(exchange.scope, headers):
                await exchange.send_bytes(200, self._page.body, self._page.headers)
                return
            self._negotiate(exchange)
            self.csrf.check_get(headers)
            request = read_query_string(
                exchange.scope["query_string"],
                variables_depth_max=config.limits.variables_depth_max,
            )
        elif method == "OPTIONS":
            allow = [(b"allow", ALLOWED.encode()), *self.cors.preflight_headers(headers)]
            await exchange.send_bytes(204, b"", allow)
            return
        else:
            raise MethodNotAllowed("GraphQL is asked by GET or POST.", allowed=ALLOWED)
        await self._execute(exchange, request, by_get=method != "POST")

    async def _execute(
        self, exchange: _Exchange, request: GraphQLRequest | list[GraphQLRequest], *, by_get: bool
    ) -> None:
        client = exchange.scope.get("client")
        caller = await self.callers.caller(
            exchange.headers,
            client=client[0] if client else None,
            request_id=exchange.request_id,
            by_get=by_get,
        )
        if exchange.stream is not None and exchange.scope["method"] != "HEAD":
            if isinstance(request, GraphQLRequest):
                await self._execute_streamed(exchange, request, caller)
                return
            if exchange.stream_only:
                raise BadRequest("A batch is not answered by a stream: send one operation.")
        if isinstance(request, GraphQLRequest):
            answer = await self.pipeline.run(request, caller)
            status = status_of(answer, exchange.media)
            await self._send(exchange, status, encode(answer.body), answer.headers)
            self._note_errors(exchange, answer)
            return
        answers = await asyncio.gather(*[self.pipeline.run(one, caller) for one in request])
        headers = [header for answer in answers for header in answer.headers]
        await self._send(exchange, 200, encode([answer.body for answer in answers]), headers)
        for answer in answers:
            self._note_errors(exchange, answer)

    def _negotiate(self, exchange: _Exchange) -> None:
        """What the client takes: one answer, or a stream of them, or either. Raises NotAcceptable.

        Who takes either gets a stream only for a subscription.
        """
        accept = exchange.headers.get(b"accept")
        if accept is not None and (b"event-stream" in accept or b"multipart" in accept):
            exchange.stream = stream_format(accept)
        try:
            exchange.media = negotiate(accept)
        except NotAcceptable:
            if exchange.stream is None:
                raise
            exchange.stream_only = True

    async def _execute_streamed(
        self, exchange: _Exchange, request: GraphQLRequest, caller: Caller
    ) -> None:
        """For a client that takes a stream: begin it, or put the one answer into it if need be."""
        assert exchange.stream is not None
        pipeline = self.pipeline
        ready = await pipeline.ready(request, by_get=caller.by_get)
        if isinstance(ready, Ready) and ready.streams and caller.query_plan != "dry-run":
            exchange.subscriber = self.subscriptions.subscribe(pipeline, ready, caller)
            exchange.status = 200
            return
        answer = ready if isinstance(ready, Answer) else await pipeline.execute(ready, caller)
        body = encode(answer.body)
        if exchange.stream_only:
            body = whole_stream(exchange.stream, body)
            exchange.content_type = exchange.stream.content_type
            await self._send(exchange, 200, body, answer.headers)
        else:
            await self._send(exchange, status_of(answer, exchange.media), body, answer.headers)
        self._note_errors(exchange, answer)

    async def _stream(self, exchange: _Exchange, subscriber: Subscriber) -> None:
        """Send what there is until the subscription ends or the client goes away."""
        assert exchange.stream is not None
        headers: RawHeaders = [
            (b"content-type", exchange.stream.content_type),
            (b"cache-control", b"no-store"),
            (b"x-accel-buffering", b"no"),  # proxies that read it pass on each event at once
            (b"x-request-id", exchange.request_id.encode()),
            *self.cors.answer_headers(exchange.headers.get(b"origin")),
        ]
        ending = await stream_answers(
            subscriber,
            exchange.stream,
            exchange.receive,
            exchange.send,
            headers,
            heartbeat_seconds=self.config.subscriptions.heartbeat_seconds,
            rest_seconds_max=self.config.subscriptions.full_seconds_max,
        )
        if ending is not None:
            self.metrics.count_errors(ending.errors)

    async def _send(
        self,
        exchange: _Exchange,
        status: int,
        body: bytes,
        from_subgraphs: Any = (),
    ) -> None:
        headers: RawHeaders = [
            (b"content-type", exchange.content_type or CONTENT_TYPES[exchange.media]),
            (b"content-length", b"%d" % len(body)),
            (b"cache-control", b"no-store"),
            (b"x-request-id", exchange.request_id.encode()),
        ]
        if self.cors.enabled:
            headers += self.cors.answer_headers(exchange.headers.get(b"origin"))
        for name, value in from_subgraphs:
            if name in self._returned:
                headers.append((name.encode("latin-1"), value.encode("latin-1", "replace")))
        await exchange.send_bytes(status, body, headers)

    async def _refuse(self, exchange: _Exchange, refusal: HttpRefusal) -> None:
        exchange.codes.append(refusal.code)
        self.metrics.errors.labels(refusal.code).inc()
        headers = list(refusal.headers())
        if exchange.status:
            return  # an answer was begun already
        raw: RawHeaders = [
            (name.encode("latin-1"), value.encode("latin-1")) for name, value in headers
        ]
        if refusal.closes:
            raw.append((b"connection", b"close"))
        body = refusal_body(refusal)
        raw += [
            (b"content-type", CONTENT_TYPES[exchange.media]),
            (b"content-length", b"%d" % len(body)),
            (b"cache-control", b"no-store"),
            (b"x-request-id", exchange.request_id.encode()),
            *self.cors.answer_headers(exchange.headers.get(b"origin")),
        ]
        await exchange.send_bytes(refusal.status, body, raw)

    async def _fail(self, exchange: _Exchange, error: Exception) -> None:
        """A bug: logged whole, told only as far as settings allow."""
        code = "INTERNAL_SERVER_ERROR"
        log.error("request failed", request_id=exchange.request_id, exc_info=error)
        exchange.codes.append(code)
        self.metrics.errors.labels(code).inc()
        if exchange.status:
            return
        masked = self.config.mask_internal_errors
        told = "Internal server error" if masked else f"{type(error).__name__}: {error}"
        extensions = {"code": code, "requestId": exchange.request_id}
        body = encode({"errors": [{"message": told, "extensions": extensions}]})
        await self._send(exchange, 500, body)

    def _note_errors(self, exchange: _Exchange, answer: Answer) -> None:
        errors = answer.body.get("errors", ())
        if errors:
            self.metrics.count_errors(errors)
            exchange.codes += [error.get("extensions", {}).get("code", "NONE") for error in errors]

    def log_request(
        self, request_id: str, method: str, status: int, seconds: float, codes: Iterable[str] = ()
    ) -> None:
        """Write down a request that settings want to see."""
        settings = self.config.logs
        slow = seconds >= settings.slow_seconds
        if not (settings.requests or slow or codes):
            return
        log.info(
            "request",
            request_id=request_id,
            method=method,
            status=status,
            seconds=round(seconds, 6),
            codes=sorted(set(codes)),
        )


class _Exchange:
    """One request and what was answered to it."""

    __slots__ = (
        "codes",
        "content_type",
        "headers",
        "media",
        "read",
        "receive",
        "request_id",
        "scope",
        "send",
        "status",
        "stream",
        "stream_only",
        "subscriber",
    )

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        self.receive = receive
        self.send = send
        self.headers: Mapping[bytes, bytes] = dict(scope["headers"])
        self.request_id = request_id(self.headers)
        self.media = MediaType.JSON
        self.read = False
        self.status = 0
        self.codes: list[str] = []
        self.content_type: bytes | None = None
        """Other than that of `media`."""
        self.stream: StreamFormat | None = None
        self.stream_only = False
        self.subscriber: Subscriber | None = None

    def header_bytes(self) -> int:
        """Bytes in header names and values and the query string."""
        size = len(self.scope["query_string"])
        for name, value in self.scope["headers"]:
            size += len(name) + len(value)
        return size

    async def send_bytes(self, status: int, body: bytes, headers: RawHeaders) -> None:
        """The whole answer; without its body if only its head was asked for."""
        self.status = status
        await self.send({"type": "http.response.start", "status": status, "headers": headers})
        if self.scope["method"] == "HEAD":
            body = b""
        await self.send({"type": "http.response.body", "body": body})

"""Why a subgraph gave no usable answer."""

from __future__ import annotations

from typing import Any, ClassVar

from router.errors import RouterError


class SubgraphError(RouterError):
    """No usable answer came from subgraph `service`.

    `retryable` says that sending a query again may help; `counts` that the subgraph itself is at
    fault, which a circuit breaker wants to know. Messages are safe to show to clients.
    """

    code: ClassVar[str] = "SUBREQUEST_FAILED"
    retryable: ClassVar[bool] = False
    counts: ClassVar[bool] = True

    def __init__(self, service: str, message: str) -> None:
        self.service = service
        super().__init__(message)

    def extensions(self) -> dict[str, Any]:
        """What is told besides message and path."""
        return {"code": self.code, "service": self.service}


class SubgraphConnectionError(SubgraphError):
    """It could not be reached, or the connection broke before the answer was whole."""

    code: ClassVar[str] = "SUBREQUEST_CONNECTION_ERROR"
    retryable: ClassVar[bool] = True

    def __init__(self, service: str, reason: str) -> None:
        self.reason = reason
        super().__init__(service, f'subgraph "{service}" cannot be reached: {reason}')


class SubgraphConnectionClosed(SubgraphConnectionError):
    """It closed the connection; `answered` tells whether any byte of the answer had come."""

    def __init__(self, service: str, *, answered: bool) -> None:
        self.answered = answered
        where = "in the middle of its answer" if answered else "without an answer"
        super().__init__(service, f"it closed the connection {where}")


class SubgraphTimeout(SubgraphError):
    """No whole answer within the time allowed."""

    code: ClassVar[str] = "SUBREQUEST_TIMEOUT"

    def __init__(self, service: str, seconds: float) -> None:
        self.seconds = seconds
        super().__init__(service, f'subgraph "{service}" did not answer within {seconds:.3g} s')


class SubgraphHttpError(SubgraphError):
    """It answered with a status that is no success, and no GraphQL answer in the body."""

    code: ClassVar[str] = "SUBREQUEST_HTTP_ERROR"

    def __init__(self, service: str, status: int, *, retryable: bool = False) -> None:
        self.status = status
        self.may_retry = retryable
        super().__init__(service, f'subgraph "{service}" answered with HTTP status {status}')

    def extensions(self) -> dict[str, Any]:
        return {**super().extensions(), "http": {"status": self.status}}


class SubgraphMalformedResponse(SubgraphError):
    """Its answer is not what GraphQL prescribes, or not what was asked for."""

    code: ClassVar[str] = "SUBREQUEST_MALFORMED_RESPONSE"

    def __init__(self, service: str, reason: str) -> None:
        self.reason = reason
        super().__init__(service, f'subgraph "{service}" gave a malformed answer: {reason}')


class SubgraphResponseTooLarge(SubgraphError):
    """Its answer exceeds the limit."""

    code: ClassVar[str] = "SUBREQUEST_RESPONSE_TOO_LARGE"

    def __init__(self, service: str, bytes_max: int) -> None:
        self.bytes_max = bytes_max
        super().__init__(service, f'subgraph "{service}" answered with more than {bytes_max} bytes')


class SubgraphOverloaded(SubgraphError):
    """Too many requests wait for a connection to it already."""

    code: ClassVar[str] = "SUBREQUEST_OVERLOADED"
    counts: ClassVar[bool] = False

    def __init__(self, service: str, waiting_max: int) -> None:
        self.waiting_max = waiting_max
        super().__init__(
            service, f'{waiting_max} requests are waiting for subgraph "{service}" already'
        )


class SubgraphCircuitOpen(SubgraphError):
    """It failed so often that it is left alone for a while."""

    code: ClassVar[str] = "SUBREQUEST_CIRCUIT_OPEN"
    counts: ClassVar[bool] = False

    def __init__(self, service: str) -> None:
        super().__init__(
            service, f'subgraph "{service}" failed too often and is left alone for a while'
        )


class SubgraphCallFailed(SubgraphError):
    """An in-process subgraph raised; the cause is logged, not shown."""

    code: ClassVar[str] = "SUBREQUEST_FAILED"

    def __init__(self, service: str) -> None:
        super().__init__(service, f'subgraph "{service}" failed')


class SubscriptionRefused(SubgraphError):
    """It did not begin the stream, or gave it up, and said why: `errors`, GraphQL errors."""

    code: ClassVar[str] = "SUBSCRIPTION_REFUSED"
    counts: ClassVar[bool] = False

    def __init__(self, service: str, errors: list[dict[str, Any]]) -> None:
        self.errors = errors
        super().__init__(service, f'subgraph "{service}" refused the subscription')


class SubscriptionInterrupted(SubgraphError):
    """The stream broke off: the subgraph went away without ending it."""

    code: ClassVar[str] = "SUBSCRIPTION_INTERRUPTED"

    def __init__(self, service: str, reason: str) -> None:
        self.reason = reason
        super().__init__(service, f'subgraph "{service}" broke off the subscription: {reason}')


class SubscriptionsNotOffered(SubgraphError):
    """It was given to the router without a way to subscribe."""

    code: ClassVar[str] = "SUBSCRIPTIONS_NOT_OFFERED"
    counts: ClassVar[bool] = False

    def __init__(self, service: str) -> None:
        super().__init__(service, f'subgraph "{service}" offers no subscriptions')


class SubgraphUrlError(RouterError):
    """A subgraph address that cannot be called."""

    code: ClassVar[str] = "INVALID_SUBGRAPH_URL"

    def __init__(self, service: str, url: str, reason: str) -> None:
        self.service, self.url, self.reason = service, url, reason
        super().__init__(
            f'subgraph "{service}" has the URL {url!r}: {reason}; expected http://HOST:PORT/PATH, '
            "https://… or unix:///PATH/TO/SOCKET?path=/graphql"
        )

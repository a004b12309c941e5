"""Requests the router refuses, each with an HTTP status and a code; messages are safe to show."""

from __future__ import annotations

from typing import Any, ClassVar

from router.errors import RouterError


class HttpRefusal(RouterError):
    """A request that is not executed. `headers` go on the answer."""

    code: ClassVar[str] = "BAD_REQUEST"
    status: ClassVar[int] = 400
    closes: ClassVar[bool] = False
    """Whether the connection is of no more use, as its request was not read to the end."""

    def headers(self) -> tuple[tuple[str, str], ...]:
        """Headers of the answer besides the usual ones."""
        return ()

    def extensions(self) -> dict[str, Any]:
        """The error's extensions."""
        return {"code": self.code}

    def as_error(self) -> dict[str, Any]:
        """The error as GraphQL answers carry it."""
        return {"message": str(self), "extensions": self.extensions()}


class BadRequest(HttpRefusal):
    """Not a GraphQL-over-HTTP request."""


class MethodNotAllowed(HttpRefusal):
    """A method other than GET and POST, or a mutation by GET."""

    code: ClassVar[str] = "METHOD_NOT_ALLOWED"
    status: ClassVar[int] = 405

    def __init__(self, message: str, *, allowed: str) -> None:
        self.allowed = allowed
        super().__init__(message)

    def headers(self) -> tuple[tuple[str, str], ...]:
        return (("allow", self.allowed),)


class NotAcceptable(HttpRefusal):
    """The client takes no media type that the router has."""

    code: ClassVar[str] = "NOT_ACCEPTABLE"
    status: ClassVar[int] = 406


class UnsupportedMediaType(HttpRefusal):
    """A body of a kind the router does not read."""

    code: ClassVar[str] = "UNSUPPORTED_MEDIA_TYPE"
    status: ClassVar[int] = 415


class BodyTooLarge(HttpRefusal):
    """A body beyond the limit; it is not read."""

    code: ClassVar[str] = "PAYLOAD_TOO_LARGE"
    status: ClassVar[int] = 413
    closes: ClassVar[bool] = True

    def __init__(self, bytes_max: int) -> None:
        self.bytes_max = bytes_max
        super().__init__(f"The request body may have at most {bytes_max} bytes.")


class HeadersTooLarge(HttpRefusal):
    """Headers or a query string beyond the limit."""

    code: ClassVar[str] = "REQUEST_HEADER_FIELDS_TOO_LARGE"
    status: ClassVar[int] = 431

    def __init__(self, bytes_max: int) -> None:
        self.bytes_max = bytes_max
        super().__init__(f"The request's headers may have at most {bytes_max} bytes.")


class RequestTimeout(HttpRefusal):
    """The request did not arrive in time."""

    code: ClassVar[str] = "REQUEST_TIMEOUT"
    status: ClassVar[int] = 408
    closes: ClassVar[bool] = True


class DeadlineExceeded(HttpRefusal):
    """The operation took too long."""

    code: ClassVar[str] = "GATEWAY_TIMEOUT"
    status: ClassVar[int] = 504

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        super().__init__(f"The operation took longer than {seconds:.3g} s.")


class Overloaded(HttpRefusal):
    """Too many requests at once."""

    code: ClassVar[str] = "SERVICE_UNAVAILABLE"
    status: ClassVar[int] = 503

    def __init__(self) -> None:
        super().__init__("The router is handling as many requests as it can.")

    def headers(self) -> tuple[tuple[str, str], ...]:
        return (("retry-after", "1"),)


class CsrfSuspected(HttpRefusal):
    """A request that a foreign web page could have made a browser send."""

    code: ClassVar[str] = "CSRF_PREVENTED"
    status: ClassVar[int] = 403


class BatchTooLarge(HttpRefusal):
    """More operations in one request than allowed."""

    code: ClassVar[str] = "BATCH_LIMIT_EXCEEDED"

    def __init__(self, found: int, allowed: int) -> None:
        self.found, self.allowed = found, allowed
        message = f"The batch has {found} operations, at most {allowed} are allowed."
        super().__init__(message if allowed else "Batches of operations are not allowed.")


class Unauthenticated(HttpRefusal):
    """A token that is not valid."""

    code: ClassVar[str] = "UNAUTHENTICATED"
    status: ClassVar[int] = 401

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"The token is not valid: {reason}.")

    def headers(self) -> tuple[tuple[str, str], ...]:
        challenge = f'Bearer error="invalid_token", error_description="{self.reason}"'
        return (("www-authenticate", challenge),)


class AuthenticationUnavailable(HttpRefusal):
    """The keys that tokens are verified with cannot be had."""

    code: ClassVar[str] = "AUTHENTICATION_UNAVAILABLE"
    status: ClassVar[int] = 503

    def __init__(self) -> None:
        super().__init__("Tokens cannot be verified at the moment.")

    def headers(self) -> tuple[tuple[str, str], ...]:
        return (("retry-after", "1"),)


class TooManySubscriptions(HttpRefusal):
    """As many clients are subscribed as may be."""

    code: ClassVar[str] = "TOO_MANY_SUBSCRIPTIONS"
    status: ClassVar[int] = 503

    def __init__(self, allowed: int) -> None:
        self.allowed = allowed
        super().__init__(f"There are {allowed} subscriptions already: end one, or try later.")


class SubscriptionsDisabled(HttpRefusal):
    """The operator wants none."""

    code: ClassVar[str] = "SUBSCRIPTIONS_DISABLED"
    status: ClassVar[int] = 400

    def __init__(self) -> None:
        super().__init__("This router offers no subscriptions (`subscriptions.enabled`).")


class SubscriptionEnded(RouterError):
    """Why the router ended a subscription; messages are safe to show."""

    code: ClassVar[str] = "SUBSCRIPTION_ENDED"
    message: ClassVar[str] = "The subscription has ended."

    def __init__(self) -> None:
        super().__init__(self.message)

    def as_error(self) -> dict[str, Any]:
        """The error as GraphQL answers carry it."""
        return {"message": self.message, "extensions": {"code": self.code}}


class SubscriberTooSlow(SubscriptionEnded):
    """More events waited for the client than are kept."""

    code: ClassVar[str] = "SUBSCRIPTION_TOO_SLOW"
    message: ClassVar[str] = (
        "The client takes events more slowly than they come: subscribe again, and read what was "
        "missed with a query."
    )


class SubscriberTokenExpired(SubscriptionEnded):
    """The token that it was asked with is no longer valid."""

    code: ClassVar[str] = "SUBSCRIPTION_JWT_EXPIRED"
    message: ClassVar[str] = "The token has expired: subscribe again with a new one."


class SchemaReloaded(SubscriptionEnded):
    """The router serves another supergraph from now on."""

    code: ClassVar[str] = "SUBSCRIPTION_SCHEMA_RELOAD"
    message: ClassVar[str] = "The schema was replaced: subscribe again."


class ServerShutdown(SubscriptionEnded):
    """The router ends."""

    code: ClassVar[str] = "SUBSCRIPTION_SERVER_SHUTDOWN"
    message: ClassVar[str] = "The server is shutting down: subscribe again."


class OperationRefused(RouterError):
    """An operation that is not executed: `errors` are what the answer says, safe to show."""

    code: ClassVar[str] = "GRAPHQL_VALIDATION_FAILED"

    def __init__(self, errors: list[dict[str, Any]]) -> None:
        self.errors = errors
        super().__init__("; ".join(str(error.get("message")) for error in errors))


class OperationLimitExceeded(OperationRefused):
    """An operation beyond one of `router.config.Limits`, named `limit`."""

    code: ClassVar[str] = "OPERATION_LIMIT_EXCEEDED"

    def __init__(self, limit: str, what: str, found: int | None, allowed: int) -> None:
        self.limit, self.found, self.allowed = limit, found, allowed
        has = f"has {found} {what}" if found is not None else f"has more {what}"
        message = f"The operation {has} than allowed: at most {allowed}."
        if found is not None:
            message = f"The operation {has}, at most {allowed} are allowed."
        extensions = {"code": self.code, "limit": limit, "allowed": allowed}
        super().__init__([{"message": message, "extensions": extensions}])

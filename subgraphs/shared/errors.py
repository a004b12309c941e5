"""Two kinds of "no": a refusal of the domain, and a fault of the request or of the caller.

A `Refusal` becomes a typed entry of `userErrors`, or in a query, which has none, an entry of
`errors`; a `RequestError` is always an entry of `errors`. Both go with their code and are safe to
show. Everything else is a bug or an outage, and masked.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar


class Refusal(Exception):
    """The domain says no. `path` names the input it speaks of, from the arguments down.

    `recorded` is set by who recorded it already; others are recorded as `command.refused`.
    """

    code: ClassVar[str] = "REFUSED"
    recorded = False

    def __init__(self, message: str, *, path: Sequence[str] | None = None) -> None:
        self.message = message
        self.path = list(path) if path is not None else None
        super().__init__(message)


class InvalidValue(Refusal):
    """A value that no state of the world would make acceptable."""

    code = "INVALID"


class NotFound(Refusal):
    """There is no such thing, or the caller may not know that there is."""

    code = "NOT_FOUND"

    def __init__(self, thing: str, thing_id: str, *, path: Sequence[str] | None = None) -> None:
        self.thing, self.thing_id = thing, thing_id
        super().__init__(f"there is no {thing} {thing_id!r} that you may see", path=path)


class VersionChanged(Refusal):
    """Somebody else wrote first: read again, decide again."""

    code = "VERSION_CONFLICT"

    def __init__(self, thing_id: str, expected: int | None, actual: int) -> None:
        self.thing_id, self.expected, self.actual = thing_id, expected, actual
        super().__init__(
            f"{thing_id} is at version {actual}, you expected {expected}: read it again and retry"
        )


class PersonErased(Refusal):
    """The command would store something of somebody who was forgotten."""

    code = "SUBJECT_ERASED"

    def __init__(self, person_id: str) -> None:
        self.person_id = person_id
        super().__init__(f"{person_id} was erased: nothing personal of them is stored any more")


class KeyReused(Refusal):
    """An idempotency key that was used before, for something else."""

    code = "IDEMPOTENCY_KEY_REUSED"

    def __init__(self) -> None:
        super().__init__(
            "this idempotency key was used before with another request: "
            "repeat that request unchanged, or use a new key",
            path=["idempotencyKey"],
        )


class Refusals(Exception):
    """Several refusals of one command, all to be reported: every bad line of a batch, say."""

    def __init__(self, refusals: Sequence[Refusal]) -> None:
        self.refusals = list(refusals)
        super().__init__("; ".join(refusal.message for refusal in refusals))


class RequestError(Exception):
    """A request that cannot be served as it stands: base of what may be shown in `errors`."""

    code: ClassVar[str] = "BAD_REQUEST"


class Unauthenticated(RequestError):
    """No identity, or one that cannot be believed."""

    code = "UNAUTHENTICATED"

    def __init__(self, reason: str = "sign in first") -> None:
        self.reason = reason
        super().__init__(f"not authenticated: {reason}")


class Forbidden(RequestError):
    """The caller is known and may not do this."""

    code = "FORBIDDEN"

    def __init__(self, action: str, *, needs: Sequence[str] = ()) -> None:
        self.action, self.needs = action, tuple(needs)
        way_on = f": it takes the role {' or '.join(needs)}" if needs else ""
        super().__init__(f"you may not {action}{way_on}")


class InvalidPage(RequestError):
    """A page that cannot be given: `first` out of range, or a cursor that is not of this list."""

    code = "INVALID_PAGE"

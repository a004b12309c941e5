"""Reading a request's body, never more of it than allowed."""

from __future__ import annotations

from starlette.types import Receive

from router.http.errors import BadRequest, BodyTooLarge


async def read_whole_body(
    receive: Receive, content_length: bytes | None, *, bytes_max: int
) -> bytes:
    """The body. A length that is declared too large is refused before anything is read.

    Raises BodyTooLarge, or BadRequest when the client goes away or declares nonsense.
    """
    if content_length is not None:
        if not content_length.isdigit():
            raise BadRequest("The header `content-length` is no number.")
        if int(content_length) > bytes_max:
            raise BodyTooLarge(bytes_max)
    message = await receive()
    body: bytes = message.get("body", b"")
    if not message.get("more_body", False) and message["type"] == "http.request":
        if len(body) > bytes_max:
            raise BodyTooLarge(bytes_max)
        return body
    parts, size = [body], len(body)
    while message["type"] == "http.request" and message.get("more_body", False):
        if size > bytes_max:
            raise BodyTooLarge(bytes_max)
        message = await receive()
        part = message.get("body", b"")
        parts.append(part)
        size += len(part)
    if message["type"] != "http.request":
        raise BadRequest("The client went away in the middle of its request.")
    if size > bytes_max:
        raise BodyTooLarge(bytes_max)
    return b"".join(parts)

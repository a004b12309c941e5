"""What the owner of a log says of it, over HTTP: `GET /audit/…`, guarded as feeds are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode
from uuid import UUID

import msgspec

from eventstore.audit import EventHash
from eventstore.audit.as_of import Change, Time
from eventstore.http_client import UNREACHABLE, HttpClient
from subgraphs.shared.errors import InvalidValue
from subgraphs.shared.log_audit import (
    LogAudit,
    LogState,
    LogUnreachable,
    NotSealedYet,
    StateThen,
    StateUnreadable,
    Verified,
)

ANSWER_SECONDS_MAX = 15.0
VERIFY_SECONDS_MAX = 3600.0
"""A hundred thousand events a second are verified, so this is enough for some hundred million."""


async def answer(audit: LogAudit, what: str, given: Mapping[str, str]) -> bytes:
    """What `GET /audit/<what>` answers, as JSON. Raises InvalidValue for what cannot be asked."""
    match what:
        case "state":
            found: Any = await audit.state()
        case "hashes":
            found = await audit.hashes([UUID(each) for each in given["ids"].split(",")])
        case "proof":
            return await audit.prove(UUID(given["event"]))
        case "verify":
            found = await audit.verify()
        case "as-of":
            version, at = given.get("version"), given.get("at")
            found = await audit.as_of(
                given["stream"],
                None if version is None else int(version),
                None if at is None else datetime.fromisoformat(at).astimezone(UTC),
                Time(given.get("by", Time.RECORDED.value)),
            )
        case "diff":
            found = await audit.diff(given["stream"], int(given["from"]), int(given["to"]))
        case _:
            raise InvalidValue(f"there is no /audit/{what[:40]}")
    return msgspec.json.encode(found)


class HttpAudit:
    """The log of a service that runs elsewhere: `url` is that of its `/audit`."""

    def __init__(self, name: str, url: str, authorization: str) -> None:
        self._name = name
        self._client = HttpClient(url, {"authorization": authorization})

    async def state(self) -> LogState:
        found: LogState = await self._ask("state", LogState, {})
        return found

    async def hashes(self, ids: Sequence[UUID]) -> list[EventHash]:
        given = {"ids": ",".join(map(str, ids))}
        found: list[EventHash] = await self._ask("hashes", list[EventHash], given)
        return found

    async def prove(self, event_id: UUID) -> bytes:
        return bytes(await self._ask("proof", msgspec.Raw, {"event": event_id}))

    async def verify(self) -> Verified:
        found: Verified = await self._ask("verify", Verified, {}, VERIFY_SECONDS_MAX)
        return found

    async def as_of(
        self, stream: str, version: int | None, at: datetime | None, by: Time = Time.RECORDED
    ) -> StateThen | None:
        moment = at.isoformat() if at is not None else None
        given = {"stream": stream, "version": version, "at": moment, "by": by.value}
        found: StateThen | None = await self._ask("as-of", StateThen | None, given)
        return found

    async def diff(self, stream: str, from_version: int, to_version: int) -> list[Change] | None:
        given = {"stream": stream, "from": from_version, "to": to_version}
        found: list[Change] | None = await self._ask("diff", list[Change] | None, given)
        return found

    async def _ask(
        self,
        what: str,
        kind: Any,
        given: Mapping[str, Any],
        seconds_max: float = ANSWER_SECONDS_MAX,
    ) -> Any:
        asked = {name: value for name, value in given.items() if value is not None}
        target = f"/{what}?{urlencode(asked, quote_via=quote)}"
        try:
            status_code, body = await self._client.get(target, seconds_max)
        except UNREACHABLE as error:
            raise LogUnreachable(self._name, str(error) or type(error).__name__) from None
        if status_code == 409:
            raise NotSealedYet(msgspec.json.decode(body)["message"])
        if status_code == 422:
            raise StateUnreadable(msgspec.json.decode(body)["message"])
        if status_code != 200:
            raise LogUnreachable(self._name, f"it answered {status_code}")
        return msgspec.json.decode(body, type=kind)

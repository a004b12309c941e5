"""The files of exports over HTTP: `GET /exports/<id>/<file>?token=…`.

A token is signed and opens one file for LINK_SECONDS. It is given to an auditor with the export
(`Export.url`), so that a browser, or `curl`, needs no other credentials. Whoever fetches a file is
recorded as a reader of what is in it, before its first byte leaves.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from datetime import datetime

import msgspec
import structlog
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from eventstore import ANY, Actor, Append, EventStore, EventStoreError, Metadata, Streams
from subgraphs.journal.events import ExportCompleted
from subgraphs.journal.export import Export
from subgraphs.journal.exporting import MANIFEST, Exports
from subgraphs.shared.events import AskedField, AuditRead
from subgraphs.shared.ids import new_id
from subgraphs.shared.reading import reads_stream

LINK_SECONDS = 600
MEDIA_TYPES = {"jsonl": "application/jsonl", "csv": "text/csv", MANIFEST: "application/json"}

log = structlog.get_logger("subgraphs.journal")


class _Claims(msgspec.Struct, array_like=True):
    """`kind` is what follows the id in the name of the file."""

    export_id: str
    kind: str
    reader: str
    expires: int


class _Refused(Exception):
    def __init__(self, status: int, code: str, message: str) -> None:
        self.status, self.code, self.message = status, code, message
        super().__init__(message)


class Downloads:
    """Makes the links, and answers them. `url` is what the journal is reached at; with "" links are
    paths, to be resolved against the URL that GraphQL is asked at.
    """

    def __init__(
        self,
        store: EventStore,
        exports: Exports,
        *,
        secret: bytes,
        url: str,
        clock: Callable[[], datetime],
    ) -> None:
        self._store, self._streams, self._exports = store, Streams(store), exports
        self._key = hmac.digest(secret, b"lonja downloads of exports v1", "sha256")
        self._url, self._clock = url.rstrip("/"), clock

    def link(self, export_id: str, kind: str, reader: str) -> str:
        """Where `reader` finds a file of an export for a while."""
        expires = int(self._clock().timestamp()) + LINK_SECONDS
        body = _text(msgspec.json.encode(_Claims(export_id, kind, reader, expires)))
        return f"{self._url}/exports/{export_id}/{kind}?token={body}.{_text(self._signed(body))}"

    def routes(self) -> list[Route]:
        """What the journal serves."""
        return [Route("/exports/{export_id}/{kind}", self._answer)]

    async def _answer(self, request: Request) -> Response:
        try:
            claims = self._claims(request)
            result = await self._result(claims.export_id)
            name = f"{claims.export_id}.{claims.kind}"
            assert self._exports.folder is not None, "a link was made without a folder"
            path = self._exports.folder / name
            if not path.is_file():
                raise _Refused(410, "EXPORT_GONE", f"{name} is not here any more: export anew")
            if request.method == "GET":
                await self._record(claims, result)
        except _Refused as refused:
            body = {"code": refused.code, "message": refused.message}
            return JSONResponse(body, refused.status)
        return FileResponse(
            path,
            filename=name,
            media_type=MEDIA_TYPES[claims.kind],
            headers={"cache-control": "no-store", "x-content-type-options": "nosniff"},
        )

    def _claims(self, request: Request) -> _Claims:
        """What the token says, if this journal signed it for this file and it has not expired."""
        body, _, signature = request.query_params.get("token", "").partition(".")
        wrong = _Refused(
            403, "LINK_INVALID", "this link was not given by the journal: ask for `export { url }`"
        )
        if not hmac.compare_digest(_text(self._signed(body)).encode(), signature.encode()):
            raise wrong
        claims = msgspec.json.decode(urlsafe_b64decode(body + "=" * (-len(body) % 4)), type=_Claims)
        given = (request.path_params["export_id"], request.path_params["kind"])
        if (claims.export_id, claims.kind) != given:
            raise wrong
        if claims.expires < self._clock().timestamp():
            raise _Refused(
                403,
                "LINK_EXPIRED",
                f"this link was good for {LINK_SECONDS // 60} minutes: ask for `export {{ url }}`",
            )
        return claims

    async def _result(self, export_id: str) -> ExportCompleted:
        """The export's result, while it has one."""
        try:
            export, _ = await self._streams.load(Export, export_id)
        except EventStoreError as error:
            raise _Refused(503, error.code, str(error)) from None
        if export.result is None:
            reason = export.reason or "it is not written yet"
            raise _Refused(410, "EXPORT_GONE", f"export {export_id} has no file: {reason}")
        return export.result

    async def _record(self, claims: _Claims, result: ExportCompleted) -> None:
        """That the file was read, and whom it tells of: as was recorded when it was written."""
        asked = msgspec.json.encode({"file": claims.kind}).decode()
        told = await self._told(claims.export_id)
        read = AuditRead(
            asked=(AskedField("export.url", claims.export_id, asked),),
            events=result.events,
            persons=told.persons if told else (),
            persons_unlisted=told.persons_unlisted if told else 0,
        )
        command = new_id("cmd")
        metadata = Metadata(
            actor=Actor("staff", claims.reader),
            command_id=command,
            correlation_id=command,
            occurred_at=self._clock(),
        )
        try:
            await self._store.append(
                Append(reads_stream(claims.reader), [read], ANY), metadata=metadata
            )
        except EventStoreError as error:
            log.warning("download not recorded", export=claims.export_id, reason=str(error))
            raise _Refused(
                503, "READ_NOT_RECORDED", "who reads is recorded, and that fails now: try again"
            ) from None

    async def _told(self, export_id: str) -> AuditRead | None:
        """What was recorded together with the end of the export."""
        for recorded in await self._store.read_stream(export_id):
            if isinstance(recorded.event, ExportCompleted):
                after = await self._store.read(recorded.position, limit=1, types=[AuditRead.TYPE])
                return next((each.event for each in after), None)
        return None

    def _signed(self, body: str) -> bytes:
        return hmac.digest(self._key, body.encode(), hashlib.sha256)


def _text(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()

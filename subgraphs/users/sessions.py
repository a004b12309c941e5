"""Sessions: a refresh token that works once, and gives away whoever uses it twice."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field, replace
from datetime import datetime

from eventstore.event import Event
from subgraphs.shared.errors import Refusal
from subgraphs.shared.ids import is_id
from subgraphs.users.events import SessionRefreshed, SessionRevoked, SessionStarted

TOKEN_BYTES = 32


class SessionOver(Refusal):
    """The refresh token is not good any more: sign in again."""

    code = "SESSION_OVER"

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"the session is over ({reason}): sign in again", path=["refreshToken"])


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """`text` is what the client keeps; only `hash` is ever stored."""

    session_id: str
    text: str

    @classmethod
    def new(cls, session_id: str) -> RefreshToken:
        """A token that cannot be guessed."""
        return cls(session_id, f"{session_id}.{secrets.token_urlsafe(TOKEN_BYTES)}")

    @classmethod
    def read(cls, text: str) -> RefreshToken:
        """Raises SessionOver for what no token looks like."""
        session_id, _, secret = text.partition(".")
        if not is_id(session_id, "ses") or not secret or len(text) > 200:
            raise SessionOver("unknown token")
        return cls(session_id, text)

    @property
    def hash(self) -> str:
        """Fast on purpose: the token has 256 random bits, there is nothing to guess."""
        return hashlib.sha256(self.text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Session:
    """State folded from one session's stream."""

    id: str
    user_id: str | None = None
    token_hash: str = ""
    expires_at: datetime | None = None
    used_hashes: frozenset[str] = field(default=frozenset())
    revoked: str | None = None

    @classmethod
    def initial(cls, stream: str) -> Session:
        """Not started."""
        return cls(stream)

    def refresh(self, token: RefreshToken, new: RefreshToken, now: datetime) -> list[Event]:
        """Decide. A token used before revokes the session: two have it, and one is a thief.

        Raises SessionOver for a session that is over, or a token that never was one.
        """
        if self.user_id is None or self.expires_at is None:
            raise SessionOver("unknown token")
        if self.revoked is not None:
            raise SessionOver(self.revoked)
        if now >= self.expires_at:
            raise SessionOver("expired")
        if token.hash in self.used_hashes:
            return [SessionRevoked(self.id, self.user_id, "token_reused")]
        if token.hash != self.token_hash:
            raise SessionOver("unknown token")
        return [SessionRefreshed(self.id, new.hash)]

    def revoke(self, reason: str) -> list[Event]:
        """Decide. A session that is over, or never was, is nothing to do."""
        if self.user_id is None or self.revoked is not None:
            return []
        return [SessionRevoked(self.id, self.user_id, reason)]

    def evolve(self, event: Event) -> Session:
        """Fold. Never refuses: the event already happened."""
        match event:
            case SessionStarted():
                return replace(
                    self,
                    user_id=event.user_id,
                    token_hash=event.token_hash,
                    expires_at=event.expires_at,
                )
            case SessionRefreshed():
                return replace(
                    self,
                    token_hash=event.token_hash,
                    used_hashes=self.used_hashes | {self.token_hash},
                )
            case SessionRevoked():
                return replace(self, revoked=event.reason)
            case _:
                return self

"""Access tokens: JWTs signed with Ed25519, and the keys to verify them with.

Several keys may be known at once: the first one signs, all of them verify. To rotate, put a new key
in front, and take the old one out when its last token has expired.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
from joserfc import jwt
from joserfc._rfc7515.model import JWSAlgModel
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, OKPKey
from joserfc.jws import JWSRegistry

from subgraphs.shared.auth import Role

ISSUER = AUDIENCE = "lonja"
ALGORITHM = "EdDSA"


class _Ed25519(JWSRegistry):
    """Knows one algorithm, by the name that verifiers in every language know it by.

    RFC 9864 renames it to Ed25519; JOSE libraries that are in use do not all know that name yet.
    """

    def get_alg(self, name: str) -> JWSAlgModel:
        if name != ALGORITHM:
            return super().get_alg(name)
        return self.algorithms[ALGORITHM]


_REGISTRY = _Ed25519(algorithms=[ALGORITHM])


@dataclass(frozen=True, slots=True)
class AccessToken:
    text: str
    expires_at: datetime


class SigningKeys:
    """The keys of the service, the signing one first."""

    def __init__(self, keys: Sequence[OKPKey]) -> None:
        if not keys:
            raise ValueError("at least one signing key is needed")
        self._keys = list(keys)

    @classmethod
    def generate(cls) -> SigningKeys:
        """One new key, which dies with the process: all tokens with it."""
        return cls([_named(OKPKey.generate_key("Ed25519"))])

    @classmethod
    def from_file(cls, path: Path) -> SigningKeys:
        """Read a private JWK set; where there is no file yet, write one with a new key.

        The file is readable by its owner alone. Raises OSError, ValueError.
        """
        if not path.exists():
            keys = cls.generate()
            private = {"keys": [key.as_dict(private=True) for key in keys._keys]}
            path.parent.mkdir(parents=True, exist_ok=True)
            _write_once(path, msgspec.json.encode(private))
            return cls.from_file(path)
        try:
            entries = msgspec.json.decode(path.read_bytes(), type=dict[str, list[dict[str, Any]]])
            keys_read = [_named(OKPKey.import_key(entry)) for entry in entries["keys"]]
        except (msgspec.DecodeError, KeyError, JoseError) as error:
            raise ValueError(f"{path} is not a set of private keys (JWKS): {error}") from None
        return cls(keys_read)

    def jwks(self) -> dict[str, Any]:
        """The public keys, as routers ask for them."""
        return {"keys": [key.as_dict(private=False) for key in self._keys]}

    def sign(
        self,
        *,
        user_id: str,
        roles: Iterable[Role],
        session_id: str,
        now: datetime,
        lifetime: timedelta,
    ) -> AccessToken:
        """A token for one user and session. Times are cut to whole seconds."""
        expires_at = (now + lifetime).replace(microsecond=0)
        key = self._keys[0]
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": user_id,
            "roles": sorted(role.value for role in roles),
            "sid": session_id,
            "iat": int(now.timestamp()),
            "exp": int(expires_at.timestamp()),
        }
        header = {"alg": ALGORITHM, "kid": key.kid, "typ": "at+jwt"}
        return AccessToken(jwt.encode(header, claims, key, registry=_REGISTRY), expires_at)

    def verify(self, text: str, now: datetime) -> dict[str, Any]:
        """The claims of a token that is good now. Raises joserfc's errors."""
        token = jwt.decode(text, KeySet(list(self._keys)), registry=_REGISTRY)
        jwt.JWTClaimsRegistry(
            now=int(now.timestamp()),
            iss={"essential": True, "value": ISSUER},
            aud={"essential": True, "value": AUDIENCE},
            exp={"essential": True},
        ).validate(token.claims)
        return dict(token.claims)


def _write_once(path: Path, content: bytes) -> None:
    """Make the file with all of its content or not at all; of two writers the first one wins."""
    descriptor, draft = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        os.unlink(draft)


def _named(key: OKPKey) -> OKPKey:
    """Give the key a stable `kid`: a short hash of its public part."""
    public = key.as_dict(private=False)
    kid = hashlib.sha256(str(public["x"]).encode()).hexdigest()[:16]
    return OKPKey.import_key(
        {**key.as_dict(private=True), "kid": kid, "use": "sig", "alg": ALGORITHM}
    )

"""Who is calling: short-lived EdDSA tokens, signed by partners, checked offline by every service."""

import json
import os
import time
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from jwt.algorithms import OKPAlgorithm

from shared.events import Publisher
from shared.settings import Settings

ISSUER = AUDIENCE = "praktika"


class Caller(NamedTuple):
    """An authenticated organisation."""

    organisation: str
    kind: Publisher
    sandbox: bool = False  # it tries things out

    @property
    def source(self) -> str:
        return f"/organisations/{self.organisation}"

    @property
    def is_operator(self) -> bool:
        return self.kind is Publisher.operator


class Unauthorised(Exception):
    """The token is missing, expired, forged or not for us; the text says which, for the sender."""


def private_dir(settings: Settings) -> Path:
    return settings.private_keys_dir or settings.keys_dir / "private"


def ensure_keys(settings: Settings) -> bool:
    """Make the signing key and its public part unless they exist; return whether they were made."""
    secret, public = private_dir(settings) / "token.key", settings.keys_dir / "token.jwks"
    made = not secret.exists()
    for folder in (secret.parent, public.parent):
        folder.mkdir(parents=True, exist_ok=True)
    if made:
        pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        _write(secret, pem, 0o600)
    key = _load(secret)
    jwk = OKPAlgorithm.to_jwk(key.public_key(), as_dict=True)
    _write(public, json.dumps({"keys": [{**jwk, "kid": _kid(jwk), "alg": "EdDSA", "use": "sig"}]}).encode(), 0o644)
    return made


def key_ages_s(settings: Settings) -> dict[str, float]:
    """Since when each signing key is in use, by name, as far as this process may see it (its file is written once)."""
    try:
        return {"token": time.time() - (private_dir(settings) / "token.key").stat().st_mtime}
    except OSError:
        return {}


def _write(path: Path, content: bytes, mode: int) -> None:
    """Replace a file at once, never readable by more than *mode* allows."""
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)
    draft.rename(path)


def _load(path: Path) -> Ed25519PrivateKey:
    key = load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(key, Ed25519PrivateKey):
        raise TypeError(f"{path} is no Ed25519 key")
    return key


def _kid(jwk: dict[str, str]) -> str:
    return jwk["x"][:16]


def expires_at(authorization: str) -> float:
    """When a token that a `Verifier` has accepted ends, in seconds since 1970."""
    claims = jwt.decode(authorization.partition(" ")[2], options={"verify_signature": False})
    return float(claims["exp"])


class Signer:
    """Issues tokens; only partners has one."""

    def __init__(self, settings: Settings) -> None:
        self._key = _load(private_dir(settings) / "token.key")
        self._kid = _kid(OKPAlgorithm.to_jwk(self._key.public_key(), as_dict=True))
        self.lifetime_s = settings.token_lifetime_s

    def token(self, caller: Caller) -> str:
        now = int(time.time())
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": caller.organisation,
            "kind": caller.kind.value,
            "iat": now,
            "exp": now + self.lifetime_s,
            "jti": str(uuid4()),
            **({"sandbox": True} if caller.sandbox else {}),
        }
        return jwt.encode(claims, self._key, algorithm="EdDSA", headers={"kid": self._kid})


class Verifier:
    """Checks tokens with the public keys in `token.jwks`; a key that it does not know makes it read the file anew."""

    def __init__(self, settings: Settings) -> None:
        self._path = settings.keys_dir / "token.jwks"
        self._keys: dict[str, jwt.PyJWK] = {}
        self._read_at = 0.0

    def caller(self, authorization: str | None) -> Caller:
        """The caller that an `Authorization` header proves.

        Raises:
            Unauthorised: it proves none.
        """
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Unauthorised("send Authorization: Bearer <token>; POST /token of partners gives one")
        try:
            key = self._key(jwt.get_unverified_header(token).get("kid", ""))
            claims = jwt.decode(
                token,
                key,
                algorithms=["EdDSA"],
                audience=AUDIENCE,
                issuer=ISSUER,
                options={"require": ["exp", "iat", "sub", "aud", "iss"]},
            )
            return Caller(str(claims["sub"]), Publisher(claims["kind"]), bool(claims.get("sandbox")))
        except jwt.ExpiredSignatureError:
            raise Unauthorised("the token has expired; ask POST /token of partners for a new one") from None
        except (jwt.PyJWTError, KeyError, ValueError, TypeError):
            raise Unauthorised("the token is not valid") from None

    def _key(self, kid: str) -> jwt.PyJWK:
        if kid not in self._keys and time.monotonic() - self._read_at > 1:
            keys = json.loads(self._path.read_text())["keys"]
            self._keys = {key["kid"]: jwt.PyJWK(key) for key in keys}
            self._read_at = time.monotonic()
        return self._keys[kid]

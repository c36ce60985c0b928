"""Who is calling: short-lived EdDSA tokens, signed by partners, checked offline by every service."""

import json
import math
import os
import time
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from secrets import token_hex
from typing import Any, NamedTuple
from uuid import uuid4

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from jwt.algorithms import OKPAlgorithm

from shared.contract.events import Publisher, timestamp
from shared.settings import Settings

ISSUER = AUDIENCE = "praktika"
PAGES = "praktika-pages"  # audience of a session's token: pages take it, the API does not
BROWSER = "praktika-browser"  # audience of what a browser keeps for us between two requests
FURTHER = ("credential", "name", "scope")  # claims beside who it is
SESSION_S = 12 * 3600  # of a session, at most
KEPT_S = 600  # of what a browser keeps for us
LIFETIME_S = 900  # of a token, at most
PROVEN = 10_000  # tokens that are remembered
TOKEN_LENGTH = 4096  # ours have about 400
REQUESTS = "requests.key"  # among the public ones, because feedback has no other folder; only we read it
LOOK_EVERY_S = 1.0  # how often a verifier looks whether the public keys have changed


class Caller(NamedTuple):
    """An authenticated organisation."""

    organisation: str
    kind: Publisher
    sandbox: bool = False  # it tries things out
    credential: str = ""  # that it proved itself with
    name: str = ""  # of the person, if it is an operator
    scope: str = ""  # `send` or `read`: it may do nothing else
    member: str = ""  # the opaque id of the person who acts for it on a page

    @property
    def actor(self) -> str:
        """Who it is on the trail."""
        person = self.name or self.member
        return f"{self.organisation}/{person}" if person else self.organisation

    @property
    def source(self) -> str:
        return f"/organisations/{self.organisation}"

    @property
    def is_operator(self) -> bool:
        return self.kind is Publisher.operator


class Role(StrEnum):
    """What a member may do: `admin`, `staff` and `mentor` in an organisation, the other two in the whole network."""

    admin = "admin"
    staff = "staff"
    mentor = "mentor"
    operator = "operator"
    coordinator = "coordinator"


class Member(NamedTuple):
    """A person who is signed in, as the session's token says.

    Attributes:
        issued_at: of the token, in seconds since 1970, as the others.
        expires_at: of the token; after that the session must be renewed.
        until: when the session ends at the latest.
    """

    id: str
    organisation: str
    kind: Publisher
    role: Role
    name: str
    session: str
    issued_at: int
    expires_at: int
    until: int
    sandbox: bool = False

    @property
    def is_current(self) -> bool:
        return time.time() < self.expires_at

    @property
    def is_operator(self) -> bool:
        return self.kind is Publisher.operator

    @property
    def csrf(self) -> str:
        """What forms in this session carry: nobody else can know it, and it stays the same when the token changes."""
        return sha256(f"csrf {self.session}".encode()).hexdigest()[:32]

    @property
    def caller(self) -> Caller:
        """As whom the member acts: as the organisation."""
        return Caller(self.organisation, self.kind, self.sandbox, member=self.id)


class Unauthorised(Exception):
    """The token is missing, expired, forged or not for us; the text says which, for the sender."""


def private_dir(settings: Settings) -> Path:
    return settings.private_keys_dir or settings.keys_dir / "private"


def _secret(settings: Settings) -> Path:
    return private_dir(settings) / "token.key"


def ensure_keys(settings: Settings) -> bool:
    """Make the signing key, its public part and the key of requests unless they exist; return whether they were made.

    The key of requests is used from now on where there is a signing key already: what was asked before keeps its id.
    """
    secret, requests = _secret(settings), settings.keys_dir / REQUESTS
    for folder in (secret.parent, settings.keys_dir):
        folder.mkdir(parents=True, exist_ok=True)
    made = not secret.exists()
    if not requests.exists():
        since = "" if made else timestamp(datetime.now(UTC))
        _write(requests, json.dumps({"key": token_hex(32), "since": since}).encode(), 0o600)
    if made:
        _write(secret, _pem(Ed25519PrivateKey.generate()), 0o600)
    _publish(settings, _load(secret))
    return made


class RequestKey(NamedTuple):
    """What ids of feedback requests are made with, and since when (as `events.timestamp`; empty: ever)."""

    key: bytes
    since: str


@lru_cache
def request_key(keys_dir: Path) -> RequestKey:
    """The key that the set-up made; it is backed up with the others, for requests must keep their ids."""
    kept = json.loads((keys_dir / REQUESTS).read_bytes())
    return RequestKey(bytes.fromhex(kept["key"]), kept["since"])


def rotate_keys(settings: Settings, *, at_once: bool = False) -> str:
    """Let a new key sign; return its id. Running services need no restart.

    The new public key is out before anything is signed with it, and the old one stays until its tokens have expired.

    Args:
        at_once: the old key is no longer trusted: its tokens end now.
    """
    old, new = _load(_secret(settings)), Ed25519PrivateKey.generate()
    if not at_once:
        _publish(settings, old, _jwk(new))
        time.sleep(2 * LOOK_EVERY_S)
    _write(_secret(settings), _pem(new), 0o600)
    until = int(time.time()) + LIFETIME_S + 60  # a token may be in the making
    _publish(settings, new, *([] if at_once else [{**_jwk(old), "exp": until}]), keep=not at_once)
    return str(_jwk(new)["kid"])


def _publish(settings: Settings, signing: Ed25519PrivateKey, *further: dict[str, Any], keep: bool = True) -> None:
    """Write the public keys: of the one that signs, *further* ones, and (to *keep*) those that have not ended yet.

    A member `exp` (seconds since 1970) of a key says when it ends.
    """
    public = settings.keys_dir / "token.jwks"
    known = json.loads(public.read_text())["keys"] if keep and public.exists() else []
    retired = [key for key in known if key.get("exp", 0) > time.time()]
    keys = {key["kid"]: key for key in (*retired, *further, _jwk(signing))}
    _write(public, json.dumps({"keys": list(keys.values())}).encode(), 0o644)


def key_ages_s(settings: Settings) -> dict[str, float]:
    """Since when each signing key is in use, by name, as far as this process may see it (its file is written once)."""
    try:
        return {"token": time.time() - _secret(settings).stat().st_mtime}
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


def _pem(key: Ed25519PrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _jwk(key: Ed25519PrivateKey) -> dict[str, Any]:
    """The public part of *key*."""
    jwk = OKPAlgorithm.to_jwk(key.public_key(), as_dict=True)
    return {**jwk, "kid": jwk["x"][:16], "alg": "EdDSA", "use": "sig"}


def expires_at(authorization: str) -> float:
    """When a token that a `Verifier` has accepted ends, in seconds since 1970."""
    claims = jwt.decode(authorization.partition(" ")[2], options={"verify_signature": False})
    return float(claims["exp"])


class Signer:
    """Issues tokens; only partners has one."""

    def __init__(self, settings: Settings) -> None:
        self._key = _load(_secret(settings))
        self._kid = _jwk(self._key)["kid"]
        self.lifetime_s = settings.token_lifetime_s

    def token(self, caller: Caller) -> str:
        further = {name: value for name in FURTHER if (value := getattr(caller, name))}
        return self._signed(AUDIENCE, self.lifetime_s, {**_who(caller), "jti": str(uuid4()), **further})

    def session_token(self, member: Member) -> str:
        """What the session's cookie holds, new from now on; `issued_at` and `expires_at` are not looked at."""
        person = {"member": member.id, "role": member.role.value, "name": member.name}
        claims = {**_who(member.caller), **person, "sid": member.session, "until": member.until}
        return self._signed(PAGES, min(self.lifetime_s, member.until - int(time.time())), claims)

    def keepsake(self, purpose: str, content: dict[str, Any]) -> str:
        """What a browser shall keep for us for `KEPT_S`, so that we need not; it can be read there, but not changed."""
        return self._signed(BROWSER, KEPT_S, {"sub": purpose, "jti": token_hex(16), "content": content})

    def _signed(self, audience: str, lifetime_s: int, claims: dict[str, Any]) -> str:
        now = int(time.time())
        times = {"iss": ISSUER, "aud": audience, "iat": now, "exp": now + lifetime_s}
        return jwt.encode({**times, **claims}, self._key, algorithm="EdDSA", headers={"kid": self._kid})


def _who(caller: Caller) -> dict[str, Any]:
    sandbox = {"sandbox": True} if caller.sandbox else {}
    return {"sub": caller.organisation, "kind": caller.kind.value, **sandbox}


class Verifier:
    """Checks tokens with the public keys in `token.jwks`, and looks every second whether these have changed."""

    def __init__(self, settings: Settings) -> None:
        self._path = settings.keys_dir / "token.jwks"
        self._keys: dict[str, tuple[jwt.PyJWK, float]] = {}  # by id: the key, and when it ends
        self._proven: dict[str, tuple[Caller, float]] = {}  # by token: who it is, and until when; a check costs 0.1 ms
        self._signed_in: dict[str, tuple[Member, float]] = {}  # the same of sessions' tokens, of expired ones, too
        self._version: tuple[int, int] | None = None
        self._looked_at = -math.inf

    def caller(self, authorization: str | None) -> Caller:
        """The caller that an `Authorization` header proves.

        Raises:
            Unauthorised: it proves none.
        """
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Unauthorised("send Authorization: Bearer <token>; POST /token of partners gives one")
        try:
            return self._caller(token)
        except jwt.ExpiredSignatureError:
            raise Unauthorised("the token has expired; ask POST /token of partners for a new one") from None
        except (jwt.PyJWTError, KeyError, ValueError, TypeError, RecursionError):
            raise Unauthorised("the token is not valid") from None

    def _caller(self, token: str) -> Caller:
        if len(token) > TOKEN_LENGTH:
            raise ValueError("too long")
        self._look()
        caller, ends_at = self._proven.get(token, (None, 0))
        if caller is not None and time.time() < ends_at:
            return caller
        claims, key_ends_at = self._claims(token, AUDIENCE)
        who = str(claims["sub"]), Publisher(claims["kind"]), bool(claims.get("sandbox"))
        credential, name, scope = (str(claims.get(further, "")) for further in FURTHER)
        caller = Caller(*who, credential, name, scope)
        if len(self._proven) >= PROVEN:
            self._proven.clear()
        self._proven[token] = caller, min(claims["exp"], key_ends_at)
        return caller

    def member(self, token: str) -> Member | None:
        """Who is signed in, by the session's cookie, though the token may have expired; None: it proves nobody."""
        self._look()
        known, ends_at = self._signed_in.get(token, (None, 0))
        if known is not None and time.time() < ends_at:
            return known
        try:
            claims, key_ends_at = self._claims_of_a_browser(token, PAGES, expired_too=True)
            member = Member(
                id=str(claims["member"]),
                organisation=str(claims["sub"]),
                kind=Publisher(claims["kind"]),
                role=Role(claims["role"]),
                name=str(claims["name"]),
                session=str(claims["sid"]),
                issued_at=claims["iat"],
                expires_at=claims["exp"],
                until=int(claims["until"]),
                sandbox=bool(claims.get("sandbox")),
            )
        except (jwt.PyJWTError, KeyError, ValueError, TypeError, RecursionError):
            return None
        if len(self._signed_in) >= PROVEN:
            self._signed_in.clear()
        self._signed_in[token] = member, key_ends_at
        return member

    def keepsake(self, purpose: str, token: str) -> dict[str, Any] | None:
        """What `Signer.keepsake` was given, with its id as `jti`; None: it is another's, changed, or too old."""
        try:
            claims, _ = self._claims_of_a_browser(token, BROWSER)
        except (jwt.PyJWTError, KeyError, ValueError, TypeError, RecursionError):
            return None
        return {**claims["content"], "jti": claims["jti"]} if claims["sub"] == purpose else None

    def _claims_of_a_browser(
        self, token: str, audience: str, *, expired_too: bool = False
    ) -> tuple[dict[str, Any], float]:
        if len(token) > TOKEN_LENGTH:
            raise ValueError("too long")
        self._look()
        return self._claims(token, audience, expired_too=expired_too)

    def _claims(self, token: str, audience: str, *, expired_too: bool = False) -> tuple[dict[str, Any], float]:
        """What a token says, and when its key ends."""
        key, key_ends_at = self._key(jwt.get_unverified_header(token)["kid"])
        claims = jwt.decode(
            token,
            key,
            algorithms=["EdDSA"],
            audience=audience,
            issuer=ISSUER,
            # Whose clock is a little behind must still take a token that has just been signed.
            options={
                "require": ["exp", "iat", "sub", "aud", "iss"],
                "verify_iat": False,
                "verify_exp": not expired_too,
            },
        )
        if not 0 < claims["exp"] - claims["iat"] <= LIFETIME_S:
            raise ValueError("lives too long")
        return claims, key_ends_at

    def _look(self) -> None:
        """Read the keys if they have changed; with other keys, everybody has to prove anew who it is."""
        if time.monotonic() - self._looked_at > LOOK_EVERY_S:
            file = self._path.stat()
            version = file.st_ino, file.st_mtime_ns
            if version != self._version:
                known = json.loads(self._path.read_text())["keys"]
                self._keys = {key["kid"]: (jwt.PyJWK(key), key.get("exp", math.inf)) for key in known}
                self._version = version
                self._proven.clear()
                self._signed_in.clear()
            self._looked_at = time.monotonic()

    def _key(self, kid: str) -> tuple[jwt.PyJWK, float]:
        """A key, and when it ends."""
        key, ends_at = self._keys[kid]
        if time.time() > ends_at:
            raise KeyError(kid)
        return key, ends_at

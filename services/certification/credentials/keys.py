"""The keys that credentials are signed with: made by the set-up, rotated with overlap, kept for good.

A file has secrets in the order of their age. Each institution's keys are derived from a secret (HKDF), so a new
institution needs nothing to be made, and one file is all that has to be backed up. A credential is signed with the key
that was in force when it was earned: again made, it has the same signature.
"""

import json
import os
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256
from hmac import digest
from pathlib import Path
from secrets import token_hex
from typing import NamedTuple

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from shared.contract.events import timestamp
from shared.settings import Settings

FILE = "credentials.key"
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


class Secret(NamedTuple):
    """What keys are derived from.

    Attributes:
        id: ends the ids of its verification methods.
        since: when it was first in force, as `events.timestamp`; empty: ever.
        withdrawn: when it was found to be known to others; empty: it is not.
    """

    id: str
    secret: bytes
    since: str
    withdrawn: str

    def keyed(self, purpose: str, text: str) -> bytes:
        """32 bytes that nobody else can work out, and that change with the secret."""
        return _keyed(self.secret, purpose, text)


class IssuerKey(NamedTuple):
    """An institution's key of one secret."""

    id: str
    ed25519: Ed25519PrivateKey
    p256: ec.EllipticCurvePrivateKey
    since: str
    withdrawn: str


class Keyring(NamedTuple):
    """All secrets, the oldest first, and the one that identifiers and places on status lists are made with."""

    secrets: tuple[Secret, ...]
    own: bytes

    def in_force(self, moment: str) -> Secret:
        """The secret that signs what was earned at a moment (as `events.timestamp`): one that was withdrawn never."""
        good = good_secrets(self)
        return next((secret for secret in reversed(good) if secret.since <= moment), good[0])

    def keyed(self, purpose: str, text: str) -> bytes:
        """32 bytes that nobody else can work out, and that stay the same when keys are rotated."""
        return _keyed(self.own, purpose, text)


def _keyed(key: bytes, purpose: str, text: str) -> bytes:
    return digest(key, f"{purpose}\x1f{text}".encode(), "sha256")


def good_secrets(ring: Keyring) -> list[Secret]:
    """Those that were not withdrawn, the oldest first; there is always one."""
    return [secret for secret in ring.secrets if not secret.withdrawn]


def folder(settings: Settings) -> Path:
    return settings.credential_keys_dir or settings.keys_dir / "credentials"


def ensure(settings: Settings) -> bool:
    """Make the file of secrets, unless it is there; return whether it was made."""
    file = folder(settings) / FILE
    if file.exists():
        return False
    folder(settings).mkdir(mode=0o700, parents=True, exist_ok=True)
    _write(file, {"own": token_hex(32), "secrets": [_fresh("")]})
    return True


def rotate(settings: Settings, *, withdraw: bool = False) -> str:
    """Let a new secret sign what is earned from now on; return its id.

    Args:
        withdraw: the older ones are known to others: what they signed is signed anew, and their signatures end, those
            of learners' links, too. Places on status lists and salts stay, as they are in credentials: whoever has the
            old file can still tell which place belongs to which number.
    """
    file, now = folder(settings) / FILE, timestamp(datetime.now(UTC))
    kept = json.loads(file.read_bytes())
    if withdraw:
        kept["secrets"] = [{**secret, "withdrawn": secret.get("withdrawn") or now} for secret in kept["secrets"]]
    kept["secrets"].append(_fresh(now))
    _write(file, kept)
    return str(kept["secrets"][-1]["id"])


def _fresh(since: str) -> dict[str, str]:
    return {"id": f"key-{token_hex(4)}", "secret": token_hex(32), "since": since}


def _write(file: Path, content: object) -> None:
    """Replace the file at once; only its owner reads it."""
    draft = file.with_suffix(".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as written:
        json.dump(content, written)
        written.flush()
        os.fsync(written.fileno())
    draft.rename(file)


def keyring(settings: Settings) -> Keyring:
    """The secrets as they are now: a rotation needs no restart."""
    file = folder(settings) / FILE
    return _read(file, file.stat().st_mtime_ns)


@lru_cache(4)
def _read(file: Path, _changed: int) -> Keyring:
    kept = json.loads(file.read_bytes())
    secrets = (
        Secret(each["id"], bytes.fromhex(each["secret"]), each["since"], each.get("withdrawn", ""))
        for each in kept["secrets"]
    )
    return Keyring(tuple(secrets), bytes.fromhex(kept["own"]))


@lru_cache(2_000)
def _derived(secret: bytes, issuer: str) -> tuple[Ed25519PrivateKey, ec.EllipticCurvePrivateKey]:
    def bytes_for(kind: str, length: int) -> bytes:
        return HKDF(hashes.SHA256(), length, salt=None, info=f"praktika {kind} {issuer}".encode()).derive(secret)

    number = int.from_bytes(bytes_for("P-256", 48), "big") % (P256_ORDER - 1) + 1  # FIPS 186-5, A.2.1
    return Ed25519PrivateKey.from_private_bytes(bytes_for("Ed25519", 32)), ec.derive_private_key(number, ec.SECP256R1())


def issuer_keys(ring: Keyring, issuer: str) -> list[IssuerKey]:
    """All keys that an institution has ever had, the oldest first."""
    return [
        IssuerKey(secret.id, *_derived(secret.secret, issuer), secret.since, secret.withdrawn)
        for secret in ring.secrets
    ]


def signing_key(ring: Keyring, issuer: str, moment: str) -> IssuerKey:
    """The key that signs what was earned at a moment."""
    wanted = ring.in_force(moment)
    return next(key for key in issuer_keys(ring, issuer) if key.id == wanted.id)


def fingerprint(ring: Keyring) -> str:
    """Changes when keys do."""
    return sha256(repr([(s.id, s.withdrawn) for s in ring.secrets]).encode()).hexdigest()[:12]

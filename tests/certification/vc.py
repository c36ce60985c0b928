"""Issuers and credentials made for tests of verifying: theirs are keys of their own, in did:key."""

from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from services.certification.credentials import keyforms, proofs
from services.certification.credentials.baking import as_text
from services.certification.credentials.checks import Found, Gone, Surroundings, Unavailable, Verdict, offline
from services.certification.credentials.examining import Examined, examined_here
from services.certification.credentials.verifying import verify
from shared.pages.languages import Text

NOW = datetime(2026, 7, 1, tzinfo=UTC)
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
BADGE: dict[str, Any] = {
    "@context": [
        "https://www.w3.org/ns/credentials/v2",
        "https://purl.imsglobal.org/spec/ob/v3p0/context-3.0.3.json",
    ],
    "id": "https://college.example/credentials/1",
    "type": ["VerifiableCredential", "OpenBadgeCredential"],
    "issuer": {"id": "", "type": ["Profile"], "name": "Колледж"},
    "validFrom": "2026-06-01T00:00:00Z",
    "credentialSubject": {
        "id": "did:example:learner",
        "type": ["AchievementSubject"],
        "achievement": {
            "id": "https://college.example/achievements/welding",
            "type": ["Achievement"],
            "name": "Сварка",
            "description": "Welds.",
            "criteria": {"narrative": "An exam."},
        },
    },
}


def did_of(key: Ed25519PrivateKey) -> str:
    return f"did:key:{keyforms.multikey(key.public_key())}"


def method_of(key: Ed25519PrivateKey) -> str:
    did = did_of(key)
    return f"{did}#{did.removeprefix('did:key:')}"


def badge(key: Ed25519PrivateKey = KEY, **changes: Any) -> dict[str, Any]:
    """A credential without a proof; a change to None leaves the member out."""
    made = deepcopy(BADGE)
    made["issuer"]["id"] = did_of(key)
    made |= changes
    return {name: value for name, value in made.items() if value is not None}


def signed(document: dict[str, Any], key: Ed25519PrivateKey = KEY, method: str = "") -> dict[str, Any]:
    return proofs.signed(document, key, method or method_of(key), "2026-06-01T00:00:00Z")


class World:
    """What is at which address, and what leads to another."""

    def __init__(self, **at: bytes) -> None:
        self.at: dict[str, bytes] = dict(at)
        self.moved: dict[str, str] = {}
        self.gone: set[str] = set()
        self.asked: list[str] = []

    async def fetch(self, address: str) -> Found:
        self.asked.append(address)
        address = self.moved.get(address, address)
        if address in self.gone:
            raise Gone(Text("{address} is gone.", {"address": address}))
        if address not in self.at:
            raise Unavailable(Text("{address} does not answer.", {"address": address}))
        return Found(self.at[address], address)


async def _examined(documents: list[dict[str, Any]]) -> list[Examined]:
    return [examined_here(document) for document in documents]


async def checked(content: object, world: World | None = None, recipient: str = "", **more: Any) -> Verdict:
    """What is found of a credential: an object, or the bytes of a file."""
    raw = content if isinstance(content, bytes) else as_text(content).encode()
    around = Surroundings(world.fetch if world else offline, _examined, **({"now": NOW} | more))
    return await verify(raw, around, recipient)


def results(verdict: Verdict) -> dict[str, str]:
    return {check.check: check.result for check in verdict.checks}

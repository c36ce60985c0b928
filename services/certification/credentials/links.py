"""Signed tokens for a certificate: learners' links, by which a credential is collected, and what wallets are given.

A token is the certificate and the token's end, with a signature. Nothing is stored but how many times a certificate's
links were revoked (in the home, which is backed up): then all tokens of it end.
"""

import hmac
from collections.abc import Collection
from datetime import UTC, datetime, timedelta

from shared.http.service import Service

from . import keys
from .keyforms import base64url

REVOKED = "collect_links"
COLLECT = "collect"  # the purpose of a learner's link
LASTS = timedelta(days=90)


def _now() -> datetime:
    return datetime.now(UTC)


def _token(secret: keys.Secret, purpose: str, certificate: str, end: str, revoked: int) -> str:
    """The token, signed with what signs credentials: who knows only a withdrawn secret makes none that counts."""
    signature = secret.keyed(purpose, f"{certificate}/{end}/{revoked}")[:18]
    return f"{certificate}.{end}.{base64url(signature)}"


async def _revoked(service: Service, certificates: Collection[str]) -> dict[str, int]:
    found = service.store.home[REVOKED].find({"_id": {"$in": list(certificates)}})
    return {doc["_id"]: int(doc["revoked"]) async for doc in found}


async def tokens(
    service: Service, certificates: Collection[str], purpose: str, lasts: timedelta
) -> tuple[dict[str, str], datetime]:
    """A token for each certificate, and when they end."""
    end = (_now() + lasts).replace(microsecond=0)
    secret, revoked = keys.good_secrets(keys.keyring(service.settings))[-1], await _revoked(service, certificates)
    until = f"{int(end.timestamp()):x}"
    return {id: _token(secret, purpose, id, until, revoked.get(id, 0)) for id in certificates}, end


async def links(service: Service, certificates: Collection[str]) -> tuple[dict[str, str], datetime]:
    """The address at which each certificate's credential is collected, as often as wanted, and until when."""
    found, end = await tokens(service, certificates, COLLECT, LASTS)
    public = service.settings.public("certification")
    return {id: f"{public}/collect/{token}" for id, token in found.items()}, end


async def certificate_of(service: Service, given: str, purpose: str = COLLECT) -> str | None:
    """The certificate that a token is for; None: it is forged, for another purpose, has ended, or is revoked."""
    parts = given.rsplit(".", 2)
    if len(parts) != 3:
        return None
    certificate, end, _ = parts
    revoked = (await _revoked(service, [certificate])).get(certificate, 0)
    good = keys.good_secrets(keys.keyring(service.settings))
    genuine = [
        hmac.compare_digest(given.encode(), _token(each, purpose, certificate, end, revoked).encode()) for each in good
    ]
    return certificate if any(genuine) and _now() < end_of(given) else None


def end_of(token: str) -> datetime:
    """When a token ends that has been found to be genuine."""
    return datetime.fromtimestamp(int(token.rsplit(".", 2)[1], 16), UTC)


async def revoke(service: Service, certificate: str) -> None:
    """Let the links that there are lead nowhere."""
    await service.store.home[REVOKED].update_one({"_id": certificate}, {"$inc": {"revoked": 1}}, upsert=True)

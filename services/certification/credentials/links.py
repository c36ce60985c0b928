"""Learners' links, by which a credential is collected: the certificate and the link's end, with a signature.

Nothing is stored but how many times a certificate's links were revoked (in the home, which is backed up).
"""

import hmac
from datetime import UTC, datetime, timedelta

from shared.http.service import Service

from . import keys
from .keyforms import base64url

REVOKED = "collect_links"
LASTS = timedelta(days=90)


def _now() -> datetime:
    return datetime.now(UTC)


def _token(secret: keys.Secret, certificate: str, end: str, revoked: int) -> str:
    """The token, signed with what signs credentials: who knows only a withdrawn secret makes none that counts."""
    signature = secret.keyed("collect", f"{certificate}/{end}/{revoked}")[:18]
    return f"{certificate}.{end}.{base64url(signature)}"


async def _revoked(service: Service, certificate: str) -> int:
    doc = await service.store.home[REVOKED].find_one({"_id": certificate})
    return int(doc["revoked"]) if doc else 0


async def link(service: Service, certificate: str) -> tuple[str, datetime]:
    """The address at which a certificate's credential is collected, as often as wanted, and until when."""
    end = (_now() + LASTS).replace(microsecond=0)
    secret = keys.good_secrets(keys.keyring(service.settings))[-1]
    token = _token(secret, certificate, f"{int(end.timestamp()):x}", await _revoked(service, certificate))
    return f"{service.settings.public('certification')}/collect/{token}", end


async def certificate_of(service: Service, given: str) -> str | None:
    """The certificate that a link's token is for; None: it is forged, has ended, or is revoked."""
    parts = given.rsplit(".", 2)
    if len(parts) != 3:
        return None
    certificate, end, _ = parts
    revoked = await _revoked(service, certificate)
    good = keys.good_secrets(keys.keyring(service.settings))
    genuine = [hmac.compare_digest(given.encode(), _token(each, certificate, end, revoked).encode()) for each in good]
    return certificate if any(genuine) and _now().timestamp() < int(end, 16) else None


async def revoke(service: Service, certificate: str) -> None:
    """Let the links that there are lead nowhere."""
    await service.store.home[REVOKED].update_one({"_id": certificate}, {"$inc": {"revoked": 1}}, upsert=True)

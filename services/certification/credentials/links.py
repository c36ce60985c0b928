"""One-time links by which a learner collects a credential: the certificate with a signature, as feedback's links are.

Nothing is stored but how many links of a certificate were revoked (in the home).
"""

import hmac

from shared.http.service import Service

from . import keys
from .keyforms import base64url

REVOKED = "collect_links"


def _token(ring: keys.Keyring, certificate: str, revoked: int) -> str:
    return f"{certificate}.{base64url(ring.keyed('collect', f'{certificate}/{revoked}')[:18])}"


async def _revoked(service: Service, certificate: str) -> int:
    doc = await service.store.home[REVOKED].find_one({"_id": certificate})
    return int(doc["revoked"]) if doc else 0


async def link(service: Service, certificate: str) -> str:
    """The address at which a certificate's credential is collected."""
    token = _token(keys.keyring(service.settings), certificate, await _revoked(service, certificate))
    return f"{service.settings.public('certification')}/collect/{token}"


async def certificate_of(service: Service, given: str) -> str | None:
    """The certificate that a link's token is for; None: it is forged, or revoked."""
    certificate = given.rpartition(".")[0]
    expected = _token(keys.keyring(service.settings), certificate, await _revoked(service, certificate))
    return certificate if hmac.compare_digest(given.encode(), expected.encode()) else None


async def revoke(service: Service, certificate: str) -> None:
    """Let the links that there are lead nowhere."""
    await service.store.home[REVOKED].update_one({"_id": certificate}, {"$inc": {"revoked": 1}}, upsert=True)

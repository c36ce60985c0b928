"""One-time links: who holds one answers one request, without an account.

A link is the request with a signature by the key of requests, so nobody guesses one and nothing needs to be stored.
Revoking makes the next one: how often that was done is kept in the service's home. A link is on no log.
"""

import hmac
from base64 import urlsafe_b64encode
from collections.abc import Collection

from shared.http.auth import request_key
from shared.http.service import Service
from shared.settings import Settings

from .answering import ANSWERS

LINKS = "links"  # in the home; to be backed up, or links that were revoked count again


def token(settings: Settings, request: str, revoked: int) -> str:
    """What a link ends with.

    Args:
        revoked: how many links of the request were revoked.
    """
    said = f"answer\x1f{request}\x1f{revoked}".encode()
    signature = hmac.digest(request_key(settings.keys_dir).key, said, "sha256")[:18]
    return f"{request}.{urlsafe_b64encode(signature).decode()}"


async def links(service: Service, requests: Collection[str]) -> dict[str, str]:
    """The address that answers each request."""
    found = service.store.home[LINKS].find({"_id": {"$in": list(requests)}})
    revoked = {doc["_id"]: doc["revoked"] async for doc in found}
    public = service.settings.public("feedback")
    return {id: f"{public}/a/{token(service.settings, id, revoked.get(id, 0))}" for id in requests}


async def request_of(service: Service, given: str) -> str | None:
    """The request that a link's token is for; None: it is forged, or revoked."""
    request = given.rpartition(".")[0]
    doc = await service.store.home[LINKS].find_one({"_id": request}) or {"revoked": 0}
    expected = token(service.settings, request, doc["revoked"])
    return request if hmac.compare_digest(given.encode(), expected.encode()) else None


async def revoke(service: Service, request: str) -> None:
    """Let the links of a request that there are lead nowhere; what was typed behind them is shown to nobody."""
    home = service.store.home
    await home[LINKS].update_one({"_id": request}, {"$inc": {"revoked": 1}}, upsert=True)
    await home[ANSWERS].update_one({"_id": request}, {"$unset": {"draft": "", "said_by": ""}})

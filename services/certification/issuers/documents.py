"""What others read of an issuer, to check its credentials: DID documents and status lists."""

from typing import Annotated

from fastapi import Path, Query
from fastapi.responses import JSONResponse, Response
from pydantic import StringConstraints

from services.certification.credentials import badge, issuing, keys, lists
from shared.contract.events import DID_WEB
from shared.http.problems import Problem
from shared.http.routing import Router
from shared.http.service import EntityId, Running, Service
from shared.processing import mongo

router = Router(tags=["credentials"])
DidText = Annotated[str, StringConstraints(max_length=500, pattern=DID_WEB)]


@router.get("/issuers/{id}/did.json", responses={200: {"content": {"application/did+json": {}}}})
async def read_did(
    service: Running,
    id: EntityId,
    did: Annotated[DidText | None, Query(description="Of a domain of its own, which is to have the document.")] = None,
) -> Response:
    """The DID document of an organisation: all keys that Praktika has ever signed with in its name."""
    await _demand_known(service, id)
    ring, public = keys.keyring(service.settings), service.settings.public("certification")
    document = issuing.did_document(did or badge.did_of(public, id), id, ring)
    return JSONResponse(document, headers=lists.HEADERS, media_type="application/did+json")


async def _demand_known(service: Service, id: str) -> None:
    """Refuse whoever is no organisation; once known, it need not be looked up while the database is away."""
    known: set[str] = service.shared.setdefault("known_issuers", set())
    try:
        if await service.by_id("organisations", [id], {"_id": 1}):
            known.add(id)
            return
    except mongo.DatabaseError:
        if id in known:
            return
        raise
    raise Problem(404, f"there is no institution {id}")


@router.get(lists.PATH, responses={200: {"content": {lists.MEDIA_TYPE: {}}}})
async def read_status_list(service: Running, id: EntityId, number: Annotated[int, Path(ge=1, le=100_000)]) -> Response:
    """A Bitstring Status List of an institution: which of its credentials are revoked. Signed, as a credential."""
    return await _status_list(service, id, number)


@router.get("/issuers/{id}/status/{number}/{did}", responses={200: {"content": {"application/vc+ld+json": {}}}})
async def read_status_list_of_did(
    service: Running, id: EntityId, number: Annotated[int, Path(ge=1, le=100_000)], did: DidText
) -> Response:
    """The same list for what the institution has issued by a DID of its own: a list is of who issued."""
    return await _status_list(service, id, number, did)


async def _status_list(service: Service, id: str, number: int, did: str = "") -> Response:
    content = await lists.signed_list(service, id, number, did)
    return Response(content, media_type=lists.MEDIA_TYPE, headers=lists.HEADERS)

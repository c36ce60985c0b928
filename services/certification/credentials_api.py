"""Credentials over HTTP: the issuers' DID documents and status lists, and the credential of a certificate."""

import asyncio
from typing import Annotated, Any, Literal

from fastapi import Path, Query
from fastapi.responses import JSONResponse, Response
from pydantic import StringConstraints

from shared.contract.events import DID_WEB
from shared.http.auth import Caller
from shared.http.problems import Problem
from shared.http.routing import Router
from shared.http.service import Authenticated, EntityId, Running, Service, barred, refuse_sandbox
from shared.processing import mongo

from .certificates import find_certificate, find_learner
from .credentials import badge, issuing, keys, links, lists, own_pictures, picture

router = Router(tags=["credentials"])
Form = Literal["credential.json", "credential.jwt", "badge.png", "badge.svg", "certificate.pdf"]


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


@router.get(
    "/certificates/{id}/{form}",
    response_model=None,
    responses={200: {"content": {media_type: {} for media_type in issuing.FORMS.values()}}},
)
async def read_credential(service: Running, caller: Authenticated, id: EntityId, form: Form) -> Response:
    """The credential of a certificate as JSON, as a JWT, in a picture or a PDF. For the institution and the operator.

    It is issued when it is first asked for, and then always the same.
    """
    learner = await _own(service, caller, id)
    return await answer(service, learner, id, form)


async def _own(service: Service, caller: Caller, id: str) -> dict[str, Any]:
    """The document of a certificate's learner, for whom it belongs to."""
    if why := await barred(service, caller):
        raise Problem(403, why)
    certificate = await find_certificate(service.db, id)
    if not caller.is_operator and caller.organisation != certificate["institution"]:
        raise Problem(403, f"the certificate was issued by {certificate['institution']}")
    return await find_learner(service.db, id)


async def picture_of(service: Service, certificate: dict[str, Any]) -> str | bytes:
    """A certificate's badge: the PNG that its institution has given, or the SVG that is drawn."""
    institution, competency = certificate["institution"], certificate["competency"]
    own = await own_pictures.find(service, institution, competency)
    return own or picture.svg(institution, certificate["institution_name"], competency)


async def answer(
    service: Service, learner: dict[str, Any], id: str, form: str, holder: badge.Holder = badge.NOBODY
) -> Response:
    """The credential as a file, with what its holder adds to this copy."""
    issued = await issuing.issue(service, learner, id)
    held = issued._replace(document=badge.for_holder(issued.document, holder))
    content = await asyncio.to_thread(issuing.in_form, held, form, service.settings.credential_jwt)
    return as_file(content, issuing.FORMS[form], f"{id}.{form.rpartition('.')[2]}", holder)


def as_file(content: bytes, media_type: str, name: str, holder: badge.Holder) -> Response:
    """A download; what has something personal in it is kept nowhere."""
    kept = "private, no-cache" if holder == badge.NOBODY else "no-store"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": kept}
    return Response(content, media_type=media_type, headers=headers)


@router.post("/certificates/{id}/link")
async def make_link(service: Running, caller: Authenticated, id: EntityId) -> dict[str, str]:
    """The learner's link, at which the credential is collected for 90 days; for the institution, to pass on.

    Whoever has it can use it as often as they want. Asked for again, there is one that lasts longer; earlier ones stay.
    """
    refuse_sandbox(caller)
    await _own(service, caller, id)
    found, end = await links.links(service, [id])
    return {"address": found[id], "until": end.isoformat()}


@router.delete("/certificates/{id}/link", status_code=204)
async def revoke_link(service: Running, caller: Authenticated, id: EntityId) -> Response:
    """Let the links of a certificate that there are lead nowhere; the next one is another."""
    refuse_sandbox(caller)
    await _own(service, caller, id)
    await links.revoke(service, id)
    return Response(status_code=204)

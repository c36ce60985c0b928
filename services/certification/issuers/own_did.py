"""A DID of an organisation's own domain, taken once the domain has what it must; endorsements by a key of its own."""

from typing import Any, get_args
from urllib.parse import unquote

from fastapi import Request
from fastapi.responses import JSONResponse, Response

from services.certification.credentials import badge, endorsing, issuing, keyforms, keys
from services.certification.credentials.baking import as_text
from services.certification.credentials.canonical import Document
from services.certification.credentials.checks import Unavailable, Wrong, as_object, short, told
from services.certification.credentials.endorsing import Of
from services.certification.credentials.form import plain, values
from services.certification.credentials.keyforms import UnknownKey
from services.certification.credentials.verifying import did_web_address, method_of
from services.certification.recognition import reads as recognition_reads
from services.certification.verification.api import read_body, surroundings, verified
from shared.contract.events import HOSTS, PARTNERS, IssuerDeclared
from shared.http import addresses
from shared.http.commands import Prefer, accept, event_by
from shared.http.problems import Problem
from shared.http.routing import Router
from shared.http.service import Active, EntityId, Running, Service, require
from shared.pages.languages import Text

router = Router(tags=["credentials"])


@router.get("/issuers/{id}/did")
async def read_issuer(service: Running, id: EntityId) -> dict[str, Any]:
    """By which DID an organisation's credentials are issued now, and by which of its own domain they ever were."""
    found = await service.db["organisations"].find_one({"_id": id}, {"did": 1, "own_key": 1, "dids": 1})
    if found is None:
        raise Problem(404, f"there is no organisation {id}")
    network = badge.did_of(service.settings.public("certification"), id)
    return {
        "id": id,
        "issues_by": issuing.signing_did(found) or network,
        "did": found.get("did"),
        "own_key": found.get("own_key", False),
        "dids": found.get("dids", []),
    }


@router.put("/issuers/{id}/did", status_code=202)
async def declare_did(
    service: Running, caller: Active, id: EntityId, body: IssuerDeclared, prefer: Prefer = None
) -> JSONResponse:
    """Let the calling organisation's credentials be issued by a DID of its own domain; without one, by the network's.

    The domain must have the document that `GET /issuers/{id}/did.json?did=…` gives, or pass it on. What was issued
    before stays as it is. With `own_key` the document is the organisation's, which signs its endorsements itself; the
    network's DID of the organisation stands there under `alsoKnownAs`.
    """
    require(caller, *PARTNERS)
    if caller.organisation != id:
        raise Problem(403, f"the DID is {id}'s to declare")
    if body.did:
        await _demand_free(service, id, body.did)
        await _demand_hosted(service, id, body.did, own_key=bool(body.own_key))
    elif body.own_key:
        raise Problem(422, "the request does not fit", [("did", "is missing, and it is needed")])
    return await accept(service, event_by(caller, body, id), prefer, lambda: read_issuer(service, id))


MOST_BYTES = 64 * 1024  # of an endorsement


@router.put(
    "/recognitions/{competency}/endorsement",
    openapi_extra={
        "requestBody": {"required": True, "content": {"application/vc+ld+json": {}, "application/json": {}}}
    },
)
async def put_endorsement(request: Request, service: Running, caller: Active, competency: EntityId) -> dict[str, str]:
    """Serve an EndorsementCredential that the calling enterprise has signed itself in place of ours.

    It is JSON with a Data Integrity proof, by the DID that was declared with `own_key`. It endorses what the enterprise
    recognises: the achievement of a scheme for the competency, or a certificate. It is verified like any other.
    """
    require(caller, *HOSTS)
    content = await read_body(request, MOST_BYTES)
    found = await service.db["organisations"].find_one({"_id": caller.organisation}, {"did": 1, "own_key": 1})
    if not (found and found.get("own_key")):
        raise Problem(409, "declare your DID first, with own_key: PUT /issuers/{id}/did")
    document, of, id = await _endorsement(service, content, found["did"])
    await recognition_reads.find(service, caller.organisation, competency, of, endorsing.named(of, id))
    key = recognition_reads.own_id(caller.organisation, competency, of, id)
    kept = {"enterprise": caller.organisation, "competency": competency, "did": found["did"], "content": document}
    about = {"certificate": id} if of == "certificates" else {}  # by which it is found when the learner is erased
    await service.store.home[endorsing.OWN].replace_one({"_id": key}, {**kept, **about}, upsert=True)
    public = service.settings.public("certification")
    return {"address": endorsing.address(public, caller.organisation, competency, of, id)}


@router.delete("/recognitions/{competency}/endorsement", status_code=204)
async def delete_endorsements(service: Running, caller: Active, competency: EntityId) -> Response:
    """Forget what the calling enterprise has signed itself for a competency: Praktika signs in its name again."""
    require(caller, *HOSTS)
    own = {"enterprise": caller.organisation, "competency": competency}
    await service.store.home[endorsing.OWN].delete_many(own)
    return Response(status_code=204)


async def _endorsement(service: Service, content: bytes, did: str) -> tuple[str, Of, str]:
    """An enterprise's endorsement, as text, and what of ours it endorses.

    Raises:
        Problem: it does not count, is another's, or endorses nothing of ours.
    """
    verdict = await verified(service, content)
    if verdict.result != "valid" or verdict.credential is None or not content.lstrip().startswith(b"{"):
        errors = [(each.check, each.reason) for each in verdict.checks if each.result != "valid"]
        raise Problem(422, "the endorsement does not count", errors or [("body", Text("It must be JSON."))])
    said = plain(verdict.credential)
    if "EndorsementCredential" not in values(said.get("type")):
        raise Problem(422, "the request does not fit", [("type", Text("must have EndorsementCredential"))])
    if did not in (said["issuer"], as_object(said["issuer"]).get("id")):
        raise Problem(422, "the request does not fit", [("issuer", Text("must be {did}", {"did": did}))])
    public, subject = service.settings.public("certification"), said["credentialSubject"]["id"]
    id = unquote(subject.rpartition("/")[2])
    for of in get_args(Of):
        if subject == endorsing.endorsed(public, of, id):
            return as_text(verdict.credential), of, id
    why = Text("must be the id of an achievement or of a certificate of this network")
    raise Problem(422, "the request does not fit", [("credentialSubject.id", why)])


def _refused(why: Text) -> Problem:
    return Problem(422, "the request does not fit", [("did", why)])


async def _demand_free(service: Service, id: str, did: str) -> None:
    if badge.issuer_of(did, service.settings.public("certification")) is not None:
        raise _refused(Text("is under the network's address: leave it out"))
    await service.current("organisation")
    if await service.db["organisations"].find_one({"did": did, "_id": {"$ne": id}}, {"_id": 1}):
        raise _refused(Text("is another organisation's"))


async def _demand_hosted(service: Service, id: str, did: str, *, own_key: bool) -> None:
    """Refuse a DID whose document is not there, or does not say that it is this organisation's."""
    public, ring = service.settings.public("certification"), keys.keyring(service.settings)
    try:
        document = await _document(service, did)
        if own_key:
            _demand_alias(document, badge.did_of(public, id))
        else:
            _demand_keys(document, issuing.did_document(did, id, ring))
    except (Wrong, Unavailable) as error:
        raise _refused(error.why) from None


async def _document(service: Service, did: str) -> Document:
    address = did_web_address(did)
    async with addresses.client() as http:
        document = await surroundings(service, http).get_object(address)
    if document.get("id") != did:
        raise Wrong(Text("What is at {address} is about another issuer.", {"address": short(address)}))
    return document


def _demand_keys(document: Document, ours: Document) -> None:
    """Refuse a document without one of the keys that sign now: whoever has them there lets us sign in its name."""
    for method in ours["verificationMethod"]:
        if method["id"] not in ours["assertionMethod"]:
            continue
        try:
            there = keyforms.key_of(method_of(document, method["id"], method["id"].partition("#")[2]))
        except UnknownKey as error:
            raise Wrong(told(error.args[0])) from None
        if there != keyforms.key_of(method):
            raise Wrong(Text("The key {key} is another one there.", {"key": short(method["id"])}))


def _demand_alias(document: Document, network: str) -> None:
    """Refuse a document that does not name the organisation: else any domain could be said to be one's own."""
    if network not in values(document.get("alsoKnownAs")):
        raise Wrong(Text("The document there must name {did} under alsoKnownAs.", {"did": network}))
    if not values(document.get("assertionMethod")):
        raise Wrong(Text("The document there has no key to assert something with."))

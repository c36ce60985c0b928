"""Recognitions as signed credentials: endorsements of an achievement or of one certificate, and which were revoked."""

import asyncio
from collections.abc import Sequence
from typing import Any, Literal

from fastapi.responses import JSONResponse, Response

from services.certification.certificates.reads import find_certificate
from services.certification.credentials import badge, contexts, endorsing, issuing, keys, lists
from services.certification.credentials.badge import Achieved, Assessed
from services.certification.credentials.canonical import Document
from services.certification.credentials.endorsing import Endorsement, Of
from services.certification.credentials.issuing import FORMS
from services.certification.recognition import reads
from services.certification.recognition.reads import Recognition
from shared.http.lists import found
from shared.http.problems import Problem
from shared.http.routing import Router
from shared.http.service import EntityId, Running, Service

from .documents import DidText

router = Router(tags=["recognition"])
EMBEDDED = 100  # endorsements in one answer
OPEN = lists.HEADERS
JSON_LD, JWT = FORMS["credential.json"], FORMS["credential.jwt"]
Doc = dict[str, Any]


async def _made(service: Service, one: Recognition, scheme: str) -> tuple[Endorsement, Document]:
    """The endorsement of a recognition without a proof, in the words of now."""
    settings, (title, *_) = service.settings, badge.named(one.competency, await service.frameworks())
    made = reads.endorsement(service, one, scheme, title)
    return made, endorsing.document(made, settings.public("certification"), settings.credential_language)


async def _endorsements(service: Service, those: Sequence[Recognition], scheme: str) -> list[Document]:
    """Endorsements with their proofs, of the first `EMBEDDED`; not to be changed."""
    lock: asyncio.Lock = service.shared.setdefault("endorsements", asyncio.Lock())
    async with lock:  # each takes 30 ms of a processor
        return [await _signed(service, each, scheme) for each in those[:EMBEDDED]]


async def _signed(service: Service, one: Recognition, scheme: str) -> Document:
    """The enterprise's own endorsement, if it has signed one itself; else ours in its name."""
    if own := await reads.own_endorsement(service, one, scheme):
        return own
    made, document = await _made(service, one, scheme)
    return await asyncio.to_thread(endorsing.signed, document, made, keys.keyring(service.settings))


@router.get(
    "/endorsements/{enterprise}/{competency}/{of}/{id}",
    response_model=None,
    responses={200: {"content": {JSON_LD: {}, JWT: {}}}},
)
async def read_endorsement(  # noqa: PLR0913, PLR0917
    service: Running,
    enterprise: EntityId,
    competency: EntityId,
    of: Of,
    id: EntityId,
    format: Literal["json", "jwt"] = "json",
) -> Response:
    """An enterprise's recognition as an EndorsementCredential that is signed with its key; 410 once it was withdrawn.

    It endorses the achievement of a scheme, or one certificate, and is made in the words of now; or the enterprise has
    signed it itself.
    """
    recognition = await reads.find(service, enterprise, competency, of, id)
    if format == "json":
        return JSONResponse(await _signed(service, recognition, id), headers=OPEN, media_type=JSON_LD)
    if await reads.own_endorsement(service, recognition, id):
        raise Problem(404, f"{enterprise} has signed its endorsement itself, with a Data Integrity proof only")
    made, document = await _made(service, recognition, id)
    jwt = endorsing.signed_jwt(document, made, keys.keyring(service.settings), service.settings.credential_jwt)
    return Response(jwt, headers=OPEN, media_type=JWT)


@router.get("/certificates/{id}/endorsements")
async def read_endorsements(service: Running, id: EntityId) -> JSONResponse:
    """The endorsements of a certificate by all who recognise it today: of its achievement, or of itself alone."""
    certificate = await find_certificate(service.db, id)
    if certificate.get("hidden"):
        raise Problem(403, "its holder does not show this certificate in public")
    recognised = await reads.of_certificate(service, certificate)
    headers = {"Cache-Control": lists.HEADERS["Cache-Control"]}
    return JSONResponse(await _endorsements(service, recognised, certificate["scheme"]), headers=headers)


@router.get("/schemes/{id}/achievement.json", responses={200: {"content": {JSON_LD: {}}}})
async def read_achievement(service: Running, id: EntityId) -> JSONResponse:
    """What everybody who meets a scheme has achieved, as credentials have it today, with the endorsements of it."""
    scheme = await found(service.db, "schemes", id)
    settings, public, competency = service.settings, service.settings.public("certification"), scheme["competency"]
    called = (await issuing.names(service.db, {scheme["institution"]}))[scheme["institution"]]
    of = Achieved(id, competency, *badge.named(competency, await service.frameworks()))
    words = badge.worded(
        public,
        settings.credential_language,
        title=of.title,
        level=scheme["level"],
        institution=called,
        evidence=[Assessed(method, "", "", "") for method in scheme["methods"]],
    )
    did = await issuing.own_did(service, scheme["institution"]) or badge.did_of(public, scheme["institution"])
    achievement = badge.achievement(of, words, badge.profile(did, called))
    recognised = await reads.recognitions(service, competency=competency)
    of_all = [each for each in recognised if each.certificate is None and each.has_begun]
    content = {"@context": [contexts.V2, contexts.OB], **achievement}
    content["endorsement"] = await _endorsements(service, of_all, id)
    return JSONResponse(content, headers=OPEN, media_type=JSON_LD)


@router.get("/issuers/{id}/revocations")
async def read_revocations(service: Running, id: EntityId) -> JSONResponse:
    """1EdTech's Revocation List of an enterprise: which of its endorsements do not count any more."""
    return JSONResponse(await reads.revocation_list(service, id), headers=OPEN)


@router.get("/issuers/{id}/revocations/{did}")
async def read_revocations_of_did(service: Running, id: EntityId, did: DidText) -> JSONResponse:
    """The same list for what the enterprise has issued by a DID of its own: a list is of who issued."""
    return JSONResponse(await reads.revocation_list(service, id, did), headers=OPEN)

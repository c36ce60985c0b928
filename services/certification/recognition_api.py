"""Recognition over HTTP and on pages: who recognises what, endorsements, and how many graduates an enterprise meets."""

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from fastapi import Header, Query
from fastapi.responses import JSONResponse, Response

from shared.contract.events import HOSTS
from shared.http.auth import Role
from shared.http.lists import Pages, found
from shared.http.problems import Problem
from shared.http.routing import Router
from shared.http.service import Authenticated, EntityId, Running, Service
from shared.http.spreadsheets import MOST_ROWS, TABLES, Sheet, one_file, table_file
from shared.http.visits import AnyVisit, SignedInOffline, demand_active, demand_role
from shared.pages.languages import LANGUAGES, N_, Language, Text
from shared.pages.paging import pager
from shared.processing import mongo
from shared.processing.frameworks import Frameworks
from shared.statistics import smallest

from . import recognition_reads
from .certificates import find_certificate
from .credentials import badge, contexts, endorsing, issuing, keys, lists
from .credentials.badge import Achieved, Assessed
from .credentials.canonical import Document
from .credentials.endorsing import Endorsement, Of
from .credentials.issuing import FORMS
from .credentials_api import DidText
from .recognition_reads import Recognition
from .validity import today

router = Router(tags=["recognition"])
SHOWN = 50  # recognitions on a page
EMBEDDED = 100  # endorsements in one answer
OPEN = lists.HEADERS
JSON_LD, JWT = FORMS["credential.json"], FORMS["credential.jwt"]
HEADINGS = {
    "competency": N_("Competency"),
    "competency_name": N_("Name"),
    "enterprise": N_("Recognised by"),
    "enterprise_name": N_("Name of who recognises"),
    "since": N_("Since"),
}
Words = Annotated[str, Query(max_length=100, description="Words of a competency's or an enterprise's name, or an id.")]
Doc = dict[str, Any]


# who recognises what


@router.get(
    "/recognitions",
    response_model=None,
    responses={200: {"content": {"text/html": {"schema": {"type": "string"}}, **TABLES}}},
)
async def list_recognitions(  # noqa: PLR0913, PLR0917
    visit: AnyVisit,
    paging: Pages,
    competency: Annotated[str | None, Query(max_length=100)] = None,
    enterprise: Annotated[str | None, Query(max_length=100)] = None,
    q: Words = "",
    number: Annotated[int, Query(ge=1, le=100_000, alias="page", description="Of the page for people.")] = 1,
    format: Literal["json", "csv", "xlsx"] = "json",
    accept: Annotated[str, Header()] = "",
) -> Response:
    """Who recognises which competency since when: a page for browsers, JSON for programs.

    A recognition that was withdrawn is not there, nor that of an enterprise that is suspended. `since` may be to come.
    What is recognised of single certificates, these say themselves. CSV and XLSX have all of the filter.
    """
    service, known = visit.service, visit.frameworks
    wanted = {"competency": competency or None, "enterprise": enterprise or None}
    match = {name: value for name, value in wanted.items() if value is not None}
    all_of_it = await recognition_reads.recognitions(service, **match)
    words = q.casefold().split()
    those = [each for each in all_of_it if each.certificate is None and _has(each, known, words)]
    if format != "json":
        return await _file(service, those, known, visit.language, format)
    if "text/html" in accept:
        filters = {"competency": competency or "", "enterprise": enterprise or "", "q": q}
        part = pager(number, SHOWN, len(those), **filters)
        return visit.show(
            "services/certification/recognitions.html",
            recognitions=those[max(part.first - 1, 0) : part.last],
            named=known.name,
            part=part,
            asked=filters,
            public=service.settings.public("certification"),
        )
    begin = next((n for n, each in enumerate(those) if each.id > paging.after), len(those)) if paging.after else 0
    items = those[begin : begin + paging.limit]
    after = items[-1].id if len(those) > begin + paging.limit else None
    return JSONResponse({"items": [_shown(each, known) for each in items], "next": after}, headers={"Vary": "Accept"})


def _has(one: Recognition, known: Frameworks, words: Sequence[str]) -> bool:
    names = [known.name(one.competency, language) for language in LANGUAGES] if words else ()
    text = " ".join((one.competency, one.enterprise, one.name, *names)).casefold()
    return all(word in text for word in words)


def _shown(one: Recognition, known: Frameworks) -> Doc:
    return {
        "id": one.id,
        "competency": one.competency,
        "competency_name": {language: known.name(one.competency, language) for language in LANGUAGES},
        "enterprise": one.enterprise,
        "enterprise_name": one.name,
        "since": one.since,
    }


async def _file(
    service: Service, those: list[Recognition], known: Frameworks, language: Language, format: str
) -> Response:
    async with one_file(service):
        rows = []
        for shown in (_shown(each, known) for each in those[: MOST_ROWS + 1]):
            name = known.name(shown["competency"], language)
            rows.append({column: shown[column] for column in HEADINGS} | {"competency_name": name})
        return await table_file("recognitions", format, language, Sheet(N_("Recognition"), HEADINGS, rows))


# how many graduates an enterprise's recognitions are about


@router.get("/recognitions/graduates")
async def count_graduates(service: Running, caller: Authenticated) -> Doc:
    """Of each competency that the calling enterprise recognises: how many graduates have a valid certificate in it.

    Numbers, never people. Null is hidden: a group under five, and the next smallest, so that it does not follow from
    the sum. A graduate with certificates of two institutions counts at both.
    """
    counted = await graduates_of(service, caller.organisation)
    return {"items": counted, "next": None}


async def graduates_of(service: Service, enterprise: str) -> list[Doc]:
    """The competencies that an enterprise recognises, each with its graduates by institution.

    Raises:
        Problem: an earlier version made the database, in which graduations are not kept.
    """
    if await mongo.generation(service.db) < service.core.generation:
        raise Problem(503, Text("graduates are counted once the operator has rebuilt the service certification"))
    own = await recognition_reads.recognitions(service, enterprise=enterprise)
    competencies = tuple(each.competency for each in own if each.certificate is None and each.has_begun)
    question = ("graduates", today(), *competencies)
    counts = await service.recent(question, lambda: recognition_reads.graduates(service, competencies))
    names = await issuing.names(service.db, {institution for some in counts.values() for institution in some})
    known, least = await service.frameworks(), service.settings.suppress_below
    return [
        {
            "competency": competency,
            "competency_name": {language: known.name(competency, language) for language in LANGUAGES},
            **_counted(counts.get(competency, {}), names, least),
        }
        for competency in competencies
    ]


def _counted(graduates: dict[str, int], names: dict[str, str], least: int) -> Doc:
    """Sum and groups as they are shown."""
    hidden, together = smallest(graduates, least), sum(graduates.values())
    return {
        "graduates": None if 0 < together < least else together,
        "institutions": [
            {"institution": id, "name": names[id], "graduates": None if id in hidden else graduates[id]}
            for id in sorted(graduates)
        ],
    }


@router.get("/recognitions/mine", include_in_schema=False)
async def graduates_page(visit: SignedInOffline) -> Response:
    """The same for the enterprise's people."""
    demand_role(visit, (Role.admin, Role.staff, Role.mentor))
    if visit.member.caller.kind not in HOSTS:
        raise Problem(403, f"only {', '.join(HOSTS)} may do this; you are {visit.member.caller.kind}")
    await demand_active(visit)
    items = await graduates_of(visit.service, visit.member.organisation)
    return visit.show("services/certification/graduates.html", items=items, least=visit.service.settings.suppress_below)


# endorsements


async def _made(service: Service, one: Recognition, scheme: str) -> tuple[Endorsement, Document]:
    """The endorsement of a recognition without a proof, in the words of now."""
    settings, (title, *_) = service.settings, badge.named(one.competency, await service.frameworks())
    made = recognition_reads.endorsement(service, one, scheme, title)
    return made, endorsing.document(made, settings.public("certification"), settings.credential_language)


async def _endorsements(service: Service, those: Sequence[Recognition], scheme: str) -> list[Document]:
    """Endorsements with their proofs, of the first `EMBEDDED`; not to be changed."""
    lock: asyncio.Lock = service.shared.setdefault("endorsements", asyncio.Lock())
    async with lock:  # each takes 30 ms of a processor
        return [await _signed(service, each, scheme) for each in those[:EMBEDDED]]


async def _signed(service: Service, one: Recognition, scheme: str) -> Document:
    """The enterprise's own endorsement, if it has signed one itself; else ours in its name."""
    if own := await recognition_reads.own_endorsement(service, one, scheme):
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
    recognition = await recognition_reads.find(service, enterprise, competency, of, id)
    if format == "json":
        return JSONResponse(await _signed(service, recognition, id), headers=OPEN, media_type=JSON_LD)
    if await recognition_reads.own_endorsement(service, recognition, id):
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
    recognised = await recognition_reads.of_certificate(service, certificate)
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
    recognised = await recognition_reads.recognitions(service, competency=competency)
    of_all = [each for each in recognised if each.certificate is None and each.has_begun]
    content = {"@context": [contexts.V2, contexts.OB], **achievement}
    content["endorsement"] = await _endorsements(service, of_all, id)
    return JSONResponse(content, headers=OPEN, media_type=JSON_LD)


@router.get("/issuers/{id}/revocations")
async def read_revocations(service: Running, id: EntityId) -> JSONResponse:
    """1EdTech's Revocation List of an enterprise: which of its endorsements do not count any more."""
    return JSONResponse(await revocation_list(service, id), headers=OPEN)


@router.get("/issuers/{id}/revocations/{did}")
async def read_revocations_of_did(service: Running, id: EntityId, did: DidText) -> JSONResponse:
    """The same list for what the enterprise has issued by a DID of its own: a list is of who issued."""
    return JSONResponse(await revocation_list(service, id, did), headers=OPEN)


async def revocation_list(service: Service, id: str, did: str = "") -> Doc:
    """The list, of the network's DID or of the enterprise's own.

    Raises:
        Problem: there is no such organisation, or it has not issued by this DID.
    """
    found = (await service.by_id("organisations", [id], {"dids": 1})).get(id)
    if found is None or (did and did not in found.get("dids", ())):
        raise Problem(404, f"there is no organisation {id}, or it has not issued by this DID")
    revoked = await service.recent(("revocations", id), lambda: recognition_reads.revoked(service, id))
    return endorsing.revocation_list(service.settings.public("certification"), id, did, revoked)

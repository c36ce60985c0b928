"""The certification service over HTTP: schemes and certificates."""

from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import Depends, Header, Query, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse
from pydantic import BaseModel, ConfigDict

from shared.contract.events import INSTITUTION, CompetencyRevoked, SchemePublished, Text, derive, derived_id
from shared.http.auth import Caller, Unauthorised
from shared.http.commands import Prefer, accept, event_by
from shared.http.lists import Pages, found, listed
from shared.http.problems import Problem
from shared.http.routing import Router
from shared.http.service import Authenticated, EntityId, Running, Service, barred, require
from shared.http.sessions import signed_in
from shared.pages.languages import N_, Chosen, Language, translated
from shared.pages.pages import page
from shared.processing import mongo
from shared.processing.ownership import misnamed

from .certificates import find_certificate, find_learner, with_names
from .credentials import picture
from .credentials_api import picture_of

router = Router()


async def _active(service: Running, caller: Authenticated) -> Caller:
    """The caller, unless it is suspended (its token may be older than that)."""
    if why := await barred(service, caller):
        raise Problem(403, why)
    return caller


Active = Annotated[Caller, Depends(_active)]


@router.put("/schemes/{id}", tags=["schemes"], status_code=202)
async def publish_scheme(
    service: Running, caller: Active, id: EntityId, body: SchemePublished, prefer: Prefer = None
) -> JSONResponse:
    """Publish the rule by which the calling institution certifies its learners, or replace it.

    Learners who meet it already are certified too; certificates given under an earlier version stay.
    """
    require(caller, *INSTITUTION)
    if not (await service.frameworks()).is_known(body.competency):
        raise Problem(422, "the request does not fit", [("competency", f"{body.competency} is not in its framework")])
    await service.current("scheme", id)
    known = await service.db["schemes"].find_one({"_id": id})
    if known is not None and known["institution"] != caller.organisation:
        raise Problem(403, f"the scheme {id} belongs to {known['institution']}")
    if known is None and not service.settings.free_ids and (wrong := misnamed(id, caller.organisation)):
        raise Problem(422, wrong, [("id", wrong)])
    wanted = {**body.model_dump(mode="json"), "institution": caller.organisation}
    if known is not None and all(known.get(field) == value for field, value in wanted.items()):
        return JSONResponse(await found(service.db, "schemes", id))
    return await accept(service, event_by(caller, body, id), prefer, lambda: found(service.db, "schemes", id))


@router.get("/schemes", tags=["schemes"])
async def list_schemes(
    service: Running, paging: Pages, competency: str | None = None, institution: str | None = None
) -> dict[str, Any]:
    """All schemes, by id."""
    return await listed(service.db, "schemes", {"competency": competency, "institution": institution}, paging)


@router.get("/schemes/{id}", tags=["schemes"])
async def read_scheme(service: Running, id: EntityId) -> dict[str, Any]:
    """One scheme."""
    return await found(service.db, "schemes", id)


@router.get("/certificates", tags=["certificates"])
async def list_certificates(
    service: Running, caller: Authenticated, paging: Pages, competency: str | None = None
) -> dict[str, Any]:
    """The certificates that the calling institution has issued (the operator: all), by id; `of` is the learner."""
    match: dict[str, Any] = {} if caller.is_operator else {"certificates.institution": caller.organisation}
    if competency is not None:
        match["certificates.competency"] = competency
    page = await mongo.page_within(service.db, "learners", "certificates", match, paging.after, paging.limit)
    return {"items": page.items, "next": page.next_after}


@router.get("/certificates/check", include_in_schema=False)
async def check_page(
    request: Request, service: Running, language: Chosen, number: Annotated[str, Query(max_length=200)] = ""
) -> Response:
    """Where people look a certificate up by its number (or by the address that has it)."""
    id = number.strip().rstrip("/").rpartition("/")[2]
    if id and await service.db["learners"].find_one({"certificates.id": id}, {"_id": 1}):
        return RedirectResponse(f"./{quote(id)}", 303)
    return page(request, "services/certification/check.html", language, status=404 if id else 200, number=number)


@router.get(
    "/certificates/{id}",
    tags=["certificates"],
    response_model=None,
    responses={200: {"content": {"text/html": {"schema": {"type": "string"}}}}},
)
async def read_certificate(
    request: Request, service: Running, id: EntityId, language: Chosen, accept: Annotated[str, Header()] = ""
) -> Response:
    """A certificate as everybody may see it: a page for browsers, JSON for programs. It does not name the learner.

    One that the learner does not show in public is refused (403) to everybody but its institution and the operator.
    """
    found = await find_certificate(service.db, id)
    if found.get("hidden") and not _is_for(request, service, found["institution"]):
        return _hidden(request, language, accept)
    certificate = await with_names(service, found)
    if "text/html" in accept:
        badge, address = picture_of(certificate), f"{service.settings.public('certification')}/certificates/{id}"
        return page(
            request,
            "services/certification/certificate.html",
            language,
            certificate=certificate,
            badge=picture.data_uri(badge),
            qr=picture.data_uri(picture.qr_code(address)),
        )
    return JSONResponse(certificate, headers={"Vary": "Accept"})


HIDDEN = (
    N_("This certificate is not shown in public"),
    N_("Its holder has decided so. Whoever has its file can check that it is real and still counts."),
)


def _hidden(request: Request, language: Language, accept: str) -> Response:
    title, detail = HIDDEN
    if "text/html" not in accept:
        raise Problem(403, "its holder does not show this certificate in public; its file can still be checked")
    template = "services/certification/nowhere.html"
    words = (translated(language, title), translated(language, detail))
    return page(request, template, language, status=403, title=words[0], detail=words[1])


def _is_for(request: Request, service: Service, institution: str) -> bool:
    """Does the institution itself ask, or the operator: by a session, or by a token?"""
    member = signed_in(request)
    caller = member.caller if member else None
    if header := request.headers.get("authorization"):
        try:
            caller = service.verifier.caller(header)
        except Unauthorised:
            return False
    return caller is not None and (caller.is_operator or caller.organisation == institution)


class Revocation(BaseModel):
    model_config = ConfigDict(extra="forbid")

    reason: Text


@router.post("/certificates/{id}/revocation", tags=["certificates"], status_code=202)
async def revoke_certificate(
    service: Running, caller: Active, id: EntityId, body: Revocation, prefer: Prefer = None
) -> JSONResponse:
    """Declare a certificate no longer valid, for good. By the institution that issued it, or the operator."""
    certificate = await find_certificate(service.db, id)
    if not caller.is_operator and caller.organisation != certificate["institution"]:
        raise Problem(403, f"the certificate was issued by {certificate['institution']}")
    if certificate["status"] == "revoked":
        return JSONResponse(certificate)
    learner = await find_learner(service.db, id)
    event = derive(
        "certification",
        CompetencyRevoked(reason=body.reason),
        id=derived_id("competency.revoked", id),
        subject=id,
        key=learner["_id"],
        time=datetime.now(UTC),
    )
    return await accept(service, event, prefer, lambda: find_certificate(service.db, id))

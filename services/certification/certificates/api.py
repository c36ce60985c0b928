"""Certificates over HTTP: listed, read, looked up by their number, revoked."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from urllib.parse import quote, urlsplit

from fastapi import Header, Query, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse
from pydantic import BaseModel, ConfigDict

from services.certification.credentials import picture
from services.certification.validity import as_of_today
from shared.contract.events import CompetencyRevoked, Data, Event, Text, derive, derived_id
from shared.http.auth import Caller, Unauthorised
from shared.http.commands import Prefer, accept
from shared.http.lists import Pages
from shared.http.problems import Problem
from shared.http.routing import Router
from shared.http.service import Active, Authenticated, EntityId, Running, Service, barred
from shared.http.sessions import signed_in
from shared.http.spreadsheets import TABLES, Sheet, one_file, table_file
from shared.pages.chosen import Chosen
from shared.pages.languages import N_, Language, translated
from shared.pages.pages import page
from shared.processing import mongo

from .credentials_api import picture_of
from .listing import HEADINGS, Wanted, rows_of
from .reads import LABELS, find_certificate, find_learner, with_names

router = Router()


@router.get("/certificates", tags=["certificates"], response_model=None, responses={200: {"content": TABLES}})
async def list_certificates(  # noqa: PLR0913, PLR0917
    service: Running,
    caller: Authenticated,
    paging: Pages,
    wanted: Wanted,
    language: Chosen,
    format: Literal["json", "csv", "xlsx"] = "json",
) -> Response:
    """The certificates that the calling institution has issued (the operator: all), by id; `of` is the learner.

    CSV and XLSX have all that are asked for, up to 20,000, the newest first.
    """
    match = wanted.match(None if caller.is_operator else caller.organisation)
    if format != "json":
        return await certificates_file(service, match, format, language)
    page = await mongo.page_within(service.db, "learners", "certificates", match, paging.after, paging.limit)
    return JSONResponse({"items": [*map(as_of_today, page.items)], "next": page.next_after})


async def certificates_file(service: Service, match: dict[str, Any], format: str, language: Language) -> Response:
    async with one_file(service):
        rows = await rows_of(service.db, match, await service.frameworks(), language)
        return await table_file("certificates", format, language, Sheet(N_("Certificates"), HEADINGS, rows))


def _parted(address: str) -> tuple[str, str]:
    """The host, if there is one, and the path of an address."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return "", address
    return parts.netloc.lower(), parts.path


@router.get("/certificates/check", include_in_schema=False)
async def check_page(
    request: Request, service: Running, language: Chosen, number: Annotated[str, Query(max_length=200)] = ""
) -> Response:
    """Where people look a certificate up by its number (or by the address that has it)."""
    host, path = _parted(number := number.strip())
    id = path.rstrip("/").rpartition("/")[2].lower()
    if id and await service.db["learners"].find_one({"certificates.id": id}, {"_id": 1}):
        return RedirectResponse(f"./{quote(id)}", 303)
    own, _ = _parted(service.settings.public("certification"))
    about: dict[str, Any] = {"number": number, "foreign": host if host != own else ""}
    template = "services/certification/certificates/check.html"
    return page(request, template, language, status=404 if number else 200, **about)


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
    if found.get("hidden") and not await _is_for(request, service, found["institution"]):
        return _hidden(request, language, accept)
    certificate = await with_names(service, found)
    if "text/html" in accept:
        badge, address = (
            await picture_of(service, certificate),
            f"{service.settings.public('certification')}/certificates/{id}",
        )
        return page(
            request,
            "services/certification/certificates/certificate.html",
            language,
            certificate=certificate,
            **LABELS,
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
    template = "services/certification/certificates/nowhere.html"
    words = (translated(language, title), translated(language, detail))
    return page(request, template, language, status=403, title=words[0], detail=words[1])


async def _is_for(request: Request, service: Service, institution: str) -> bool:
    """Does the institution itself ask, or the operator: by a session, or by a token?"""
    member = signed_in(request)
    caller = member.caller if member else None
    if header := request.headers.get("authorization"):
        try:
            caller = service.verifier.caller(header)
        except Unauthorised:
            return False
    if caller is None or not (caller.is_operator or caller.organisation == institution):
        return False
    return await barred(service, caller) is None


class Revocation(BaseModel):
    model_config = ConfigDict(extra="forbid")

    reason: Text


@router.post("/certificates/{id}/revocation", tags=["certificates"], status_code=202)
async def revoke_certificate(
    service: Running, caller: Active, id: EntityId, body: Revocation, prefer: Prefer = None
) -> JSONResponse:
    """Declare a certificate no longer valid, for good. By the institution that issued it, or the operator."""
    event = await revocation(service, caller, id, body)
    if event is None:
        return JSONResponse(await find_certificate(service.db, id))
    return await accept(service, event, prefer, lambda: find_certificate(service.db, id))


async def revocation(service: Service, caller: Caller, id: str, body: Revocation) -> Event[Data] | None:
    """The event by which a certificate is revoked; None: it has been.

    Raises:
        Problem: it is another's, or there is none.
    """
    certificate = await find_certificate(service.db, id)
    if not caller.is_operator and caller.organisation != certificate["institution"]:
        raise Problem(403, f"the certificate was issued by {certificate['institution']}")
    if certificate["status"] == "revoked":
        return None
    learner = await find_learner(service.db, id)
    return derive(
        "certification",
        CompetencyRevoked(reason=body.reason),
        id=derived_id("competency.revoked", id),
        subject=id,
        key=learner["_id"],
        time=datetime.now(UTC),
    )

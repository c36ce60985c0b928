"""The pictures of an institution's badges: its own in place of the drawn ones, over HTTP and on pages."""

import binascii
from base64 import b64decode, b64encode
from typing import Annotated

from fastapi import Depends, Query, Request
from fastapi.responses import HTMLResponse, Response

from services.certification.certificates.credentials_api import picture_of
from services.certification.credentials import own_pictures, picture, pixels
from services.certification.credentials.issuing import names
from shared.contract.events import INSTITUTION, Publisher
from shared.http.auth import Role
from shared.http.problems import Problem
from shared.http.routing import Router
from shared.http.service import Active, Authenticated, EntityId, Running, Service, require
from shared.http.visits import MemberVisit, SignedInOffline, demand_active, demand_role
from shared.pages.languages import N_

router = Router(tags=["credentials"])
TYPES = ("image/svg+xml", "image/png")
DONE = {
    "kept": N_("The picture is in use."),
    "drawn": N_("The drawn picture is in use again."),
}
# A picture that is opened by itself may do nothing either.
_HEADERS = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox"}


async def _demand_scheme(service: Service, institution: str, competency: str) -> None:
    """Refuse a competency that the institution does not certify."""
    if not await service.db["schemes"].find_one({"institution": institution, "competency": competency}, {"_id": 1}):
        raise Problem(404, f"{institution} has no scheme for {competency}")


async def _in_use(service: Service, institution: str, competency: str) -> Response:
    """The picture of a badge: what the institution has given, or what is drawn."""
    name = (await names(service.db, {institution}))[institution]
    used = await picture_of(service, {"institution": institution, "institution_name": name, "competency": competency})
    headers = {**_HEADERS, "Cache-Control": "private, no-cache"}
    return Response(used, media_type="image/png" if isinstance(used, bytes) else "image/svg+xml", headers=headers)


@router.get("/badges/{competency}", responses={200: {"content": {each: {} for each in TYPES}}}, response_model=None)
async def read_picture(service: Running, caller: Authenticated, competency: EntityId) -> Response:
    """The picture of the calling institution's badge for a competency: its own (PNG), or the drawn one (SVG)."""
    require(caller, *INSTITUTION)
    await _demand_scheme(service, caller.organisation, competency)
    return await _in_use(service, caller.organisation, competency)


@router.put(
    "/badges/{competency}",
    status_code=204,
    openapi_extra={"requestBody": {"required": True, "content": {each: {} for each in TYPES}}},
)
async def put_picture(request: Request, service: Running, caller: Active, competency: EntityId) -> Response:
    """Use a picture of the institution's own for a competency: SVG or PNG, 200 kB at most; its pixels are kept.

    Badges have it from now on when they are fetched; what their credentials say does not change by it.
    """
    require(caller, *INSTITUTION)
    await _demand_scheme(service, caller.organisation, competency)
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() not in TYPES:
        raise Problem(415, f"a picture comes as one of {', '.join(TYPES)}")
    try:
        png = await pixels.drawn(await request.body())
    except pixels.NotDrawn as error:
        raise Problem(422, "the picture cannot be used", [("body", error.args[0])]) from None
    await own_pictures.keep(service, caller.organisation, competency, png)
    return Response(status_code=204)


@router.delete("/badges/{competency}", status_code=204)
async def delete_picture(service: Running, caller: Active, competency: EntityId) -> Response:
    """Use the drawn picture again."""
    require(caller, *INSTITUTION)
    await own_pictures.forget(service, caller.organisation, competency)
    return Response(status_code=204)


# pages


async def _by_institution(visit: SignedInOffline) -> MemberVisit:
    demand_role(visit, (Role.admin, Role.staff))
    if visit.member.kind is not Publisher.institution:
        raise Problem(403, "badges are an institution's")
    await demand_active(visit)
    return visit


ByInstitution = Annotated[MemberVisit, Depends(_by_institution)]


@router.get("/badges", include_in_schema=False, response_class=HTMLResponse)
async def badges_page(visit: ByInstitution) -> Response:
    """The badges of the member's institution."""
    institution = visit.member.organisation
    schemes = visit.service.db["schemes"].find({"institution": institution}, {"competency": 1})
    competencies = {doc["competency"] async for doc in schemes}
    listed = sorted((visit.frameworks.name(each, visit.language), each) for each in competencies)
    return visit.show("services/certification/issuers/badges.html", badges=listed)


@router.get("/badges/{competency}/picture", include_in_schema=False)
async def badge_picture(visit: ByInstitution, competency: EntityId) -> Response:
    """The picture that is in use, for the pages."""
    return await _in_use(visit.service, visit.member.organisation, competency)


@router.get("/badges/{competency}/form", include_in_schema=False, response_class=HTMLResponse)
async def badge_page(
    visit: ByInstitution, competency: EntityId, done: Annotated[str, Query(max_length=10)] = ""
) -> Response:
    """One badge, and the form for another picture."""
    await _demand_scheme(visit.service, visit.member.organisation, competency)
    visit.notice = visit.word(DONE.get(done, ""))
    return await _show(visit, competency)


async def _show(visit: MemberVisit, competency: str, status: int = 200, preview: bytes | None = None) -> Response:
    own = await own_pictures.find(visit.service, visit.member.organisation, competency)
    return visit.show(
        "services/certification/issuers/badge.html",
        status,
        competency=competency,
        name=visit.frameworks.name(competency, visit.language),
        is_own=own is not None,
        preview=preview and b64encode(preview).decode(),
        preview_address=preview and picture.data_uri(preview),
        most_kb=pixels.MOST_BYTES // 1000,
    )


@router.post("/badges/{competency}/form", include_in_schema=False, response_class=HTMLResponse)
async def change_badge(visit: ByInstitution, competency: EntityId) -> Response:
    """Show what a picture will look like, then use it; or use the drawn one again."""
    service, institution, form = visit.service, visit.member.organisation, visit.form
    await _demand_scheme(service, institution, competency)
    if not form.is_meant:
        return await _show(visit, competency)
    if form["drawn"]:
        await own_pictures.forget(service, institution, competency)
        return visit.go("form?done=drawn")
    try:
        png = await pixels.drawn(_sent(visit))
    except pixels.NotDrawn as error:
        visit.wrong({"file": error.args[0]})
        return await _show(visit, competency, 422)
    if not form["pixels"]:
        return await _show(visit, competency, preview=png)
    await own_pictures.keep(service, institution, competency, png)
    return visit.go("form?done=kept")


def _sent(visit: MemberVisit) -> bytes:
    """The file, or the pixels that the page has shown."""
    if visit.form.file and visit.form.file.content:
        visit.form.values.pop("pixels", None)  # another file was chosen while the preview was looked at
        return visit.form.file.content
    try:
        return b64decode(visit.form["pixels"], validate=True)
    except binascii.Error:
        return b""

"""The credential of a certificate over HTTP, in each of its forms, and the learner's link to it."""

import asyncio
from typing import Any, Literal

from fastapi.responses import Response

from services.certification.credentials import badge, issuing, links, own_pictures, picture
from shared.http.auth import Caller
from shared.http.problems import Problem
from shared.http.routing import Router
from shared.http.service import Authenticated, EntityId, Running, Service, barred, refuse_sandbox

from .reads import find_certificate, find_learner

router = Router(tags=["credentials"])
Form = Literal["credential.json", "credential.jwt", "badge.png", "badge.svg", "certificate.pdf"]


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

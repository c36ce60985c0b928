"""Collecting a credential: who has the learner's link sees what it says and takes it, without an account."""

from typing import Annotated

from fastapi import Path
from fastapi.responses import HTMLResponse, Response

from shared.http.problems import Problem
from shared.http.routing import Router
from shared.http.service import Running
from shared.http.visits import AnyVisit
from shared.pages.languages import N_

from .certificates import find_certificate, find_learner, with_names
from .credentials import links, picture
from .credentials_api import Form, answer, picture_of

router = Router(include_in_schema=False, default_response_class=HTMLResponse)
Token = Annotated[str, Path(max_length=200)]
NOWHERE = (
    N_("This link does not lead anywhere"),
    N_("It is mistyped, has expired, or was withdrawn. Your institution gives you a new one."),
)


@router.get("/collect/{token}")
async def collect_page(visit: AnyVisit, token: Token) -> Response:
    """What the credential says, and in which forms it can be taken."""
    service = visit.service
    id = await links.certificate_of(service, token)
    if id is None:
        title, detail = NOWHERE
        return visit.show(
            "services/certification/nowhere.html", 404, title=visit.word(title), detail=visit.word(detail)
        )
    certificate = await with_names(service, await find_certificate(service.db, id))
    address = f"{service.settings.public('certification')}/certificates/{id}"
    answered = visit.show(
        "services/certification/collect.html",
        certificate=certificate,
        token=token,
        address=address,
        badge=picture.data_uri(await picture_of(service, certificate)),
        qr=picture.data_uri(picture.qr_code(address)),
    )
    answered.headers["Referrer-Policy"] = "no-referrer"
    return answered


@router.get("/collect/{token}/{form}")
async def collect(service: Running, token: Token, form: Form) -> Response:
    """The credential as a file."""
    id = await links.certificate_of(service, token)
    if id is None:
        raise Problem(404, "this link does not lead anywhere")
    return await answer(service, await find_learner(service.db, id), id, form)

"""Collecting a credential: who has the learner's link takes it, adds it to a wallet, and decides who else sees it.

What is typed here (a name, a DID) goes into the copy that is answered with, and nowhere else.
"""

import asyncio
from typing import Annotated, Any, Literal, NamedTuple
from urllib.parse import quote

from fastapi import Path
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from services.certification.certificates.credentials_api import Form, answer, as_file, picture_of
from services.certification.certificates.reads import LABELS, certificate_in, with_names
from services.certification.credentials import holders, issuing, links, picture, proofs, records, wallets
from services.certification.credentials.badge import NOBODY, Holder
from services.certification.validity import is_valid
from shared.http.problems import Problem
from shared.http.routing import Router
from shared.http.service import Running, Service
from shared.http.visits import AnyVisit, Visit
from shared.pages.languages import N_, Text
from shared.processing import facts

from .choices import Learner, ask_erasure, note_collected, show_in_public

router = Router(include_in_schema=False, default_response_class=HTMLResponse)
Token = Annotated[str, Path(max_length=200)]
RecordForm = Literal["record.json", "record.jwt"]
NOWHERE = (
    N_("This link does not lead anywhere"),
    N_("It is mistyped, has expired, or was withdrawn. Your institution gives you a new one."),
)
WORDS = {
    "badge.png": N_("Picture with the certificate in it (PNG)"),
    "certificate.pdf": N_("For print, in both languages: PDF with the certificate in it"),
    "badge.svg": N_("The picture as SVG"),
    "credential.json": N_("For wallets and programs: JSON"),
    "credential.jwt": N_("For wallets and programs: JWT"),
    "record.json": N_("All your certificates as one: JSON"),
    "record.jwt": N_("All your certificates as one: JWT"),
}
DONE = {
    "hidden": N_("The public page no longer shows your certificate. What you have passed on stays valid."),
    "shown": N_("The public page shows your certificate again."),
    "later": N_("This was changed several times just now. Try again in a minute."),
    "asked": N_("Your institution was told that you ask to be erased."),
}


class Opened(NamedTuple):
    """What a link leads to."""

    token: str
    id: str
    learner: Learner

    @property
    def certificate(self) -> dict[str, Any]:
        return certificate_in(self.learner, self.id)


async def _opened(service: Service, token: str) -> Opened | None:
    id = await links.certificate_of(service, token)
    learner = await service.db["learners"].find_one({"certificates.id": id}) if id else None
    return Opened(token, id, learner) if id and learner else None  # who was erased has no certificate any more


def _nowhere(visit: Visit) -> Response:
    title, detail = NOWHERE
    template = "services/certification/certificates/nowhere.html"
    return visit.show(template, 404, title=visit.word(title), detail=visit.word(detail))


def _valid(opened: Opened) -> list[str]:
    """The learner's certificates of the link's institution that count."""
    institution = opened.certificate["institution"]
    mine = opened.learner["certificates"]
    return [each["id"] for each in mine if each["institution"] == institution and is_valid(each)]


@router.get("/collect/{token}")
async def collect_page(visit: AnyVisit, token: Token, done: str = "") -> Response:
    """What the credential says, in which forms it can be taken, and what its holder decides."""
    opened = await _opened(visit.service, token)
    if opened is None:
        return _nowhere(visit)
    visit.notice = visit.word(DONE[done]) if done in DONE else ""
    return await _show(visit, opened)


async def _show(visit: Visit, opened: Opened, status: int = 200, *, once: bool = False, offer: Any = None) -> Response:
    service, found = visit.service, opened.certificate
    certificate, number = await with_names(service, found), len(_valid(opened))
    public = service.settings.public("certification")
    address = f"{public}/certificates/{opened.id}"
    known = [*issuing.FORMS, *(records.FORMS if number > 1 else ())]
    forms = dict.fromkeys([*(form for form in WORDS if form in known), *known])  # in the order in which they are wanted
    answered = visit.show(
        "services/certification/learners/collect.html",
        status,
        once=once,
        certificate=certificate,
        **LABELS,
        token=opened.token,
        forms=[(form, visit.word(WORDS.get(form, form))) for form in forms],
        address=address,
        is_hidden="hidden" in found,
        erasure=_asked(opened),
        until=links.end_of(opened.token).date().isoformat(),
        badge=picture.data_uri(await picture_of(service, certificate)),
        qr=picture.data_uri(picture.qr_code(address)),
        offer=offer,
    )
    answered.headers["Referrer-Policy"] = "no-referrer"
    return answered


def _asked(opened: Opened) -> str:
    """When the learner asked the institution to be erased; empty: not yet."""
    asked = facts.facts(opened.learner["state"], "learner.erasure_requested")
    found = asked.get(opened.certificate["institution"])
    return found["time"] if found else ""


@router.get("/collect/{token}/copy")
@router.get("/collect/{token}/wallet")
@router.get("/collect/{token}/public")
async def back(token: Token) -> Response:
    """Who loads the answer of a form again begins anew."""
    return _to(token)


def _to(token: str, done: str = "") -> Response:
    return RedirectResponse(f"../{quote(token)}{'?done=' if done else ''}{done}", 303)


@router.get("/collect/{token}/erasure")
async def erasure_page(visit: AnyVisit, token: Token) -> Response:
    """What it means to be erased, before the learner asks for it."""
    opened = await _opened(visit.service, token)
    if opened is None:
        return _nowhere(visit)
    certificate = await with_names(visit.service, opened.certificate)
    return visit.show("services/certification/learners/erasure.html", token=token, certificate=certificate)


@router.post("/collect/{token}/erasure")
async def erasure(visit: AnyVisit, token: Token) -> Response:
    """Ask the institution to be erased."""
    opened = await _opened(visit.service, token)
    if opened is None:
        return _nowhere(visit)
    if not visit.form.is_meant:
        return await erasure_page(visit, token)
    await ask_erasure(visit.service, opened.learner, opened.certificate["institution"])
    return _to(token, "asked")


@router.post("/collect/{token}/public")
async def switch(visit: AnyVisit, token: Token) -> Response:
    """Show the certificate in public, or no longer."""
    opened = await _opened(visit.service, token)
    if opened is None:
        return _nowhere(visit)
    if not visit.form.is_meant:
        return await _show(visit, opened, 403)
    is_shown = visit.form["show"] == "yes"
    done = await show_in_public(visit.service, opened.learner, opened.id, is_shown=is_shown)
    return _to(token, "later" if not done else "shown" if is_shown else "hidden")


@router.post("/collect/{token}/wallet")
async def add_to_wallet(visit: AnyVisit, token: Token) -> Response:
    """Offer the credential to a wallet: a link, a QR code, and the transaction code, which is shown this once."""
    opened = await _opened(visit.service, token)
    if opened is None:
        return _nowhere(visit)
    if not visit.form.is_meant or opened.certificate["status"] == "revoked":
        return await _show(visit, opened, 403)
    made = await wallets.offer(visit.service, opened.id)
    public = visit.service.settings.public("certification")
    link = f"openid-credential-offer://?credential_offer_uri={quote(f'{public}/wallet/offers/{made.code}', safe='')}"
    offer = {"link": link, "qr": picture.data_uri(picture.qr_code(link)), "tx_code": made.tx_code}
    return await _show(visit, opened, once=True, offer=offer)


@router.post("/collect/{token}/copy")
async def copy(visit: AnyVisit, token: Token) -> Response:
    """A file with what its holder adds to it; whatever does not do stands beside its field."""
    opened, form = await _opened(visit.service, token), visit.form
    if opened is None:
        return _nowhere(visit)
    holder = Holder(form["name"], form["did"])
    errors = holders.mistakes(holder)
    if form["form"] not in (*issuing.FORMS, *records.FORMS):
        errors["form"] = Text("Choose a file.")
    if errors or not form.is_meant:
        visit.wrong(errors)
        return await _show(visit, opened, 422 if errors else 403, once=True)
    try:
        return await _file(visit.service, opened, form["form"], holder)
    except proofs.Unsigned:  # a DID that looks like one and is no address
        visit.wrong({"did": Text("It is no DID that can be used here.")})
        return await _show(visit, opened, 422, once=True)


@router.get("/collect/{token}/{form}")
async def collect(service: Running, token: Token, form: Form | RecordForm) -> Response:
    """The credential as a file."""
    opened = await _opened(service, token)
    if opened is None:
        raise Problem(404, "this link does not lead anywhere")
    return await _file(service, opened, form, NOBODY)


async def _file(service: Service, opened: Opened, form: str, holder: Holder) -> Response:
    taken = _valid(opened) if form in records.FORMS else [opened.id]
    if form in records.FORMS:
        answered = await _record(service, opened, form, holder)
    else:
        answered = await answer(service, opened.learner, opened.id, form, holder)
    for id in taken:
        await note_collected(service, opened.learner, id)
    return answered


async def _record(service: Service, opened: Opened, form: str, holder: Holder) -> Response:
    """All of the learner's credentials of the institution that count."""
    valid, settings = _valid(opened), service.settings
    if not valid:
        raise Problem(404, "none of these certificates counts (any more)")
    all_issued = [await issuing.issue(service, opened.learner, id) for id in valid]

    def made() -> bytes:
        whole = records.record(all_issued, holder, settings.credential_language)
        return records.in_form(whole, form, settings.credential_jwt)

    content = await asyncio.to_thread(made)
    return as_file(content, records.FORMS[form], f"certificates.{form.rpartition('.')[2]}", holder)

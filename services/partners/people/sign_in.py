"""The pages on which people sign in and out, and accept an invitation."""

import math
import re
from pathlib import Path
from typing import Annotated
from urllib.parse import parse_qsl

from fastapi import Query
from fastapi.responses import HTMLResponse, Response

from services.partners.gateway.login_limits import LoginLimits
from shared.http.auth import Member, Role
from shared.http.forms import Form
from shared.http.problems import Problem
from shared.http.routing import Router
from shared.http.service import Service
from shared.http.visits import AnyVisit, Visit
from shared.pages.languages import Text
from shared.pages.pages import SERVICES, static
from shared.settings import Settings

from . import members, oidc, passkeys, passwords, sessions
from .members import MEMBERS, Gone, Person, Wrong, note
from .visits import name_of
from .words import ROLES

router = Router(include_in_schema=False, default_response_class=HTMLResponse)
SCRIPT = Path(__file__).parent / "signin.js"
FOLDER = "services/partners/people/"
Next = Annotated[str, Query(max_length=4000)]
Short = Annotated[str, Query(max_length=500)]


def safe(settings: Settings, address: str) -> str:
    """Where to go on: a path here, or a page of another service of ours; the work space if it is anything else."""
    is_path = re.fullmatch(r"/(?![/\\])[^\\\x00-\x20\x7f]*", address)
    ours = tuple(f"{settings.public(name)}/" for name in SERVICES)
    is_ours = address.startswith(ours) and not re.search(r"[\\\x00-\x20\x7f]", address)
    return address if is_path or is_ours else "/work"


# signing in and out


def _sign_in_page(visit: Visit, status: int = 200) -> Response:
    settings = visit.service.settings
    return visit.show(
        FOLDER + "sign_in.html",
        status,
        scripts=True,
        question=passkeys.authentication(settings),
        provider=settings.oidc_name if settings.oidc_issuer else None,
    )


@router.get("/sign-in")
async def sign_in_page(visit: AnyVisit, next: Next = "") -> Response:
    if await sessions.current(visit.request, visit.service):
        return visit.go(safe(visit.service.settings, next))
    visit.form = Form.filled(next=next)
    return _sign_in_page(visit)


@router.post("/sign-in")
async def sign_in(visit: AnyVisit) -> Response:
    """Sign in with a password or a passkey.

    A form of another page, sent when nobody was signed in, comes along as `typed`, and is shown there afterwards.
    """
    form = visit.form
    if not form.is_meant or "email" not in form.values:
        # Not from our page: else somebody could sign others in as himself. The sign-in of our own other pages begins.
        visit.form = Form.filled(next=form["next"], typed=form["typed"])
        return _sign_in_page(visit)
    try:
        if form["passkey"]:
            home, settings, verifier = visit.service.store.home, visit.service.settings, visit.service.verifier
            person = await passkeys.member_by_passkey(home, settings, verifier, form["challenge"], form["passkey"])
        else:
            person = await member_by_password(visit, form["email"], form.raw("password"))
        way = "passkey" if form["passkey"] else "password"
        member = await sessions.start(visit.request, visit.service, person, way)
    except Wrong as wrong:
        visit.wrong(wrong.errors)
        return _sign_in_page(visit, 422)
    return _go_on(visit, member)


async def member_by_password(visit: Visit, email: str, password: str) -> Person:
    """The member with this address and password, as often as the limits allow.

    Raises:
        Wrong: which of the two is wrong is not said; or too much was wrong lately.
    """
    if not email:
        raise Wrong(email=Text("is needed"))
    address, home = email.casefold(), visit.service.store.home
    network = visit.request.client.host if visit.request.client else ""
    limits = _limits(visit.service)
    if wait_s := limits.wait_s(address, password, network):
        raise Wrong(_=Text("too many attempts; try again in {minutes} min", {"minutes": math.ceil(wait_s / 60)}))
    person: Person | None = await home[MEMBERS].find_one({"address": address})
    is_right = await passwords.is_right(password, person["password"] if person else None)
    if person is None or not is_right:
        limits.failed(address, password, network)
        if person:
            await note(home, person["organisation"], person["_id"], "refused", person["_id"], network)
        raise Wrong(password=Text("the address or the password is wrong"))
    limits.succeeded(address, password)
    return person


def _limits(service: Service) -> LoginLimits:
    settings = service.settings
    limits: LoginLimits = service.shared.setdefault(
        "sign_ins", LoginLimits(settings.sign_in_failures, settings.sign_in_failures_per_min, everywhere=True)
    )
    return limits


def _go_on(visit: Visit, member: Member) -> Response:
    """Go where the person was going; a form that was typed before the sign-in is shown again there."""
    address = safe(visit.service.settings, visit.form["next"])
    if not visit.form["typed"]:
        return visit.go(address)
    visit.request.state.member = member
    typed = parse_qsl(visit.form["typed"], keep_blank_values=True)
    return visit.show(FOLDER + "resume.html", scripts=True, address=address, typed=typed)


@router.get("/sign-in/oidc")
async def sign_in_elsewhere(visit: AnyVisit, next: Next = "") -> Response:
    _demand_provider(visit)
    try:
        return visit.go(await oidc.address_of_provider(visit.request, visit.service, next))
    except Wrong as wrong:
        visit.form = Form.filled(next=next)
        visit.wrong(wrong.errors)
        return _sign_in_page(visit, 503)


@router.get(oidc.CALLBACK)
async def returned(  # noqa: PLR0913, PLR0917
    visit: AnyVisit,
    code: Next = "",
    state: Short = "",
    iss: Short = "",
    session_state: Short = "",
    error: Short = "",
    error_description: Next = "",
) -> Response:
    """Where the provider sends the browser back to, with what OpenID Connect says it may bring."""
    _demand_provider(visit)
    try:
        person, back = await oidc.returned(visit.request, visit.service)
        visit.form = Form.filled(next=back)
        await sessions.start(visit.request, visit.service, person, "oidc")
    except Wrong as wrong:
        visit.wrong(wrong.errors)
        return _sign_in_page(visit, 422)
    return visit.go(safe(visit.service.settings, back))


def _demand_provider(visit: Visit) -> None:
    if not visit.service.settings.oidc_issuer:
        raise Problem(404, Text("there is no sign-in provider here"))


@router.get("/session")
async def renew(visit: AnyVisit, next: Next = "") -> Response:
    """Give a new token to whose session goes on, and send the browser back."""
    await sessions.current(visit.request, visit.service)
    return visit.go(safe(visit.service.settings, next))


@router.post("/sign-out")
async def sign_out(visit: AnyVisit) -> Response:
    if visit.form.is_meant:
        await sessions.end(visit.request, visit.service)
    answer = visit.go("/sign-in")
    answer.headers["Clear-Site-Data"] = '"cache"'  # what a browser keeps for its back button
    return answer


@router.get("/people/signin.js")
async def script() -> Response:
    return static(SCRIPT)


# invitations

Token = Annotated[str, Query(max_length=100)]


@router.get("/invitation")
async def invitation_page(visit: AnyVisit, token: Token) -> Response:
    return await _invitation_page(visit, token)


@router.post("/invitation")
async def accept(visit: AnyVisit, token: Token) -> Response:
    """Use a link: the person sets a passkey or a password, and is signed in."""
    form, service = visit.form, visit.service
    if not form.is_meant:
        return await _invitation_page(visit, token, 403)
    try:
        kept = await members.invitation(service.store.home, token)
        name = members.checked(kept["organisation"], kept["email"], form["name"], kept["role"]).name
        await sessions.demand_active(service, kept["organisation"])  # before the link is used up
        proof = await _proof(visit, name, kept["email"], await name_of(service, kept["organisation"], visit.language))
        person = await members.accept(service.store.home, token, name, proof)
        await sessions.start(visit.request, service, person, "link")
    except Gone:
        return _gone(visit)
    except Wrong as wrong:
        visit.wrong(wrong.errors)
        return await _invitation_page(visit, token, 422)
    return visit.go("/work")


async def _invitation_page(visit: Visit, token: str, status: int = 200) -> Response:
    service = visit.service
    try:
        kept = await members.invitation(service.store.home, token)
    except Gone:
        return _gone(visit)
    if not visit.form.values:
        visit.form = Form.filled(name=kept["name"])
    return visit.show(
        FOLDER + "invitation.html",
        status,
        scripts=True,
        token=token,
        kept=kept,
        organisation=await name_of(service, kept["organisation"], visit.language),
        question=passkeys.registration(service.settings, kept["user"], kept["email"], kept["name"], []),
        role=visit.word(ROLES[Role(kept["role"])]),
        shortest=passwords.SHORTEST,
    )


def _gone(visit: Visit) -> Response:
    return visit.show(FOLDER + "gone.html", 410)


async def _proof(visit: Visit, *known: str) -> Person:
    """What the person will prove with who it is: a new passkey, or the hash of a password."""
    form, service = visit.form, visit.service
    if form["passkey"]:
        home, settings, verifier = service.store.home, service.settings, service.verifier
        return {"passkeys": [await passkeys.new_passkey(home, settings, verifier, form["challenge"], form["passkey"])]}
    passwords.demand_hard(form.raw("password"), *known)
    return {"password": await passwords.hashed(form.raw("password"))}

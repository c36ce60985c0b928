"""Checking credentials of any issuer: over HTTP, and on a public page by file, text or address."""

import asyncio
from typing import Annotated, Any
from urllib.parse import unquote

import httpx
from fastapi import Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from shared.http import addresses
from shared.http.addresses import Answered, NotAllowed
from shared.http.problems import Problem
from shared.http.routing import Router
from shared.http.service import Running, Service
from shared.http.visits import AnyVisit, Visit
from shared.pages.languages import N_, Text
from shared.processing import mongo

from .credentials import issuing, keys, lists
from .credentials.baking import as_text
from .credentials.checks import (
    MOST_BYTES,
    Found,
    Gone,
    Surroundings,
    Unavailable,
    Verdict,
    as_object,
    host_of,
    short,
)
from .credentials.examining import examined
from .credentials.form import flat, moment
from .credentials.verifying import verify

router = Router(tags=["credentials"])
WITHIN_S = 40
TYPES = (
    *("application/json", "application/ld+json", "application/vc", "application/vc+ld+json", "application/jwt"),
    *("application/vc+jwt", "application/vc+ld+json+jwt", "text/plain", "image/png", "image/svg+xml"),
)
ACCEPT = (
    "application/did+json, application/vc, application/json, application/ld+json, image/png, image/svg+xml, */*;q=0.1"
)
CHECKS = {
    "form": N_("Form"),
    "properties": N_("All is signed"),
    "proof": N_("Signature"),
    "issuer": N_("Issuer"),
    "status": N_("Not revoked"),
    "dates": N_("Dates"),
    "recipient": N_("Recipient"),
    "credential": N_("Certificate in it"),
    "endorsement": N_("Endorsement"),
    "network": N_("This network"),
}
Recipient = Annotated[
    str, Query(max_length=200, description="Who is said to have earned it: a pseudonym, an address of mail, a DID.")
]


@router.post(
    "/verify",
    openapi_extra={"requestBody": {"required": True, "content": {each: {} for each in TYPES}}},
)
async def verify_credential(request: Request, service: Running, recipient: Recipient = "") -> dict[str, Any]:
    """Check an Open Badges 3.0 (or hosted 2.x) credential, or a CLR 2.0 with such ones in it, of any issuer.

    It comes as JSON, a compact JWT, a baked PNG or SVG.

    Each check is valid, invalid or unknown: what could not be looked up is neither valid nor invalid.
    """
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type not in TYPES:
        raise Problem(415, f"a credential comes as one of {', '.join(TYPES)}")
    content = await _body(request)
    if not content.strip():
        raise Problem(422, "the request does not fit", [("body", "there is nothing in it")])
    verdict = await verified(service, content, recipient)
    checks = [check._asdict() for check in verdict.checks]
    return {"result": verdict.result, "checks": checks}


async def _body(request: Request) -> bytes:
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > MOST_BYTES:
            raise Problem(413, f"a credential has {MOST_BYTES} bytes at most")
    return bytes(content)


async def verified(service: Service, content: bytes, recipient: str = "") -> Verdict:
    """What is found of a credential, with what the service itself knows.

    Raises:
        Problem: it takes too long.
    """
    inside = service.settings.webhooks_inside
    async with addresses.client() as http:
        around = Surroundings(
            lambda address: _fetch(http, address, inside=inside),
            examined,
            public=service.settings.public("certification"),
            own=lambda path: _own(service, path),
            known=lambda id: _name(service, id),
        )
        try:
            async with asyncio.timeout(WITHIN_S):
                return await verify(content, around, recipient)
        except TimeoutError:
            raise Problem(503, "checking it takes too long", headers={"Retry-After": "60"}) from None


async def _fetch(http: httpx.AsyncClient, address: str, *, inside: bool) -> Found:
    try:
        found = await addresses.fetch(http, address, accept=ACCEPT, most_bytes=MOST_BYTES, inside=inside)
    except NotAllowed as error:
        about = {"address": short(address), "why": error.why}
        raise Unavailable(Text("{address} was not looked up: it {why}", about)) from None
    except (httpx.HTTPError, TimeoutError, OSError) as error:
        about = {"address": short(address), "why": short(str(error) or type(error).__name__)}
        kind = Gone if isinstance(error, Answered) and error.status == 410 else Unavailable
        raise kind(Text("{address} does not answer: {why}", about)) from None
    return Found(found.content, found.address)


async def _own(service: Service, path: str) -> bytes:
    """What this service itself has at a path: keys of its institutions, and their lists."""
    public = service.settings.public("certification")
    match [unquote(part) for part in path.split("/")]:
        case ["issuers", id, "did.json"]:
            if await _name(service, id) is not None:
                ring = keys.keyring(service.settings)
                return as_text(issuing.did_document(public, id, ring)).encode()
        case ["issuers", id, "status", number] if number.isdecimal() and len(number) < 7:
            try:
                return await lists.signed_list(service, id, int(number))
            except Problem:
                pass
    raise Unavailable(Text("There is nothing at {address}.", {"address": short(path)}))


async def _name(service: Service, id: str) -> str | None:
    """What an organisation of the network is called; None: there is no such one, or it cannot be told."""
    try:
        found = (await service.by_id("organisations", [id], {"name": 1})).get(id)
    except mongo.DatabaseError:
        return None
    return None if found is None else str(found.get("name", id))


@router.get("/verify", include_in_schema=False, response_class=HTMLResponse)
async def verify_page(visit: AnyVisit) -> Response:
    """Where people check a credential."""
    return _show(visit)


def _show(visit: Visit, status: int = 200, verdict: Verdict | None = None) -> Response:
    named = {check: visit.word(words) for check, words in CHECKS.items()}
    shown = about(verdict.credential if verdict and verdict.credential else {})
    vouched = verdict is not None and any(each.check == "network" and each.result == "valid" for each in verdict.checks)
    template = "services/certification/verify.html"
    return visit.show(template, status, once=True, verdict=verdict, named=named, shown=shown, vouched=vouched)


@router.get("/verify/file", include_in_schema=False)
async def verify_again() -> Response:
    """Who loads the answer's page again begins anew."""
    return RedirectResponse("../verify", 303)


@router.post("/verify/file", include_in_schema=False, response_class=HTMLResponse)
async def verify_by_form(visit: AnyVisit) -> Response:
    """The page with what was found; whatever does not do stands beside its field."""
    form = visit.form
    given = [name for name, is_there in _given(visit).items() if is_there]
    if not given:
        visit.wrong({"file": Text("Choose a file, paste its text, or give its address.")})
    elif len(given) > 1:
        visit.wrong({given[1]: Text("One of the three is enough.")})
    if form.errors or not form.is_meant:
        return _show(visit, 422 if form.errors else 200)
    content = await _content(visit, given[0])
    if content is None:
        return _show(visit, 422)
    return _show(visit, verdict=await verified(visit.service, content, form["recipient"][:200]))


def _given(visit: Visit) -> dict[str, bool]:
    file = visit.form.file
    return {
        "file": bool(file and file.content),
        "text": bool(visit.form["text"]),
        "address": bool(visit.form["address"]),
    }


async def _content(visit: Visit, given: str) -> bytes | None:
    """What is to be checked; None: it could not be had, and the form says why."""
    form = visit.form
    if given == "address":
        async with addresses.client() as http:
            try:
                content = (await _fetch(http, form["address"], inside=visit.service.settings.webhooks_inside)).content
            except Unavailable as away:
                visit.wrong({"address": away.why})
                return None
    else:
        content = form.file.content if given == "file" and form.file else form["text"].encode()
    if len(content) > MOST_BYTES:
        visit.wrong({given: Text("It is larger than {most} bytes.", {"most": MOST_BYTES})})
        return None
    return content


def about(credential: dict[str, Any]) -> dict[str, str]:
    """What a credential says it is, for people; whatever in it is no text is left out."""

    def text(*path: str) -> str:
        found: Any = credential
        for name in path:
            found = found[0] if isinstance(found, list) and found else found
            found = found.get(name) if isinstance(found, dict) else None
        return found[:300] if isinstance(found, str) else ""

    issuer = text("issuer", "id") or text("issuer") or text("badge", "issuer", "id") or text("badge", "issuer")
    issuer = issuer or (text("id") if "badge" in credential else "")  # a hosted one is where its issuer is
    return {
        "name": text("credentialSubject", "achievement", "name") or text("name") or text("badge", "name"),
        "issuer": text("issuer", "name") or text("badge", "issuer", "name"),
        "by": issuer if issuer.startswith("did:") else host_of(issuer),
        "description": text("credentialSubject", "achievement", "description"),
        "criteria": text("credentialSubject", "achievement", "criteria", "narrative"),
        "from": _day(text("validFrom") or text("issuanceDate") or text("issuedOn")),
        "until": _day(text("validUntil") or text("expirationDate") or text("expires")),
        "holder": text("credentialSubject", "name") or _named(credential) or text("credentialSubject", "id"),
        "named": _named(credential),
    }


def _named(credential: dict[str, Any]) -> str:
    """The name that a holder has added: an identity that is not hashed."""
    subject = as_object(next(flat(credential.get("credentialSubject")), None))
    identities = [as_object(each) for each in flat(subject.get("identifier"))]
    names = [each.get("identityHash") for each in identities if _is_name(each)]
    return next((name[:300] for name in names if isinstance(name, str)), "")


def _is_name(identity: dict[str, Any]) -> bool:
    return identity.get("hashed") is False and identity.get("identityType") == "name"


def _day(text: str) -> str:
    """The day of a moment, if it is one; the template writes it in the reader's language."""
    try:
        return moment(text).date().isoformat()
    except ValueError:
        return ""

"""Checking credentials of any issuer: over HTTP, and on a public page by file, text or address."""

import asyncio
from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import quote, unquote

import httpx
from fastapi import Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from services.certification.certificates.reads import find_certificate
from services.certification.credentials import badge, issuing, keys, lists, qr
from services.certification.credentials.baking import as_text, has_credential
from services.certification.credentials.checks import (
    MOST_BYTES,
    Check,
    Found,
    Gone,
    Surroundings,
    Unavailable,
    Verdict,
    as_object,
    concluded,
    dates,
    host_of,
    is_name,
    short,
)
from services.certification.credentials.examining import examined
from services.certification.credentials.form import flat, moment
from services.certification.credentials.verifying import verify
from services.certification.recognition.reads import revocation_list
from shared.http import addresses
from shared.http.addresses import Answered, NotAllowed
from shared.http.problems import Problem
from shared.http.routing import Router
from shared.http.service import Running, Service
from shared.http.visits import AnyVisit, Visit
from shared.pages.languages import N_, Text
from shared.processing import mongo

router = Router(tags=["credentials"])
WITHIN_S = 40
TYPES = (
    *("application/json", "application/ld+json", "application/vc", "application/vc+ld+json", "application/jwt"),
    *("application/vc+jwt", "application/vc+ld+json+jwt", "text/plain"),
    *("image/png", "image/svg+xml", "image/jpeg", "image/webp", "application/pdf"),
)
ACCEPT = (
    "application/did+json, application/vc, application/json, application/ld+json, image/png, image/svg+xml, "
    "application/pdf, */*;q=0.1"
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

    It comes as JSON, a compact JWT, a baked PNG or SVG, our PDF.

    Of a picture without a credential, and of a text that is an address, what the QR code or the address leads to.
    Each check is valid, invalid or unknown: what could not be looked up is neither valid nor invalid.
    """
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type not in TYPES:
        raise Problem(415, f"a credential comes as one of {', '.join(TYPES)}")
    content = await read_body(request)
    if not content.strip():
        raise Problem(422, "the request does not fit", [("body", "there is nothing in it")])
    try:
        led = await followed(service, content)
    except Unusable as error:
        raise Problem(422, "the request does not fit", [("body", error.why)]) from None
    verdict = await recorded(service, led) if isinstance(led, str) else await verified(service, led, recipient)
    checks = [check._asdict() for check in verdict.checks]
    return {"result": verdict.result, "checks": checks}


async def read_body(request: Request, most: int = MOST_BYTES) -> bytes:
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > (qr.MOST_BYTES if qr.is_picture(bytes(content[:16])) else most):
            raise Problem(413, f"a credential has {most} bytes at most, a picture of a QR code {qr.MOST_BYTES}")
    return bytes(content)


class Unusable(Exception):
    """What was given leads to no credential, and why."""

    def __init__(self, why: Text) -> None:
        super().__init__(why)
        self.why = why


async def followed(service: Service, content: bytes) -> bytes | str:
    """The credential that is given, or what the address leads to that stands in its place, as text or as QR code.

    Returns:
        A text is the id of a certificate of this network, by its public address.
    """
    if qr.is_picture(content) and not (len(content) <= MOST_BYTES and has_credential(content)):
        try:
            async with asyncio.timeout(WITHIN_S):
                content = (await qr.text_in(content)).encode()
        except TimeoutError:
            raise Unusable(Text("reading the picture takes too long: try again")) from None
        except qr.NoCode as error:
            raise Unusable(error.args[0]) from None
    if len(content) > MOST_BYTES:
        raise Unusable(Text("It is larger than {most} bytes.", {"most": MOST_BYTES}))
    address = content[:2_000].decode(errors="replace").strip()
    return await looked_up(service, address) if address.startswith(("https://", "http://")) else content


async def looked_up(service: Service, address: str) -> bytes | str:
    """What is at an address, as `followed` has it."""
    own = f"{service.settings.public('certification')}/certificates/"
    if address.startswith(own):
        return unquote(address.removeprefix(own).partition("?")[0])
    async with addresses.client() as http:
        try:
            return (await _fetch(http, address, inside=service.settings.webhooks_inside)).content
        except Unavailable as away:
            raise Unusable(away.why) from None


async def recorded(service: Service, id: str) -> Verdict:
    """What this network's own record says of a certificate."""
    try:
        certificate = await find_certificate(service.db, id)
    except Problem:
        return concluded([Check("form", "invalid", Text("This network has given no such certificate."))], None)
    network = Check("network", "valid", Text("It is a certificate of this network."))
    if certificate.get("hidden"):
        why = Text("Its holder does not show it in public: ask for its file.")
        return concluded([network, Check("status", "unknown", why)], None)
    revoked = certificate["status"] == "revoked"
    of_status = Text("It was revoked.") if revoked else Text("It has not been revoked.")
    status = Check("status", "invalid" if revoked else "valid", of_status)
    until = certificate["valid_until"] and f"{certificate['valid_until']}T23:59:59Z"
    return concluded([network, status, dates(certificate["certified_at"], until, datetime.now(UTC))], None)


async def verified(service: Service, content: bytes, recipient: str = "") -> Verdict:
    """What is found of a credential, with what the service itself knows.

    Raises:
        Problem: it takes too long.
    """
    async with addresses.client() as http:
        try:
            async with asyncio.timeout(WITHIN_S):
                return await verify(content, surroundings(service, http), recipient)
        except TimeoutError:
            raise Problem(503, Text("checking it takes too long"), headers={"Retry-After": "60"}) from None


def surroundings(service: Service, http: httpx.AsyncClient) -> Surroundings:
    """What a verification here may ask, with a client of its own."""
    inside = service.settings.webhooks_inside
    return Surroundings(
        lambda address: _fetch(http, address, inside=inside),
        examined,
        public=service.settings.public("certification"),
        own=lambda path: _own(service, path),
        known=lambda did: _known(service, did),
    )


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
            if await _is_known(service, id):
                ring = keys.keyring(service.settings)
                return as_text(issuing.did_document(badge.did_of(public, id), id, ring)).encode()
        case ["issuers", id, "status", number, *did] if number.isdecimal() and len(number) < 7 and len(did) < 2:
            try:
                return await lists.signed_list(service, id, int(number), *did)
            except Problem:
                pass
        case ["issuers", id, "revocations", *did] if len(did) < 2:
            try:
                return as_text(await revocation_list(service, id, *did)).encode()
            except Problem:
                pass
    raise Unavailable(Text("There is nothing at {address}.", {"address": short(path)}))


async def _known(service: Service, did: str) -> str | None:
    """What the organisation of the network is called that issues by a DID, under our address or at its own domain."""
    own = badge.issuer_of(did, service.settings.public("certification"))
    try:
        match = {"_id": own} if own else {"did": did}
        return _called(await service.db["organisations"].find_one(match, {"name": 1, "access": 1}))
    except mongo.DatabaseError:
        return None


async def _is_known(service: Service, id: str) -> bool:
    """Is it an organisation of the network, as far as can be told?"""
    try:
        return bool(await service.by_id("organisations", [id], {"_id": 1}))
    except mongo.DatabaseError:
        return False


def _called(organisation: dict[str, Any] | None) -> str | None:
    """The name of an organisation that may act; while it is suspended, nobody vouches for it."""
    if organisation is None or "suspended" in organisation.get("access", {}):
        return None
    return str(organisation.get("name", organisation["_id"]))


@router.get("/verify", include_in_schema=False, response_class=HTMLResponse)
async def verify_page(visit: AnyVisit) -> Response:
    """Where people check a credential."""
    return _show(visit)


def _show(visit: Visit, status: int = 200, verdict: Verdict | None = None) -> Response:
    named = {check: visit.word(words) for check, words in CHECKS.items()}
    shown = about(verdict.credential if verdict and verdict.credential else {})
    vouched = verdict is not None and any(each.check == "network" and each.result == "valid" for each in verdict.checks)
    template = "services/certification/verification/verify.html"
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
    try:
        led = await _led(visit, given[0])
    except Unusable as error:
        visit.wrong({given[0]: error.why})
        return _show(visit, 422)
    if isinstance(led, str):
        return RedirectResponse(f"../certificates/{quote(led, safe='')}", 303)
    return _show(visit, verdict=await verified(visit.service, led, form["recipient"][:200]))


def _given(visit: Visit) -> dict[str, bool]:
    file = visit.form.file
    return {
        "file": bool(file and file.content),
        "text": bool(visit.form["text"]),
        "address": bool(visit.form["address"]),
    }


async def _led(visit: Visit, given: str) -> bytes | str:
    """What is to be checked, see `followed`."""
    form, service = visit.form, visit.service
    if given == "address":
        address = form["address"]
        return await looked_up(service, address if "://" in address else f"https://{address}")
    return await followed(service, form.file.content if form.file and given == "file" else form["text"].encode())


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
    names = [each.get("identityHash") for each in identities if is_name(each)]
    return next((name[:300] for name in names if isinstance(name, str)), "")


def _day(text: str) -> str:
    """The day of a moment, if it is one; the template writes it in the reader's language."""
    try:
        return moment(text).date().isoformat()
    except ValueError:
        return ""

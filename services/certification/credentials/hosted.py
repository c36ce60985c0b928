"""Open Badges 2.x that are hosted: an assertion is what its issuer's own address says (section “Verification”)."""

from hashlib import md5, sha256
from typing import Any
from urllib.parse import urlsplit

from shared.pages.languages import Text

from .canonical import Document
from .checks import Check, Surroundings, Unavailable, Verdict, as_object, concluded, dates, read_json, short
from .form import values

_NEEDED = ("id", "type", "recipient", "badge", "verification", "issuedOn")


async def verify(assertion: Document, around: Surroundings, recipient: str) -> Verdict:
    """Check a hosted assertion."""
    checks = [_form(assertion)]
    there, proof = await _there(assertion, around)
    checks.append(proof)
    checks.append(await _issuer(there or assertion, around))
    if there is not None:
        checks.append(_status(there))
    checks.append(dates(assertion.get("issuedOn"), assertion.get("expires"), around.now))
    if recipient:
        checks.append(_recipient(as_object(assertion.get("recipient")), recipient))
    return concluded(checks, assertion)


def _form(assertion: Document) -> Check:
    missing = [name for name in _NEEDED if assertion.get(name) is None]
    if "Assertion" not in values(assertion.get("type")):
        missing.append("type Assertion")
    if missing:
        what = ", ".join(missing)
        return Check(
            "form", "invalid", Text("It does not have the form of Open Badges 2: {what} is missing", {"what": what})
        )
    return Check("form", "valid", Text("It has the form of an Open Badges 2 assertion."))


async def _there(assertion: Document, around: Surroundings) -> tuple[Document | None, Check]:
    """What the assertion's own address says; None: it does not say."""
    address = assertion.get("id")
    if not {"HostedBadge", "hosted"} & {*map(str, values(as_object(assertion.get("verification")).get("type")))}:
        return None, Check("proof", "unknown", Text("Of Open Badges 2, only hosted ones are known here."))
    if not isinstance(address, str):
        return None, Check("proof", "invalid", Text("It has no address."))
    try:
        found = await _object(address, around)
    except Unavailable as away:
        return None, Check("proof", "unknown", away.why)
    if _said(found) != _said(assertion):
        return found, Check("proof", "invalid", Text("Its address says otherwise than this file."))
    return found, Check("proof", "valid", Text("Its address says the same as this file."))


def _said(assertion: Document) -> Document:
    """What an assertion says for good."""
    return {name: value for name, value in assertion.items() if name not in ("revoked", "revocationReason", "image")}


async def _object(address: str, around: Surroundings) -> dict[str, Any]:
    try:
        found = read_json(await around.get(address))
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise Unavailable(Text("What is at {address} is no JSON object.", {"address": short(address)}))
    return found


async def _issuer(assertion: Document, around: Surroundings) -> Check:
    """Is the assertion where its issuer is?"""
    try:
        badge = assertion.get("badge")
        badge = await _object(badge, around) if isinstance(badge, str) else as_object(badge)
        issuer = badge.get("issuer")
        profile = await _object(issuer, around) if isinstance(issuer, str) else as_object(issuer)
    except Unavailable as away:
        return Check("issuer", "unknown", away.why)
    origins = {urlsplit(str(each)).netloc for each in (assertion.get("id"), profile.get("id"))}
    about = {"issuer": short(profile.get("name") or profile.get("id"))}
    allowed = values(as_object(profile.get("verification")).get("allowedOrigins"))
    if len(origins) == 1 or urlsplit(str(assertion.get("id"))).netloc in allowed:
        return Check("issuer", "valid", Text("It is at an address of its issuer, {issuer}.", about))
    return Check("issuer", "invalid", Text("It is not at an address of {issuer}, which it names as its issuer.", about))


def _status(there: Document) -> Check:
    if there.get("revoked"):
        return Check("status", "invalid", Text("Its issuer has revoked it."))
    return Check("status", "valid", Text("It has not been revoked."))


def _recipient(of: dict[str, Any], said: str) -> Check:
    salted = (said + str(of.get("salt") or "")).encode()
    hashes = {f"sha256${sha256(salted).hexdigest()}", f"md5${md5(salted, usedforsecurity=False).hexdigest()}"}
    if of.get("identity") == said or (of.get("hashed") and of.get("identity") in hashes):
        return Check("recipient", "valid", Text("It is of who you said."))
    return Check("recipient", "invalid", Text("It is of somebody else than you said."))

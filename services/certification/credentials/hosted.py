"""Open Badges 2.x that are hosted: an assertion is what its issuer's own address says (section “Verification”)."""

from typing import Any

from shared.pages.languages import Text

from .canonical import Document
from .checks import (
    Check,
    Gone,
    Surroundings,
    Unavailable,
    Verdict,
    Wrong,
    as_object,
    concluded,
    dates,
    host_of,
    identity_hashes,
    short,
)
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
        found = await around.get_object(address, same_host=True)
    except Gone:
        return None, Check("status", "invalid", Text("Its issuer has revoked it: its address is there no more."))
    except Unavailable as away:
        return None, Check("proof", "unknown", away.why)
    if _said(found) != _said(assertion):
        return found, Check("proof", "invalid", Text("Its address says otherwise than this file."))
    return found, Check("proof", "valid", Text("Its address says the same as this file."))


def _said(assertion: Document) -> Document:
    """What an assertion says for good."""
    return {name: value for name, value in assertion.items() if name not in ("revoked", "revocationReason", "image")}


async def _issuer(assertion: Document, around: Surroundings) -> Check:
    """Is the assertion where its issuer is? Who the issuer is, the issuer's own address says, and nobody else."""
    try:
        badge = await _looked_up(assertion.get("badge"), around)
        named = badge.get("issuer")
        profile = await _looked_up(named.get("id") if isinstance(named, dict) else named, around)
    except Wrong as wrong:
        return Check("issuer", "invalid", wrong.why)
    except Unavailable as away:
        return Check("issuer", "unknown", away.why)
    address, allowed = str(assertion.get("id")), as_object(profile.get("verification"))
    about = {"issuer": short(profile["id"])}
    hosts = {*map(str, values(allowed.get("allowedOrigins")))} or {host_of(profile["id"])}
    begins = tuple(map(str, values(allowed.get("startsWith"))))
    if host_of(address) in {host_of(host) for host in hosts} and (not begins or address.startswith(begins)):
        return Check("issuer", "valid", Text("It is at an address of its issuer, {issuer}.", about))
    return Check("issuer", "invalid", Text("It is not at an address of {issuer}, which it names as its issuer.", about))


async def _looked_up(named: Any, around: Surroundings) -> dict[str, Any]:
    """An object that is named by its address, which must say that it is this one; or that stands in its place."""
    if isinstance(named, dict):
        return named
    if not isinstance(named, str):
        raise Wrong(Text("It does not say who issued it."))
    found = await around.get_object(named, same_host=True)
    if found.get("id") != named:
        raise Wrong(Text("What is at {address} is about another issuer.", {"address": short(named)}))
    return found


def _status(there: Document) -> Check:
    if there.get("revoked"):
        return Check("status", "invalid", Text("Its issuer has revoked it."))
    return Check("status", "valid", Text("It has not been revoked."))


def _recipient(of: dict[str, Any], said: str) -> Check:
    if of.get("identity") == said or (of.get("hashed") and of.get("identity") in identity_hashes(said, of.get("salt"))):
        return Check("recipient", "valid", Text("It is of who you said."))
    return Check("recipient", "invalid", Text("It is of somebody else than you said."))

"""Credentials as compact JWTs: the VC-JWT proof of Open Badges 3.0 (section 8.2) and RFC 7515."""

import json
from datetime import datetime
from typing import Any, NamedTuple

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from shared.pages.languages import Text

from .canonical import Document
from .keyforms import PublicKey, base64url, unbase64url

PrivateKey = Ed25519PrivateKey | ec.EllipticCurvePrivateKey


class NoJwt(Exception):
    """The text is no compact JWT with a credential in it, and why."""


class Jwt(NamedTuple):
    """A JWT, taken apart and not yet believed.

    Attributes:
        claims: the whole payload.
        credential: what the payload says, as a credential, without the registered claims.
        signed: the bytes that the signature is over.
    """

    header: dict[str, Any]
    claims: dict[str, Any]
    credential: Document
    signed: bytes
    signature: bytes


def signed(document: Document, key: PrivateKey, method: str) -> str:
    """*document* as a JWT: the same key and document give the same one."""
    algorithm = "EdDSA" if isinstance(key, Ed25519PrivateKey) else "ES256"
    subject = document["credentialSubject"].get("id")
    claims = {
        **document,
        "iss": document["issuer"]["id"],
        "jti": document["id"],
        **({"sub": subject} if subject else {}),
        "nbf": _seconds(document["validFrom"]),
        **({"exp": _seconds(document["validUntil"])} if "validUntil" in document else {}),
    }
    parts = [{"alg": algorithm, "kid": method, "typ": "JWT"}, claims]
    text = ".".join(base64url(json.dumps(p, ensure_ascii=False, separators=(",", ":")).encode()) for p in parts)
    return f"{text}.{base64url(_signature(key, text.encode()))}"


def _signature(key: PrivateKey, data: bytes) -> bytes:
    if isinstance(key, Ed25519PrivateKey):
        return key.sign(data)
    # Deterministic (RFC 6979): a credential must be the same each time.
    r, s = decode_dss_signature(key.sign(data, ec.ECDSA(hashes.SHA256(), deterministic_signing=True)))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def _seconds(moment: str) -> int:
    return int(datetime.fromisoformat(moment).timestamp())


def parsed(text: str, read: Any) -> Jwt:
    """A compact JWT, taken apart.

    Args:
        read: reads JSON strictly: no member twice, no bounds broken.
    Raises:
        NoJwt: it is none.
    """
    parts = text.split(".")
    if len(parts) != 3:
        raise NoJwt(Text("a JWT has three parts, with dots between"))
    try:
        header, claims = read(unbase64url(parts[0])), read(unbase64url(parts[1]))
        signature = unbase64url(parts[2])
    except ValueError as error:
        raise NoJwt(Text("a part is no base64url of JSON: {why}", {"why": str(error)[:200]})) from None
    if not isinstance(header, dict) or not isinstance(claims, dict):
        raise NoJwt(Text("its header and payload must be JSON objects"))
    return Jwt(header, claims, _credential(claims), f"{parts[0]}.{parts[1]}".encode(), signature)


_REGISTERED = {"iss", "jti", "sub", "nbf", "exp", "iat", "aud", "vc", "cnf"}


def _credential(claims: dict[str, Any]) -> Document:
    """The credential in a payload; where it is inside `vc` (Data Model 1.1), with what the claims say of it."""
    if not isinstance(claims.get("vc"), dict):
        return {name: value for name, value in claims.items() if name not in _REGISTERED}
    said = {"issuer": claims.get("iss"), "id": claims.get("jti")}
    return {**{name: value for name, value in said.items() if value}, **claims["vc"]}


def disagreement(jwt: Jwt) -> str:
    """What the registered claims say otherwise than the credential; empty if nothing."""
    credential, claims = jwt.credential, jwt.claims
    issuer, subject = credential.get("issuer"), credential.get("credentialSubject")
    said = {
        "iss": issuer.get("id") if isinstance(issuer, dict) else issuer,
        "jti": credential.get("id"),
        "sub": subject.get("id") if isinstance(subject, dict) else None,
    }
    for name, value in said.items():
        if value is not None and name in claims and claims[name] != value:
            return name
    if "vc" in claims:  # there, the claims may be narrower than the credential (Data Model 1.1, section 6.3.1)
        return ""
    for name, field in (("nbf", "validFrom"), ("exp", "validUntil")):
        if name in claims and field in credential and not _same_second(claims[name], credential[field]):
            return name
    return ""


def _same_second(seconds: object, moment: object) -> bool:
    try:
        return int(seconds) == _seconds(str(moment))  # type: ignore[call-overload, no-any-return]
    except (TypeError, ValueError, OverflowError):
        return False


ALGORITHMS = {"EdDSA": Ed25519PublicKey, "Ed25519": Ed25519PublicKey, "ES256": ec.EllipticCurvePublicKey}
ALGORITHMS |= {"RS256": rsa.RSAPublicKey}


def fits(algorithm: object, key: PublicKey) -> bool:
    """Is it the header's algorithm for a key of this kind? (`none` and HMAC are for no key.)"""
    return isinstance(algorithm, str) and isinstance(key, ALGORITHMS.get(algorithm, ()))

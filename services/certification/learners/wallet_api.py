"""How wallets take credentials: OpenID for Verifiable Credential Issuance 1.0, with pre-authorised codes.

Certification is the credential issuer and its own authorisation server; its identifier is its public address. Errors
are as the specification and OAuth 2.0 write them; what is no request of a wallet's is answered with problem+json.
"""

from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import parse_qsl

import jiter
from fastapi import Path, Request
from fastapi.responses import JSONResponse

from services.certification.certificates.reads import certificate_in
from services.certification.credentials import badge, contexts, issuing, keys, wallets
from services.certification.credentials.badge import Holder
from services.certification.credentials.wallets import Refused
from shared.http.problems import FORM, Problem
from shared.http.routing import Router
from shared.http.service import Running, Service
from shared.pages.chosen import Chosen
from shared.pages.languages import LANGUAGES, N_, translated

from .choices import note_collected

router = Router(tags=["wallets"])
GRANT = "urn:ietf:params:oauth:grant-type:pre-authorized_code"
DETAILS = "openid_credential"
FORMATS = {f"OpenBadgeCredential_{name}": name for name in ("jwt_vc_json", "ldp_vc")}  # by configuration
TYPES = ["VerifiableCredential", "OpenBadgeCredential"]
MOST_FIELDS = 20
NO_STORE = {"Cache-Control": "no-store"}
Json = dict[str, Any]


@router.get("/.well-known/openid-credential-issuer")
async def read_issuer_metadata(service: Running) -> Json:
    """What wallets may get here, and where (section 12.2)."""
    public = service.settings.public("certification")
    return {
        "credential_issuer": public,
        "credential_endpoint": f"{public}/wallet/credential",
        "nonce_endpoint": f"{public}/wallet/nonce",
        "display": [{"name": "Praktika", "locale": language} for language in LANGUAGES],
        "credential_configurations_supported": {id: _configuration(service, FORMATS[id]) for id in FORMATS},
    }


def _configuration(service: Service, format: str) -> Json:
    is_jwt = format == "jwt_vc_json"
    name = N_("Certificate of a competency")
    return {
        "format": format,
        "cryptographic_binding_methods_supported": list(wallets.BINDING),
        "credential_signing_alg_values_supported": [service.settings.credential_jwt if is_jwt else "eddsa-rdfc-2022"],
        "proof_types_supported": {"jwt": {"proof_signing_alg_values_supported": list(wallets.ALGORITHMS)}},
        "credential_definition": {**({} if is_jwt else {"@context": [contexts.V2, contexts.OB]}), "type": TYPES},
        "credential_metadata": {
            "display": [{"name": translated(language, name), "locale": language} for language in LANGUAGES]
        },
    }


@router.get("/.well-known/oauth-authorization-server")
async def read_server_metadata(service: Running) -> Json:
    """Where wallets get an access token (RFC 8414)."""
    public = service.settings.public("certification")
    return {
        "issuer": public,
        "token_endpoint": f"{public}/wallet/token",
        "token_endpoint_auth_methods_supported": ["none"],
        "grant_types_supported": [GRANT],
        "response_types_supported": [],
        "authorization_details_types_supported": [DETAILS],
        "pre-authorized_grant_anonymous_access_supported": True,
    }


@router.get("/wallet/offers/{token}")
async def read_offer(service: Running, language: Chosen, token: Annotated[str, Path(max_length=200)]) -> JSONResponse:
    """A credential offer (section 4.1), while its code can be used."""
    if not await wallets.is_open(service, token):
        raise Problem(404, "there is no such offer (any more)")
    hint = translated(language, N_("The transaction code is on the page of your certificate."))
    tx_code = {"input_mode": "numeric", "length": wallets.TX_DIGITS, "description": hint}
    content = {
        "credential_issuer": service.settings.public("certification"),
        "credential_configuration_ids": list(FORMATS),
        "grants": {GRANT: {"pre-authorized_code": token, "tx_code": tx_code}},
    }
    return JSONResponse(content, headers=NO_STORE)


@router.post(
    "/wallet/token",
    responses={400: {"description": "As of RFC 6749, section 5.2.", "content": {"application/json": {}}}},
    openapi_extra={"requestBody": {"required": True, "content": {FORM: {"schema": {"type": "object"}}}}},
)
async def give_token(request: Request, service: Running) -> JSONResponse:
    """An access token for a pre-authorised code and its transaction code (section 6)."""
    try:
        return JSONResponse(await _granted(service, await _form(request)), headers=NO_STORE)
    except Refused as refused:
        return _refusal(refused)


async def _granted(service: Service, form: dict[str, str]) -> Json:
    if form.get("grant_type") != GRANT:
        raise Refused("unsupported_grant_type", f"grant_type must be {GRANT}")
    if not form.get("pre-authorized_code") or not form.get("tx_code"):
        raise Refused("invalid_request", "pre-authorized_code and tx_code are needed")
    details = _details(form["authorization_details"]) if "authorization_details" in form else []
    certificate = await wallets.redeem(service, form["pre-authorized_code"], form["tx_code"])
    return {
        "access_token": await wallets.access_token(service, certificate),
        "token_type": "Bearer",
        "expires_in": int(wallets.ACCESS_LASTS.total_seconds()),
        **({"authorization_details": details} if details else {}),
    }


async def _form(request: Request) -> dict[str, str]:
    """The parameters of a token request: each once (RFC 6749, section 3.2)."""
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        text = (await request.body()).decode() if content_type == FORM else ""
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=MOST_FIELDS, errors="strict")
    except ValueError:
        raise Refused("invalid_request", f"the request is no {FORM} of {MOST_FIELDS} fields at most") from None
    if len({name for name, _ in pairs}) < len(pairs):
        raise Refused("invalid_request", "a parameter is given twice")
    return dict(pairs)


def _details(text: str) -> list[Json]:
    """The authorisation details of a token request (RFC 9396), with what each may be asked for by."""
    try:
        given = jiter.from_json(text.encode(), catch_duplicate_keys=True)
    except ValueError:
        given = None
    asked = [each if isinstance(each, dict) else {} for each in given] if isinstance(given, list) else []
    ids = [each.get("credential_configuration_id") for each in asked if each.get("type") == DETAILS]
    if not ids or len(ids) < len(asked) or any(not isinstance(id, str) or id not in FORMATS for id in ids):
        raise Refused("invalid_authorization_details", f"each must be of the type {DETAILS} and name a configuration")
    return [{"type": DETAILS, "credential_configuration_id": id, "credential_identifiers": [id]} for id in ids]


def _refusal(refused: Refused, status: int = 400, headers: Mapping[str, str] | None = None) -> JSONResponse:
    content = {"error": refused.error, "error_description": refused.description}
    return JSONResponse(content, status, {**NO_STORE, **(headers or {})})


@router.post("/wallet/nonce")
async def give_nonce(service: Running) -> JSONResponse:
    """A challenge for the proof of a key (section 7)."""
    return JSONResponse({"c_nonce": wallets.nonce(keys.keyring(service.settings))}, headers=NO_STORE)


@router.post(
    "/wallet/credential",
    responses={
        400: {"description": "As of section 8.3.1.2.", "content": {"application/json": {}}},
        401: {"description": "As of RFC 6750.", "content": {"application/json": {}}},
    },
    openapi_extra={"requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}}},
)
async def give_credential(request: Request, service: Running) -> JSONResponse:
    """The credential, made out to the key that the wallet shows possession of (section 8)."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    certificate = await wallets.allowed(service, token.strip()) if scheme.lower() == "bearer" else None
    if certificate is None:
        refused = Refused("invalid_token", "an access token of the token endpoint is needed; they last five minutes")
        challenge = 'Bearer realm="praktika", error="invalid_token"' if token else 'Bearer realm="praktika"'
        return _refusal(refused, 401, {"WWW-Authenticate": challenge})
    try:
        return JSONResponse(
            {"credentials": [{"credential": await _issued(request, service, certificate)}]}, headers=NO_STORE
        )
    except Refused as refused:
        return _refusal(refused)


async def _issued(request: Request, service: Service, certificate: str) -> Any:
    asked = _asked(await request.body())
    format = _format(asked)
    did = wallets.holder_of(
        keys.keyring(service.settings), _proof(asked.get("proofs")), service.settings.public("certification")
    )
    learner = await service.db["learners"].find_one({"certificates.id": certificate})
    if learner is None or certificate_in(learner, certificate)["status"] == "revoked":
        raise Refused("credential_request_denied", "the certificate was revoked, or its learner erased")
    issued = await issuing.issue(service, learner, certificate)
    held = issued._replace(document=badge.for_holder(issued.document, Holder(did=did)))
    await note_collected(service, learner, certificate)
    if format == "jwt_vc_json":
        return issuing.signed_jwt(held, service.settings.credential_jwt)
    return issuing.signed(held)


def _asked(body: bytes) -> Json:
    try:
        asked = jiter.from_json(body, catch_duplicate_keys=True, allow_inf_nan=False)
    except ValueError:
        asked = None
    if not isinstance(asked, dict):
        raise Refused("invalid_credential_request", "the body must be a JSON object")
    return asked


def _format(asked: Json) -> str:
    """The format of the configuration that is asked for: by its own id, or by that of the one credential it has."""
    match [name for name in ("credential_configuration_id", "credential_identifier") if name in asked]:
        case [name] if isinstance(asked[name], str):
            if asked[name] in FORMATS:
                return FORMATS[asked[name]]
            what = "configuration" if name == "credential_configuration_id" else "identifier"
            raise Refused(f"unknown_credential_{what}", f"there is {', '.join(FORMATS)}")
    raise Refused("invalid_credential_request", "credential_configuration_id or credential_identifier is needed")


def _proof(proofs: Any) -> Any:
    """The one proof of the type jwt."""
    given = proofs.get("jwt") if isinstance(proofs, dict) and len(proofs) == 1 else None
    if not isinstance(given, list) or len(given) != 1:
        raise Refused("invalid_proof", "proofs must have one proof of the type jwt")
    return given[0]

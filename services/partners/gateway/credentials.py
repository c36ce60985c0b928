"""Credentials of organisations, kept outside the log in the service's home, and the tokens that they are exchanged for.

`python -m services.partners.gateway.credentials operator` makes one for the operator.
"""

import argparse
import asyncio
import base64
import binascii
import hashlib
import hmac
import json
import secrets
import sys
import zlib
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal
from urllib.parse import parse_qsl, unquote_plus
from uuid import uuid4

from fastapi import Depends, Header, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import Counter as Metric
from pydantic import BaseModel, ConfigDict, Field

from services.partners.network.registry import OPERATOR
from shared.contract import events
from shared.contract.events import CredentialWithdrawn, Publisher
from shared.http.auth import Caller, Signer
from shared.http.lists import found
from shared.http.problems import PROBLEM_REF, Problem
from shared.http.routing import Router
from shared.http.service import Authenticated, EntityId, Running, Service, require
from shared.observability import logs
from shared.pages.languages import Text
from shared.processing import mongo
from shared.settings import Settings, settings

from .egress.hooks import forget as forget_webhooks
from .login_limits import LoginLimits

CREDENTIALS = "credentials"
PREFIX = "praktika_"
MOST = 10  # credentials of one organisation: enough to change each without a gap
ASKED = Metric("praktika_token_requests_total", "Requests for a token, by what came of it.", ["outcome"])
for _outcome in ("issued", "refused", "throttled"):
    ASKED.labels(_outcome)
router = Router()


class Limits(BaseModel):
    """What a credential is limited to."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field("", max_length=100, description="For whom or what it is; on the trail, if it is the operator's.")
    scope: Literal["send", "read"] | None = Field(None, description="It may only send events, or only read.")
    expires_in_days: int | None = Field(None, ge=1, le=3650, description="Left out: it does not expire.")


def new_secret() -> str:
    """A secret that scanners of repositories know by its beginning, and can check by its end."""
    random = secrets.token_urlsafe(32)
    return f"{PREFIX}{random}_{zlib.crc32(random.encode()):08x}"


async def issue(
    home: mongo.Database, organisation: str, kind: Publisher, limits: Limits | None = None
) -> dict[str, str]:
    """Make a further credential of *organisation*; only its hash is kept, so this is the only look at the secret."""
    secret, limits, now = new_secret(), limits or Limits(), datetime.now(UTC)
    days = limits.expires_in_days
    credential: dict[str, Any] = {
        "_id": str(uuid4()),
        "organisation": organisation,
        "kind": kind.value,
        "sha256": _digest(secret),
        "created_at": now.isoformat(timespec="seconds"),
        "name": limits.name,
        "scope": limits.scope,
        "expires_at": (now + timedelta(days=days)).isoformat(timespec="seconds") if days else None,
        "last_used_at": None,
    }
    await home[CREDENTIALS].create_index("organisation")
    await home[CREDENTIALS].insert_one(credential)
    return {"credential": credential["_id"], "client_id": organisation, "client_secret": secret}


def _digest(secret: str) -> str:
    # One SHA-256 is enough: slow hashes protect guessable passwords, and these are 32 random bytes.
    return hashlib.sha256(secret.encode()).hexdigest()


class Refused(Exception):
    """No token, for a reason by RFC 6749, section 5.2, or for a while."""

    def __init__(self, error: str, description: str, wait_s: int = 0) -> None:
        self.error, self.description, self.wait_s = error, description, wait_s
        super().__init__(description)

    def response(self) -> JSONResponse:
        status, headers = 400, {"Cache-Control": "no-store"}
        if self.error == "invalid_client":
            status, headers["WWW-Authenticate"] = 401, 'Basic realm="praktika"'
        if self.wait_s:
            status, headers["Retry-After"] = 429, str(self.wait_s)
        return JSONResponse({"error": self.error, "error_description": self.description}, status, headers)


async def authenticate(store: mongo.Store, organisation: str, secret: str) -> Caller:
    """Who proves to be *organisation*; its kind is what the registry says now.

    Raises:
        Refused: unknown or wrong (which of the two is not said, and takes as long), or suspended.
    """
    digest, credential = _digest(secret), None
    known = [doc async for doc in store.home[CREDENTIALS].find({"organisation": organisation})]
    for candidate in known or [{"sha256": _digest("")}]:
        if hmac.compare_digest(candidate["sha256"], digest):
            credential = candidate
    if credential is None or not known:
        raise Refused("invalid_client", "client_id or client_secret is wrong")
    now = datetime.now(UTC)
    if (expires_at := credential.get("expires_at")) and datetime.fromisoformat(expires_at) <= now:
        raise Refused("invalid_client", f"this credential expired at {expires_at}; ask for another one")
    hour = now.strftime("%Y-%m-%dT%H:00:00+00:00")
    if credential.get("last_used_at") != hour:
        await store.home[CREDENTIALS].update_one({"_id": credential["_id"]}, {"$set": {"last_used_at": hour}})
    id, name, scope = credential["_id"], credential.get("name") or "", credential.get("scope") or ""
    if organisation == OPERATOR:
        return Caller(OPERATOR, Publisher.operator, False, id, name, scope)
    entry = await store.db["organisations"].find_one({"_id": organisation}) or {}
    if entry.get("status") == "suspended":
        raise Refused("unauthorized_client", f"{organisation} is suspended: {entry['reason']}")
    kind = Publisher(entry.get("kind", credential["kind"]))
    return Caller(organisation, kind, bool(entry.get("sandbox")), id, scope=scope)


async def refuse_suspended(service: Running, caller: Authenticated) -> Caller:
    """The caller, unless the registry says that it is suspended (its token may be older than that)."""
    found = await service.by_id("organisations", [caller.organisation], {"status": 1, "reason": 1})
    entry = found.get(caller.organisation, {})
    if entry.get("status") == "suspended":
        detail = f"{caller.organisation} is suspended: {entry['reason']}"
        raise Problem(403, detail, [("source", detail)])
    return caller


Active = Annotated[Caller, Depends(refuse_suspended)]

FORM = {
    "type": "object",
    "required": ["grant_type"],
    "properties": {
        "grant_type": {"type": "string", "const": "client_credentials"},
        "client_id": {"type": "string"},
        "client_secret": {"type": "string"},
    },
}


TOKEN = {
    "type": "object",
    "required": ["access_token", "token_type", "expires_in"],
    "properties": {
        "access_token": {"type": "string"},
        "token_type": {"type": "string", "const": "Bearer"},
        "expires_in": {"type": "integer"},
    },
}
NO_TOKEN = {
    "type": "object",
    "required": ["error", "error_description"],
    "properties": {"error": {"type": "string"}, "error_description": {"type": "string"}},
}


# A coroutine, though it waits for nothing: FastAPI runs plain functions in threads, where this would race.
async def _attempts(request: Request, service: Running) -> LoginLimits:
    state, settings = request.app.state, service.settings
    if not hasattr(state, "attempts"):
        state.attempts = LoginLimits(settings.token_failures, settings.token_failures_per_min)
    attempts: LoginLimits = state.attempts
    return attempts


@router.post(
    "/token",
    tags=["credentials"],
    responses={
        200: {"description": "A token.", "content": {"application/json": {"schema": TOKEN}}},
        "4XX": {
            "description": "No token, for a reason by RFC 6749, section 5.2, or (429) for a while.",
            "content": {"application/json": {"schema": NO_TOKEN}, "application/problem+json": {"schema": PROBLEM_REF}},
        },
    },
    openapi_extra={"requestBody": {"content": {"application/x-www-form-urlencoded": {"schema": FORM}}}},
)
async def token(
    request: Request,
    service: Running,
    attempts: Annotated[LoginLimits, Depends(_attempts)],
    authorization: Annotated[str | None, Header(include_in_schema=False)] = None,
) -> JSONResponse:
    """Exchange a credential for a token (OAuth 2.0 client credentials, RFC 6749, section 4.4).

    The credential comes in HTTP Basic or in the form. After a 429 wait as `Retry-After` says.
    """
    address = request.client.host if request.client else ""
    try:
        organisation, secret = _client(request.headers.get("content-type", ""), await request.body(), authorization)
        request.state.actor = organisation[:200]
        caller = await _prove(service, attempts, organisation, secret, address)
    except Refused as refused:
        ASKED.labels("throttled" if refused.wait_s else "refused").inc()
        return refused.response()
    ASKED.labels("issued").inc()
    signer = Signer(service.settings)
    answer = {"access_token": signer.token(caller), "token_type": "Bearer", "expires_in": signer.lifetime_s}
    return JSONResponse(answer, headers={"Cache-Control": "no-store"})


async def _prove(service: Service, attempts: LoginLimits, organisation: str, secret: str, address: str) -> Caller:
    if wait_s := attempts.wait_s(organisation, secret, address):
        raise Refused("too_many_attempts", f"too many wrong secrets from there; try again in {wait_s} s", wait_s)
    try:
        caller = await authenticate(service.store, organisation, secret)
    except Refused as refused:
        if refused.error == "invalid_client":
            attempts.failed(organisation, secret, address)
        raise
    attempts.succeeded(organisation, secret)
    return caller


def _client(content_type: str, body: bytes, authorization: str | None) -> tuple[str, str]:
    """The id and secret in a token request (RFC 6749, section 2.3.1).

    Raises:
        Refused: the request has no such form.
    """
    form = "send grant_type=client_credentials as application/x-www-form-urlencoded"
    if content_type.partition(";")[0].strip().lower() != "application/x-www-form-urlencoded" or len(body) > 16_384:
        raise Refused("invalid_request", form)
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=20)
    except ValueError:
        raise Refused("invalid_request", form) from None
    fields = dict(pairs)
    if len(fields) < len(pairs) or "grant_type" not in fields:
        raise Refused("invalid_request", f"{form}, each parameter once")
    if fields["grant_type"] != "client_credentials":
        raise Refused("unsupported_grant_type", "only client_credentials")
    if authorization is None:
        if not (fields.get("client_id") and fields.get("client_secret")):
            raise Refused("invalid_client", "give client_id and client_secret, in HTTP Basic or in the body")
        return fields["client_id"], fields["client_secret"]
    if "client_secret" in fields:
        raise Refused("invalid_request", "give the credential once: in HTTP Basic or in the body")
    return _basic(authorization)


def _basic(authorization: str) -> tuple[str, str]:
    scheme, _, encoded = authorization.partition(" ")
    try:
        decoded = base64.b64decode(encoded, validate=True).decode() if scheme.lower() == "basic" else ""
    except (binascii.Error, UnicodeDecodeError):
        decoded = ""
    organisation, colon, secret = decoded.partition(":")
    if not colon:
        raise Refused("invalid_client", "the Authorization header is not HTTP Basic")
    return unquote_plus(organisation), unquote_plus(secret)


@router.post("/organisations/{id}/credentials", tags=["credentials"], status_code=201)
async def make_credential(
    service: Running, caller: Authenticated, id: EntityId, limits: Limits | None = None
) -> JSONResponse:
    """Give a registered organisation a further credential. The secret is shown this once."""
    require(caller, Publisher.operator)
    made = await give(service, id, limits)
    location = f"/organisations/{id}/credentials/{made['credential']}"
    return JSONResponse(made, 201, {"Location": location, "Cache-Control": "no-store"})


async def give(service: Service, id: str, limits: Limits | None = None) -> dict[str, str]:
    """A further credential for an organisation, with its secret.

    Raises:
        Problem: it is not registered, or has many already.
    """
    entry = await found(service.db, "organisations", id)
    if "kind" not in entry:
        raise Problem(404, f"{id} is not registered (yet)")
    if await service.store.home[CREDENTIALS].count_documents({"organisation": id}) >= MOST:
        given = {"id": id, "most": MOST}
        raise Problem(409, Text("{id} has {most} credentials; withdraw one that is not used any more", given))
    return await issue(service.store.home, id, Publisher(entry["kind"]), limits)


@router.get("/organisations/{id}/credentials", tags=["credentials"])
async def list_credentials(service: Running, caller: Authenticated, id: EntityId) -> dict[str, Any]:
    """The credentials of an organisation, oldest first, without their secrets; `last_used_at` to the hour."""
    require(caller, Publisher.operator)
    return {"items": await all_of(service.store.home, id)}


async def all_of(home: mongo.Database, organisation: str) -> list[dict[str, Any]]:
    """The credentials that an organisation has, oldest first, without their secrets."""
    cursor = home[CREDENTIALS].find({"organisation": organisation}).sort("created_at")
    fields = ("created_at", "name", "scope", "expires_at", "last_used_at")
    return [{"credential": doc["_id"], **{f: doc.get(f) for f in fields}} async for doc in cursor]


@router.delete("/organisations/{id}/credentials/{credential}", tags=["credentials"], status_code=204)
async def withdraw_credential(
    service: Running, caller: Authenticated, id: EntityId, credential: EntityId, webhooks: bool = False
) -> Response:
    """Withdraw a credential: no further tokens for it, and those that were given for it count no more, anywhere.

    `webhooks=true`: the organisation's webhooks go, too.
    """
    require(caller, Publisher.operator)
    await withdraw(service, id, credential)
    if webhooks:
        await forget_webhooks(service.store.home, {"organisation": id})
    return Response(status_code=204)


async def withdraw(service: Service, id: str, credential: str, member: str | None = None) -> None:
    """Withdraw a credential of an organisation; for all services it is the network's operator who does.

    Args:
        member: who asked for it, if somebody on a page did.
    Raises:
        Problem: 404, there is no such credential.
    """
    home = service.store.home
    if await home[CREDENTIALS].find_one({"_id": credential, "organisation": id}, {"_id": 1}) is None:
        raise Problem(404, f"{id} has no credential {credential}")
    if id != OPERATOR:
        data = CredentialWithdrawn(organisation=id, credential=credential)
        about = {"id": events.derived_id("credential.withdrawn", credential), "subject": credential, "key": id}
        operator, now = Caller(OPERATOR, Publisher.operator), datetime.now(UTC)
        said = events.compose(data, source=operator.source, kind=operator.kind, time=now, member=member, **about)
        await service.publish(said)
    await home[CREDENTIALS].delete_one({"_id": credential})


async def issue_to_operator(settings: Settings, name: str) -> dict[str, str]:
    """Make a further credential of the operator; *name*: of the person who shall have it."""
    client = mongo.connect(settings)
    try:
        home = mongo.database(client, settings, "partners")
        return await issue(home, OPERATOR, Publisher.operator, Limits(name=name))
    finally:
        client.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Make a credential and print it, once, as a line of JSON.")
    parser.add_argument("organisation", choices=[OPERATOR])
    parser.add_argument("--name", default="", help="of the person, as the trail shall show it")
    given = parser.parse_args()
    logs.configure("partners", settings().log_level)
    try:
        print(json.dumps(asyncio.run(issue_to_operator(settings(), given.name))))  # noqa: T201
    except mongo.DatabaseError as error:
        sys.exit(f"MongoDB did not take the credential: {error}"[:150])

"""Webhooks: addresses at which an organisation is sent its feed, kept with their secrets in the service's home.

`deliveries.py` does the sending.
"""

import base64
import hashlib
import hmac
import secrets
import time
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import uuid4

import httpx
from fastapi import Path, Query, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import to_json

from shared.http.addresses import Answer, NotAllowed, call, client, parsed
from shared.http.auth import Caller
from shared.http.lists import Pages
from shared.http.problems import Problem
from shared.http.routing import Router
from shared.http.service import Authenticated, EntityId, Running, Service
from shared.pages.languages import Text
from shared.processing import mongo
from shared.settings import Settings

from .feed import Feed, Reader, begun
from .hooks import FAILURES, WEBHOOKS, forget

MOST = 5  # of an organisation
MOST_SECRETS = 5  # that sign besides the newest
OVERLAP_S = 86_400  # so long is signed with the former secret, too
RATE = 600  # deliveries a minute that we ask to be allowed

router = Router(prefix="/webhooks", tags=["webhooks"])
Whose = Annotated[str | None, Query(max_length=100, description="For the operator: of this organisation alone.")]


class Webhook(BaseModel):
    """A webhook to be made."""

    model_config = ConfigDict(extra="forbid")

    url: str = Field(max_length=2000, description="https, and in the public internet.")
    after: int | None = Field(
        None, ge=0, le=2**62, description="Cursor to begin after; left out: what comes from now on."
    )


def new_secret() -> str:
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


def signature(secret: str, id: str, sent_at: int, body: bytes) -> str:
    """One signature by Standard Webhooks 1.0."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    made = hmac.new(key, f"{id}.{sent_at}.".encode() + body, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(made).decode()}"


def headers(hook: dict[str, Any], settings: Settings, id: str, body: bytes, now: float) -> dict[str, str]:
    """The headers of a delivery, signed with each secret that is valid."""
    valid = [entry["secret"] for entry in hook["secrets"] if entry["until"] is None or entry["until"] > now]
    return {
        "Content-Type": "application/cloudevents+json; charset=utf-8",
        "WebHook-Request-Origin": settings.webhook_origin,
        "webhook-id": id,
        "webhook-timestamp": str(int(now)),
        "webhook-signature": " ".join(signature(secret, id, int(now), body) for secret in valid),
    }


async def call_webhook(
    http: httpx.AsyncClient, hook: dict[str, Any], settings: Settings, id: str, body: bytes
) -> Answer:
    """Send a signed delivery to a webhook's address.

    Raises:
        NotAllowed: the address is none that we call.
        httpx.HTTPError, TimeoutError: it does not answer as it should.
    """
    url, inside = parsed(hook["url"], inside=settings.webhooks_inside), settings.webhooks_inside
    return await call(
        http, "POST", url, headers=headers(hook, settings, id, body, time.time()), content=body, inside=inside
    )


def shown(hook: dict[str, Any]) -> dict[str, Any]:
    """A webhook as its organisation sees it: no secret."""
    fields = ("organisation", "url", "status", "rate", "created_at", "delivered_at", "failed_at", "reason")
    since = {"failing_since": _moment(hook.get("failing_since"))}
    return {"id": hook["_id"], **{name: hook.get(name) for name in fields}, **since, "cursor": str(hook["cursor"])}


async def agreed_rate(url: httpx.URL, settings: Settings) -> int | None:
    """Ask an address whether it wants to be called (HTTP 1.1 Web Hooks for Event Delivery 1.0.2, section 4).

    Returns:
        How many deliveries a minute it allows; None: any number.
    Raises:
        NotAllowed: it does not, or does not answer.
    """
    asked = {"WebHook-Request-Origin": settings.webhook_origin, "WebHook-Request-Rate": str(RATE)}
    try:
        async with client() as http:
            answer = await call(http, "OPTIONS", url, headers=asked, content=b"", inside=settings.webhooks_inside)
    except (httpx.HTTPError, TimeoutError) as error:
        raise NotAllowed(Text("does not answer OPTIONS: {error}", {"error": type(error).__name__})) from None
    origin, rate = (answer.headers.get(f"webhook-allowed-{name}", "") for name in ("origin", "rate"))
    if origin not in ("*", settings.webhook_origin):
        given = {"origin": settings.webhook_origin, "status": answer.status}
        why = Text(
            "must answer OPTIONS with WebHook-Allowed-Origin: {origin} (or *); it answered {status} without", given
        )
        raise NotAllowed(why)
    if rate == "*":
        return None
    if not (rate.isascii() and rate.isdigit() and len(rate) < 10 and int(rate)):
        raise NotAllowed(Text("must answer OPTIONS with WebHook-Allowed-Rate: a number of deliveries a minute, or *"))
    return int(rate)


@router.post("", status_code=201)
async def make_webhook(service: Running, caller: Reader, body: Webhook) -> JSONResponse:
    """Send my feed to an address from now on. The address is asked first; the secret is shown this once."""
    made = await give(service, caller, body)
    return _with_secret(made, 201, {"Location": f"/webhooks/{made['id']}"})


async def give(service: Service, caller: Caller, body: Webhook) -> dict[str, Any]:
    """A further webhook for the caller's organisation, with its secret.

    Raises:
        Problem: it has many already, or the address is none that we call.
    """
    settings, home = service.settings, service.store.home
    if await home[WEBHOOKS].count_documents({"organisation": caller.organisation}) >= MOST:
        given = {"organisation": caller.organisation, "most": MOST}
        raise Problem(409, Text("{organisation} has {most} webhooks already; delete one", given))
    span = await Feed(service.log, caller.organisation).span()
    cursor = span.end if body.after is None else begun(span, body.after)
    try:
        url = parsed(body.url, inside=settings.webhooks_inside)
        rate = await agreed_rate(url, settings)
    except NotAllowed as error:
        raise Problem(422, Text("this address is not called"), [("url", error.why)]) from None
    secret = new_secret()
    hook = {
        "_id": str(uuid4()),
        "organisation": caller.organisation,
        "url": str(url),
        "rate": rate,
        "secrets": [{"secret": secret, "until": None}],
        "cursor": cursor,
        "status": "active",
        "created_at": _now(),
        "not_before": 0,
        "lease": {"by": None, "until": 0},
    }
    await home[WEBHOOKS].create_index("organisation")
    await home[WEBHOOKS].insert_one(hook)
    return {**shown(hook), "secret": secret}


@router.get("")
async def list_webhooks(service: Running, caller: Authenticated, organisation: Whose = None) -> dict[str, Any]:
    """My webhooks (the operator's: all, or those of an `organisation`), oldest first; `cursor` is how far each is."""
    match = {"organisation": organisation} if organisation else {}
    found = service.store.home[WEBHOOKS].find(match | _of(caller)).sort("created_at")
    return {"items": [shown(hook) async for hook in found]}


@router.get("/{id}")
async def read_webhook(service: Running, caller: Authenticated, id: EntityId) -> dict[str, Any]:
    """One of my webhooks, which may be `active`, or is sent nothing more: `gone`, its address answered 410;
    `disabled`, it failed for three days, for `reason`.
    """
    return shown(await _mine(service, caller, id))


@router.post("/{id}/activation")
async def activate_webhook(service: Running, caller: Reader, id: EntityId) -> dict[str, Any]:
    """Send again to an address that was disabled or gone, from where it stopped; the address is asked first."""
    hook, settings = await _mine(service, caller, id), service.settings
    try:
        rate = await agreed_rate(parsed(hook["url"], inside=settings.webhooks_inside), settings)
    except NotAllowed as error:
        raise Problem(422, Text("this address is not called"), [("url", error.why)]) from None
    well = {"status": "active", "rate": rate, "failures": 0, "failing_since": None, "not_before": 0}
    await service.store.home[WEBHOOKS].update_one({"_id": hook["_id"]}, {"$set": well})
    return shown({**hook, **well})


@router.delete("/{id}", status_code=204)
async def delete_webhook(service: Running, caller: Authenticated, id: EntityId) -> Response:
    """Send nothing more there, and forget what failed. The operator may delete any."""
    await forget(service.store.home, {"_id": (await _mine(service, caller, id))["_id"]})
    return Response(status_code=204)


def _of(caller: Caller) -> dict[str, Any]:
    return {} if caller.is_operator else {"organisation": caller.organisation}


@router.post("/{id}/secret", status_code=201)
async def renew_secret(service: Running, caller: Reader, id: EntityId) -> JSONResponse:
    """Sign with a new secret, shown this once; for 24 hours with the former one, too."""
    return _with_secret({"secret": await renew(service, caller, id)}, 201, {})


async def renew(service: Service, caller: Caller, id: str) -> str:
    """A webhook's new secret; whatever signs still goes on for its 24 hours."""
    hook, secret = await _mine(service, caller, id), new_secret()
    now = time.time()
    former = [{**entry, "until": entry["until"] or now + OVERLAP_S} for entry in hook["secrets"]]
    valid = [entry for entry in former if entry["until"] > now][:MOST_SECRETS]
    kept = {"$set": {"secrets": [{"secret": secret, "until": None}, *valid]}}
    await service.store.home[WEBHOOKS].update_one({"_id": hook["_id"]}, kept)
    return secret


@router.post("/{id}/test")
async def try_webhook(service: Running, caller: Reader, id: EntityId) -> dict[str, Any]:
    """Deliver a signed trial event (`praktika.webhook.tested.v1`, of no meaning) now, and say what was answered.

    It is no part of the feed, and not tried again.
    """
    hook, event_id = await _mine(service, caller, id), str(uuid4())
    trial = {
        "specversion": "1.0",
        "id": event_id,
        "source": "/services/partners",
        "type": "praktika.webhook.tested.v1",
        "time": _now(),
    }
    status: int | None = None
    try:
        async with client() as http:
            status = (await call_webhook(http, hook, service.settings, event_id, to_json(trial))).status
        why = Text("answered {status}", {"status": status})
    except NotAllowed as error:
        why = error.why
    except (httpx.HTTPError, TimeoutError) as error:
        why = Text("did not answer: {error}", {"error": type(error).__name__})
    return {"id": event_id, "delivered": status is not None and 200 <= status < 300, "status": status, "said": why}


@router.get("/{id}/failures")
async def list_failures(service: Running, caller: Reader, id: EntityId, paging: Pages) -> dict[str, Any]:
    """What could not be delivered, in the feed's order: why, how often it was tried, and when it is tried next.

    It is tried for three days; what was given up (`next_at` is null) can still be sent again, while the feed has it.
    """
    hook = await _mine(service, caller, id)
    match: dict[str, Any] = {"webhook": hook["_id"]}
    if paging.after is not None:
        if not (paging.after.isascii() and paging.after.isdigit() and len(paging.after) < 19):
            raise Problem(422, "the request does not fit", [("after", "must be `next` of the page before")])
        match["cursor"] = {"$gt": int(paging.after)}
    docs, is_more = await mongo.fitting(service.store.home[FAILURES].find(match).sort("cursor"), paging.limit)
    return {"items": [_failure(doc) for doc in docs], "next": str(docs[-1]["cursor"]) if is_more else None}


def _failure(doc: dict[str, Any]) -> dict[str, Any]:
    fields = ("event", "attempts", "first_at", "last_at", "next_at", "reason")
    times = {name: _moment(doc[name]) if name.endswith("_at") else doc[name] for name in fields}
    return {"id": str(doc["cursor"]), **times}


@router.post("/{id}/failures/{failure}/redelivery", status_code=202)
async def redeliver(
    service: Running, caller: Reader, id: EntityId, failure: Annotated[int, Path(ge=0, le=2**62)]
) -> JSONResponse:
    """Try again now, and for three days more."""
    hook, now = await _mine(service, caller, id), time.time()
    if hook["status"] != "active":
        raise Problem(409, Text("nothing is sent to this webhook any more; activate it, or make another one"))
    match = {"webhook": hook["_id"], "cursor": failure}
    changed = await service.store.home[FAILURES].find_one_and_update(match, {"$set": {"next_at": now, "first_at": now}})
    if changed is None:
        raise Problem(404, Text("{failure} is no failed delivery of {id}", {"failure": failure, "id": id}))
    await service.store.home[WEBHOOKS].update_one({"_id": hook["_id"]}, {"$set": {"not_before": 0}})
    return JSONResponse({"id": str(failure), "next_at": _moment(now)}, 202)


async def _mine(service: Service, caller: Caller, id: str) -> dict[str, Any]:
    hook = await service.store.home[WEBHOOKS].find_one({"_id": id, **_of(caller)})
    if hook is None:
        raise Problem(404, Text("you have no webhook {id}", {"id": id}))
    return hook


def _with_secret(answer: dict[str, Any], status: int, headers: dict[str, str]) -> JSONResponse:
    return JSONResponse(answer, status, {**headers, "Cache-Control": "no-store"})


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _moment(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")

"""What an organisation was refused: listed for it alone, and sent again after mending.

The list is made by `forwarding.py` from the topic `rejected`, which has what was sent.
"""

import asyncio
import base64
import re
from contextlib import suppress
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import Path, Request, Response
from pydantic_core import from_json, to_json
from starlette.datastructures import Headers

from services.partners.gateway.credentials import Active
from services.partners.gateway.ingress.http import (
    IngressMemory,
    accepted,
    admitted_alone,
    read_body,
    refuse_overdrawn,
    refused,
)
from services.partners.gateway.ingress.http_binding import Mode, decoded, inflated, mode_of, refusal
from shared.http.auth import Caller
from shared.http.lists import Pages
from shared.http.problems import Problem
from shared.http.routing import Router
from shared.http.service import Address, Authenticated, Running, Service
from shared.log.producer import Record
from shared.pages.languages import Text
from shared.processing import mongo
from shared.processing.refusals import REJECTED

from .forwarding import REJECTIONS, positions
from .rejection_records import rejection_in

CURRENT_WITHIN_S = 3

router = Router(prefix="/rejections", tags=["events"])
_POSITION = "rejected-[0-9]{1,4}-[0-9]{1,18}"
Position = Annotated[str, Path(pattern=f"^{_POSITION}$")]


@router.get("")
async def list_rejections(service: Running, caller: Authenticated, paging: Pages) -> dict[str, Any]:
    """What I was refused, the newest first: when, why, and whether it was sent again since. Listed for 90 days."""
    await _current(service, caller)
    match: dict[str, Any] = {"organisation": caller.organisation}
    if paging.after is not None:
        if not re.fullmatch(_POSITION, paging.after):
            raise Problem(422, "the request does not fit", [("after", "must be `next` of the page before")])
        match["offset"] = {"$lt": int(paging.after.rpartition("-")[2])}
    docs, is_more = await mongo.fitting(service.store.home[REJECTIONS].find(match).sort("offset", -1), paging.limit)
    return {"items": [_shown(doc) for doc in docs], "next": docs[-1]["_id"] if is_more else None}


@router.get("/{position}")
async def read_rejection(service: Running, caller: Authenticated, position: Position) -> dict[str, Any]:
    """One of them with what was sent: `original` in base64 (at most 64 KiB), `text` where it is text."""
    shown = _shown(await mine(service, caller, position))
    original = (await record_of(service, position))["original"]
    return {**shown, "original": original, "text": text_of(original)}


@router.post(
    "/{position}/resubmission",
    status_code=202,
    openapi_extra={"requestBody": {"required": False, "content": {Mode.structured: {"schema": {"type": "object"}}}}},
)
async def resubmit(
    request: Request, service: Running, caller: Active, memory: IngressMemory, position: Position
) -> Response:
    """Send it again: the mended event, in any form in which one event is sent; without a body what was refused.

    It is judged anew. If it is accepted, the rejection says so; if not, that is a further rejection.
    """
    refuse_overdrawn(service, caller)
    await mine(service, caller, position)
    headers, body = request.headers, await read_body(request)
    if not body:
        headers, body = _as_sent(await record_of(service, position))
    try:
        mode = mode_of(headers)
        if mode == Mode.batch:
            raise refusal(415, "one event is sent again at a time", "content-type", f"must not be {Mode.batch}")
        most = service.settings.event_max_bytes
        body = inflated(headers, body, most)
        item = decoded(mode, headers, body, service.settings)
    except Problem as problem:
        raise await refused(service, caller, headers, body, problem) from None
    event, address = await admitted_alone(item, headers, body, service, caller, memory)
    await note_resubmission(service, caller, position, event.id, address)
    return accepted(event, address)


@router.put("/{position}/aside")
async def put_aside(service: Running, caller: Active, position: Position) -> dict[str, Any]:
    """Nothing more is to be done about it: it stays in the list, and waits for nobody any more."""
    await mine(service, caller, position)
    await note_aside(service, {"_id": position}, caller.actor)
    return _shown(await mine(service, caller, position))


async def note_aside(service: Service, which: dict[str, Any], by: str) -> None:
    """Put rejections aside, in the list alone: the log has nothing of it."""
    await service.store.home[REJECTIONS].update_many(which, {"$set": {"aside": by}})


async def note_resubmission(service: Service, caller: Caller, position: str, id: str, address: Address) -> None:
    """Say on the log that something refused was sent again and accepted."""
    resubmitted = {"resubmitted": position, "id": id, "event": str(address)}
    note = {"organisation": caller.organisation, "received_at": datetime.now(UTC).isoformat(), **resubmitted}
    await service.publish_records([Record(REJECTED, caller.organisation, to_json(note))])


def _as_sent(record: dict[str, Any]) -> tuple[Headers, bytes]:
    """The headers and the body by which something refused was sent; an item of a batch as a single event.

    Raises:
        Problem: the log does not have all of it.
    """
    original, size = record["original"], record["size"]
    body = base64.b64decode(original or "")
    if original is None or size != len(body):
        raise Problem(
            422, "of what was sent not all is kept; send the mended event in the body", [("body", "is needed")]
        )
    content_type = str(record["content_type"])
    if content_type.lower().startswith(Mode.batch):
        content_type = Mode.structured
    raw = [("content-type", content_type), *((record["attributes"] or {}).items())]
    return Headers(raw=[(name.lower().encode("latin-1"), str(value).encode("latin-1")) for name, value in raw]), body


def text_of(original: str | None) -> str | None:
    try:
        return None if original is None else base64.b64decode(original).decode()
    except UnicodeDecodeError:
        return None


def _shown(doc: dict[str, Any]) -> dict[str, Any]:
    state = {"resubmitted": doc.get("resubmitted"), "aside": bool(doc.get("aside"))}
    return {"id": doc["_id"], **from_json(doc["about"]), **state}


async def mine(service: Service, caller: Caller, position: str) -> dict[str, Any]:
    await _current(service, caller)
    found = await service.store.home[REJECTIONS].find_one({"_id": position, "organisation": caller.organisation})
    if found is None:
        raise Problem(404, Text("you have no rejection {position}", {"position": position}))
    return found


async def record_of(service: Service, position: str) -> dict[str, Any]:
    topic, partition, offset = position.split("-")
    record = await service.log.record(topic, int(partition), int(offset))
    found = rejection_in(record) if record else None
    if found is None:
        raise Problem(404, Text("you have no rejection {position}", {"position": position}))
    return found


async def _current(service: Service, caller: Caller) -> None:
    """Wait, but not for long, until the list has what was refused up to now."""
    ends = await service.log.ends(REJECTED, caller.organisation)
    wanted = {f"{REJECTED}-{partition}": end for partition, end in ends.items()}
    with suppress(TimeoutError):
        async with asyncio.timeout(CURRENT_WITHIN_S):
            while not await _reached(service, wanted):
                await asyncio.sleep(0.02)


async def _reached(service: Service, wanted: dict[str, int]) -> bool:
    stands = await positions(service.store.home)
    return all(stands.get(at, 0) >= end for at, end in wanted.items())

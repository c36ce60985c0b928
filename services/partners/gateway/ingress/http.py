"""The ingress over HTTP: CloudEvents from organisations' systems, each accepted onto its topic or refused.

Nothing is answered before Kafka has acknowledged it. What a known sender is refused goes to the topic `rejected`.
"""

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Request, Response, Security
from prometheus_client import Counter as Metric
from pydantic_core import to_json
from starlette.requests import ClientDisconnect

from services.partners.gateway.credentials import refuse_suspended
from services.partners.gateway.quotas import in_flight_of, quotas_of
from shared.contract.events import Data, Event
from shared.http.auth import Caller
from shared.http.bodies import BodyTooLarge
from shared.http.commands import ACCEPTED_BODY
from shared.http.parameters import known_parameters
from shared.http.problems import PROBLEM_REF, Problem
from shared.http.routing import DirectRoute, Router
from shared.http.service import TOKEN, Address, Running, Service, authenticated, running
from shared.log.producer import record_of
from shared.settings import Settings

from .deduplication import RecentEvents
from .group_commit import GroupCommit, Published
from .http_binding import Mode, decoded, inflated, mode_of, refusal
from .validation import ACCEPTED, count_refused, rejection, validated

router = Router(route_class=DirectRoute)

BYTES = Metric("praktika_ingress_bytes_total", "Bytes of all bodies that were read.")
SLOW_BODY_S = 1.0  # whoever takes longer for a body is asked again whether it was suspended meanwhile
THROTTLED = Metric("praktika_ingress_throttled_total", "Requests answered with 429; these are not on `rejected`.")
_ITEM = {
    "type": "object",
    "required": ["id", "status"],
    "properties": {
        "id": {"type": ["string", "null"]},
        "status": {"type": "integer"},
        "event": {"type": "string"},
        "problem": PROBLEM_REF,
    },
}
_ITEMS = {
    "type": "object",
    "required": ["accepted", "refused", "items"],
    "properties": {
        "accepted": {"type": "integer"},
        "refused": {"type": "integer"},
        "items": {"type": "array", "items": _ITEM},
    },
}
_EVENT = {"type": "object", "description": "A CloudEvent 1.0 of a type in the contract."}
_DATA = {"type": "object", "description": "The event's data; its attributes are `ce-` headers."}


@dataclass
class Memory:
    """What this process remembers of those who come in."""

    recent: RecentEvents
    singles: GroupCommit


# A coroutine, though it waits for nothing: FastAPI runs plain functions in threads, where this would race.
async def memory_of(service: Running) -> Memory:
    """What this process remembers."""
    if "memory" not in service.shared:
        recent = RecentEvents()
        service.shared["memory"] = Memory(recent, GroupCommit(recent))
    memory: Memory = service.shared["memory"]
    return memory


IngressMemory = Annotated[Memory, Depends(memory_of)]


@router.post(
    "/events",
    tags=["events"],
    status_code=202,
    dependencies=[Security(TOKEN)],
    responses={
        202: {
            "description": "All accepted.",
            "content": {"application/json": {"schema": {"anyOf": [ACCEPTED_BODY, _ITEMS]}}},
        },
        207: {"description": "Of a batch, some.", "content": {"application/json": {"schema": _ITEMS}}},
        422: {
            "description": "The event does not fit, or none of a batch does.",
            "content": {"application/json": {"schema": _ITEMS}, "application/problem+json": {"schema": PROBLEM_REF}},
        },
    },
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                Mode.structured: {"schema": _EVENT},
                Mode.batch: {"schema": {"type": "array", "items": _EVENT}},
                Mode.binary: {"schema": _DATA},
            },
        }
    },
)
async def publish_events(request: Request) -> Response:
    """Publish one event (structured or binary mode; 202 with its address) or a batch; plain or with `gzip`.

    A batch is answered item by item: 202 if all were accepted, 207 if some, 422 if none. After a 503 send the same
    again: repetition changes nothing. An id that was used for something else is a 409 with the digests of both. After
    a 429 wait as `Retry-After` says; it is not among the rejections.
    """
    await known_parameters(request)
    service = running(request)
    caller = await authenticated(request, service)
    refuse_overdrawn(service, caller)
    async with in_flight_of(service).hold(caller.organisation, _weight(request, service.settings)):
        return await _publish(request, service, caller, await memory_of(service))


def _weight(request: Request, settings: Settings) -> int:
    """How many bytes a body takes at most, inflated."""
    announced = request.headers.get("content-length", "")
    if "content-encoding" in request.headers or not announced.isdecimal():
        return settings.batch_max_bytes
    return min(int(announced), settings.batch_max_bytes)


async def _publish(request: Request, service: Service, caller: Caller, memory: Memory) -> Response:
    body, began = None, time.monotonic()
    try:
        body = await read_body(request)
        if request.state.is_barred or time.monotonic() - began > SLOW_BODY_S:
            await refuse_suspended(service, caller)
        mode = mode_of(request.headers)
        most = service.settings.batch_max_bytes if mode == Mode.batch else service.settings.event_max_bytes
        body = inflated(request.headers, body, most)
        items = decoded(mode, request.headers, body, service.settings)
    except Problem as problem:
        raise await refused(service, caller, request.headers, body, problem) from None
    if isinstance(items, list):
        quotas_of(service).charge(caller.organisation, len(items) - 1, len(body))
        return await _publish_batch(items, request, service, caller, memory.recent)
    quotas_of(service).charge(caller.organisation, 0, len(body))
    event, address = await admitted_alone(items, request.headers, body, service, caller, memory)
    return accepted(event, address)


async def refused(
    service: Service, caller: Caller, headers: Mapping[str, str], body: bytes | None, problem: Problem
) -> Problem:
    """Note on `rejected` what a request was refused for, and give it back to be raised."""
    await service.publish_records([rejection(caller, headers, body, problem)])
    count_refused(problem.status)
    return problem


async def admitted_alone(  # noqa: PLR0913, PLR0917
    item: Any, headers: Mapping[str, str], body: bytes, service: Service, caller: Caller, memory: Memory
) -> Published:
    """Publish one event (parsed JSON), which came in *body*.

    Raises:
        Problem: what is wrong with it; it is on `rejected`, as it was sent.
    """
    published = await memory.singles.publish(item, service, caller)
    if isinstance(published, Problem):
        raise await refused(service, caller, headers, body, published)
    return published


def accepted(event: Event[Data], address: Address) -> Response:
    at = str(address)
    content = to_json({"id": event.id, "type": event.type, "event": at})
    return Response(content, 202, {"Location": at}, media_type="application/json")


def refuse_overdrawn(service: Service, caller: Caller) -> None:
    """Refuse who has sent too much, before anything is read; else charge one event, whatever comes."""
    quotas = quotas_of(service)
    if not caller.is_operator:
        try:
            quotas.refuse_overdrawn(caller.organisation)
        except Problem:
            THROTTLED.inc()
            raise
    quotas.charge(caller.organisation, 1, 0)


async def _publish_batch(
    items: list[Any], request: Request, service: Service, caller: Caller, recent: RecentEvents
) -> Response:
    answers: list[dict[str, Any]] = []
    for item, outcome in zip(items, await admitted(items, request.headers, service, caller, recent), strict=True):
        if isinstance(outcome, Problem):
            answers.append({"id": _id(item), "status": outcome.status, "problem": outcome.body()})
        else:
            answers.append({"id": item["id"], "status": 202, "event": str(outcome)})
    number = sum(answer["status"] == 202 for answer in answers)
    status = 202 if number == len(answers) else 207 if number else 422
    content = to_json({"accepted": number, "refused": len(answers) - number, "items": answers})
    return Response(content, status, media_type="application/json")


async def admitted(
    items: list[Any], headers: Mapping[str, str], service: Service, caller: Caller, recent: RecentEvents
) -> list[Address | Problem]:
    """Publish what of a batch may be, and what is refused on `rejected`; where each event is, or what is wrong."""
    checked, digests = await validated(items, service, caller, recent)
    records = [
        rejection(caller, headers, to_json(item), event) if isinstance(event, Problem) else record_of(event)
        for item, event in zip(items, checked, strict=True)
    ]
    addresses = await service.publish_records(records)
    recent.note(caller.source, digests)
    for event in checked:
        if isinstance(event, Problem):
            count_refused(event.status)
    for topic, number in Counter(record.topic for record in records if record.topic != "rejected").items():
        ACCEPTED.labels(topic).inc(number)
    return [e if isinstance(e, Problem) else address for e, address in zip(checked, addresses, strict=True)]


async def read_body(request: Request) -> bytes:
    try:
        body = await request.body()
    except BodyTooLarge as error:
        raise refusal(error.status_code, error.detail, "body", error.detail) from None
    except ClientDisconnect:
        raise refusal(400, "the body ended early", "body", "ended early") from None
    BYTES.inc(len(body))
    return body


def _id(item: Any) -> str | None:
    """The id that the sender gave, to be repeated in an answer."""
    id = item.get("id") if isinstance(item, dict) else None
    return id[:200] if isinstance(id, str) else None

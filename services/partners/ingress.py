"""The ingress: CloudEvents from organisations' systems, each accepted onto its topic or refused with the reason.

Nothing is answered before Kafka has acknowledged it. What a known sender is refused goes to the topic `rejected`.
"""

import base64
import difflib
import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any
from urllib.parse import unquote_to_bytes

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from prometheus_client import Counter as Metric
from pydantic_core import from_json, to_json
from starlette.requests import ClientDisconnect

from shared import events
from shared.auth import Caller
from shared.events import DATA, ContractError, Data, Event, LearnerErased
from shared.kafka import Record, record_of
from shared.mongo import Key
from shared.settings import Settings
from shared.web import Authenticated, BodyTooLarge, Problem, Running, Service

from .credentials import refuse_suspended
from .registry import JUDGED_BY, View, misfits, objection, owned

STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
BINARY = "application/json"
ORIGINAL_BYTES = 64 * 1024
ERRORS_SHOWN = 10
RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")
QUOTED = re.compile(rb'"((?:[^"\\]|\\.)*)"')

router = APIRouter()

BYTES = Metric("praktika_ingress_bytes_total", "Bytes of all bodies that were read.")
ACCEPTED = Metric("praktika_ingress_accepted_total", "Events that Kafka has acknowledged.", ["topic"])
REFUSED = Metric(
    "praktika_ingress_refused_total", "What was refused; all of it is on the topic `rejected`.", ["reason"]
)
REASONS = {400: "malformed", 403: "forbidden", 409: "conflict", 413: "size", 415: "media_type", 422: "contract"}
for _topic in events.TOPICS:
    ACCEPTED.labels(_topic)  # from zero on, so that the first one is an increase
for _reason in REASONS.values():
    REFUSED.labels(_reason)

_EVENT = {"type": "object", "description": "A CloudEvent 1.0 of a type in the contract."}
_DATA = {"type": "object", "description": "The event's data; its attributes are `ce-` headers."}


@router.post(
    "/events",
    tags=["events"],
    status_code=202,
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                STRUCTURED: {"schema": _EVENT},
                BATCH: {"schema": {"type": "array", "items": _EVENT}},
                BINARY: {"schema": _DATA},
            },
        }
    },
)
async def publish_events(request: Request, service: Running, caller: Authenticated) -> JSONResponse:
    """Publish one event (structured or binary mode; 202 with its address) or a batch.

    A batch is answered item by item: 202 if all were accepted, 207 if some, 422 if none. After a 503 send the same
    again: repetition changes nothing.
    """
    body = None
    try:
        body = await _body(request)
        await refuse_suspended(service, caller)
        items = _read(request, body, service.settings)
    except Problem as problem:
        await service.publish_records([_rejection(caller, request, body, problem)])
        _count_refused(problem.status)
        raise
    if isinstance(items, list):
        return await _publish_batch(items, request, service, caller)
    (event,) = await _checked([items], service, caller)
    if isinstance(event, Problem):
        await service.publish_records([_rejection(caller, request, body, event)])
        _count_refused(event.status)
        raise event
    (address,) = await service.publish(event)
    ACCEPTED.labels(event.data.topic).inc()
    answer = {"id": event.id, "type": event.type, "event": str(address)}
    return JSONResponse(answer, 202, {"Location": str(address)})


async def _publish_batch(items: list[Any], request: Request, service: Running, caller: Caller) -> JSONResponse:
    answers: list[dict[str, Any]] = []
    records: list[Record] = []
    for item, event in zip(items, await _checked(items, service, caller), strict=True):
        if isinstance(event, Problem):
            answers.append({"id": _id(item), "status": event.status, "problem": event.body()})
            records.append(_rejection(caller, request, to_json(item), event))
        else:
            answers.append({"id": event.id, "status": 202})
            records.append(record_of(event))
    for answer, address in zip(answers, await service.publish_records(records), strict=True):
        if answer["status"] == 202:
            answer["event"] = str(address)
        else:
            _count_refused(answer["status"])
    for topic, number in Counter(record.topic for record in records if record.topic in events.TOPICS).items():
        ACCEPTED.labels(topic).inc(number)
    accepted = sum(answer["status"] == 202 for answer in answers)
    status = 202 if accepted == len(answers) else 207 if accepted else 422
    return JSONResponse({"accepted": accepted, "refused": len(answers) - accepted, "items": answers}, status)


async def _checked(items: list[Any], service: Service, caller: Caller) -> list[Event[Data] | Problem]:
    """Each item as the event that it is, or what is wrong with it."""
    checked: list[Event[Data] | Problem] = []
    for item in items:
        try:
            checked.append(check(item, caller, service.settings))
        except Problem as problem:
            checked.append(problem)
    known = await _known(service, [event for event in checked if not isinstance(event, Problem)])
    return [each if isinstance(each, Problem) else _unless_forbidden(each, known) for each in checked]


async def _known(service: Service, published: list[Event[Data]]) -> dict[Key, View]:
    """What the registry knows of the entities that these events are about.

    It may lag behind: what it does not know yet nobody owns, and the ingress is open while the registry's worker is
    not. Only an erasure waits for it, because that cannot be undone.
    """
    erased = [event.partitionkey for event in published if isinstance(event.data, LearnerErased)]
    if erased:
        await service.current("learner", erased[0] if len(erased) == 1 else None)
    wanted: dict[str, set[str]] = {}
    for key in filter(None, map(owned, published)):
        wanted.setdefault(key.collection, set()).add(key.id)
    return {
        Key(collection, doc["_id"]): doc
        for collection, ids in wanted.items()
        async for doc in service.db[collection].find({"_id": {"$in": list(ids)}}, JUDGED_BY)
    }


def _unless_forbidden(event: Event[Data], known: dict[Key, View]) -> Event[Data] | Problem:
    key = owned(event)
    forbidden = objection(event, known[key]) if key in known else None
    if forbidden is None:
        return event
    status, why = forbidden
    return _problem(status, why, "subject" if event.partitionkey == event.subject else "partitionkey", why)


def check(item: Any, caller: Caller, settings: Settings) -> Event[Data]:
    """The event that *item* (parsed JSON) is, if *caller* may publish it now.

    Raises:
        Problem: what is wrong, by field.
    """
    if not isinstance(item, dict) or "specversion" not in item:
        raise _problem(400, "this is no CloudEvent", "specversion", "a CloudEvent is an object with specversion 1.0")
    if not isinstance(item.get("type"), str) or item["type"] not in DATA:
        raise _problem(422, "the type is not in the contract", "type", _unknown_type(str(item.get("type"))[:100]))
    raw = to_json(_completed(item, caller))
    if len(raw) > settings.event_max_bytes:
        detail = f"the event has {len(raw)} bytes; at most {settings.event_max_bytes} are accepted"
        raise _problem(413, detail, "data", detail)
    try:
        event = events.parse(raw)
    except ContractError as error:
        # A key that we filled in is wrong only because what it was made of is.
        errors = [(f or "event", wrong) for f, wrong in error.errors if f != "partitionkey" or f in item]
        raise Problem(422, "the event does not fit the contract", errors[:ERRORS_SHOWN]) from None
    _check_sender(event, caller)
    if not RFC3339.fullmatch(item["time"]):
        raise _problem(
            422, "the event does not fit the contract", "time", "must be RFC 3339: 2026-03-02T12:00:00+07:00"
        )
    if event.time > datetime.now(UTC) + timedelta(seconds=settings.clock_skew_s):
        detail = f"lies more than {settings.clock_skew_s} s in the future"
        raise _problem(422, "the event has not happened yet", "time", detail)
    if wrong := misfits(event):
        raise Problem(422, "the event does not fit the registry", wrong)
    return event


def _problem(status: int, detail: str, field: str, wrong: str) -> Problem:
    return Problem(status, detail, [(field, wrong)])


@lru_cache(maxsize=1024)  # a batch repeats its mistake
def _unknown_type(given: str) -> str:
    similar = difflib.get_close_matches(given, DATA, n=1, cutoff=0.85)
    return f"there is no such type{f'; is it {similar[0]}?' if similar else ''}"


def _completed(item: dict[str, Any], caller: Caller) -> dict[str, Any]:
    """*item* with its sender's kind, and with the key where the contract says what it is."""
    if item.get("sourcekind", caller.kind.value) != caller.kind.value:
        raise _problem(403, "the sender is another", "sourcekind", f"you are {caller.kind}; leave it out")
    completed = {**item, "sourcekind": caller.kind.value}
    if "partitionkey" in item:
        return completed
    rule, data = DATA[item["type"]].key, item.get("data")
    if rule == "learner":
        raise _problem(
            422, "the event does not fit the contract", "partitionkey", "must name the learner, by pseudonym"
        )
    named = data.get(rule) if isinstance(data, dict) else None
    # Without a subject the event is refused, but for the subject and not for the key.
    return completed | {"partitionkey": named or item.get("subject") or "unknown"}


def _check_sender(event: Event[Data], caller: Caller) -> None:
    if event.source != caller.source:
        raise _problem(403, "the sender is another", "source", f"must be {caller.source}")
    if caller.kind not in event.data.by:
        by = " or ".join(event.data.by)
        raise _problem(403, f"{event.type} is not yours to publish", "type", f"comes from {by}; you are {caller.kind}")


# the HTTP binding of CloudEvents 1.0


async def _body(request: Request) -> bytes:
    try:
        body = await request.body()
    except BodyTooLarge as error:
        raise _problem(error.status_code, error.detail, "body", error.detail) from None
    except ClientDisconnect:
        raise _problem(400, "the body ended early", "body", "ended early") from None
    BYTES.inc(len(body))
    return body


def _read(request: Request, body: bytes, settings: Settings) -> Any:
    """The parsed JSON of an event, or of the list of a batch."""
    media, _, parameters = request.headers.get("content-type", "").lower().partition(";")
    media, charset = media.strip(), re.search(r"""charset\s*=\s*["']?([^\s;"']+)""", parameters)
    binary = media == BINARY and "ce-specversion" in request.headers
    if (media not in (BATCH, STRUCTURED) and not binary) or (
        charset and charset[1] not in ("utf-8", "utf8", "us-ascii")
    ):
        expected = f"must be {STRUCTURED}, {BATCH}, or {BINARY} with ce-specversion and the other ce- headers; in UTF-8"
        raise _problem(415, "this content type is not understood", "content-type", expected)
    if media != BATCH and len(body) > settings.event_max_bytes:
        detail = f"the body has {len(body)} bytes; at most {settings.event_max_bytes} are accepted"
        raise _problem(413, detail, "body", detail)
    content = read_json(body)
    if binary:
        return {**_attributes(request), "data": content}
    if media == STRUCTURED:
        # A list is what a batch is, so here it is as little an event as any other JSON.
        return content if isinstance(content, dict) else None
    if not isinstance(content, list):
        raise _problem(400, "this is no batch", "body", "must be a JSON array of CloudEvents")
    if len(content) > settings.batch_max_events:
        detail = f"the batch has {len(content)} events; at most {settings.batch_max_events} are accepted"
        raise _problem(413, detail, "body", detail)
    return content


def read_json(body: bytes) -> Any:
    """Parsed JSON, strictly.

    Raises:
        Problem: it is none.
    """
    try:
        return from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise _problem(400, "this is not JSON", "body", str(error)[:200]) from None


def _attributes(request: Request) -> dict[str, str]:
    """The attributes in `ce-` headers: unquoted, percent-decoded once, strict UTF-8 (binding, section 3.1.3.2)."""
    attributes: dict[str, str] = {}
    for name, value in request.headers.raw:
        attribute = name.decode("latin-1").lower().removeprefix("ce-")
        if len(attribute) == len(name):
            continue
        if attribute in attributes:
            raise _problem(400, "this is no CloudEvent", attribute, "is given twice")
        quoted = QUOTED.fullmatch(value)
        encoded = re.sub(rb"\\(.)", rb"\1", quoted[1]) if quoted else value
        try:
            attributes[attribute] = unquote_to_bytes(encoded).decode()
        except UnicodeDecodeError:
            raise _problem(400, "this is no CloudEvent", attribute, "is not percent-encoded UTF-8") from None
    return attributes


# what was refused


def _count_refused(status: int) -> None:
    REFUSED.labels(REASONS.get(status, "other")).inc()


def _id(item: Any) -> str | None:
    """The id that the sender gave, to be repeated in an answer."""
    id = item.get("id") if isinstance(item, dict) else None
    return id[:200] if isinstance(id, str) else None


def _rejection(caller: Caller, request: Request, original: bytes | None, problem: Problem) -> Record:
    """What goes to the topic `rejected`: the reason, and at most 64 KiB of what was sent (null: it was not read)."""
    attributes = [(name, value) for name, value in request.headers.items() if name.startswith("ce-")]
    rejected = {
        "organisation": caller.organisation,
        "received_at": datetime.now(UTC).isoformat(),
        "problem": problem.body(),
        "content_type": request.headers.get("content-type", "")[:200],
        "attributes": {name[:100]: value[:500] for name, value in attributes[:50]},
        "size": None if original is None else len(original),
        "original": None if original is None else base64.b64encode(original[:ORIGINAL_BYTES]).decode(),
    }
    return Record("rejected", caller.organisation, to_json(rejected))

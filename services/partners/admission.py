"""Who is let in: what a sender sent becomes an event for its topic, or is refused with the reason.

The same for all ways in; `ingress.py` is the one over HTTP.
"""

import base64
import difflib
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from prometheus_client import Counter as Metric
from pydantic_core import to_json

from shared import events
from shared.auth import Caller
from shared.events import DATA, ContractError, Data, Event, LearnerErased
from shared.kafka import Record
from shared.mongo import Key
from shared.settings import Settings
from shared.web import Problem, Service

from .binding import plain, refusal
from .registry import JUDGED_BY, View, misfits, objection, owned, route
from .repeats import Recent, digest, kept

ORIGINAL_BYTES = 64 * 1024
ERRORS_SHOWN = 10
RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")

ACCEPTED = Metric("praktika_ingress_accepted_total", "Events that Kafka has acknowledged.", ["topic"])
REFUSED = Metric(
    "praktika_ingress_refused_total", "What was refused; all of it is on the topic `rejected`.", ["reason"]
)
REASONS = {400: "malformed", 403: "forbidden", 409: "conflict", 413: "size", 415: "media_type", 422: "contract"}
for _topic in events.TOPICS:
    ACCEPTED.labels(_topic)  # from zero on, so that the first one is an increase
for _reason in REASONS.values():
    REFUSED.labels(_reason)

# A batch may name a thousand entities of up to 1 MB each. Where there is so much, earlier ids are not searched.
_FACTS = {"$cond": [{"$lt": ["$state.bytes", 100_000]}, "$state.facts", {}]}
_JUDGED_BY = {**dict.fromkeys(JUDGED_BY, 1), "facts": _FACTS}


async def judged(
    items: list[Any], service: Service, caller: Caller, recent: Recent
) -> tuple[list[Event[Data] | Problem], dict[str, str]]:
    """Each item (parsed JSON) as the event that it is, or what is wrong with it; and the digests of the events by id.

    The digests go to `recent.note` once Kafka has the events.
    """
    checked: list[Event[Data] | Problem] = []
    for item in items:
        try:
            checked.append(check(item, caller, service.settings))
        except Problem as problem:
            checked.append(problem)
    known, told = await _known(service, caller, [event for event in checked if not isinstance(event, Problem)])
    digests: dict[str, str] = {}
    for number, event in enumerate(checked):
        if isinstance(event, Problem):
            continue
        sent, accepted = digest(event), digests.get(event.id) or recent.of(caller.source, event.id)
        wrong = _forbidden(event, known) or _reused(sent, {accepted} if accepted else told.get(event.id, set()))
        if wrong:
            checked[number] = wrong
        else:
            digests[event.id] = sent
    return checked, digests


async def _known(
    service: Service, caller: Caller, published: list[Event[Data]]
) -> tuple[dict[Key, View], dict[str, set[str]]]:
    """What the registry knows of the entities that these events are about, and by id the digests of what it was told.

    It may lag behind: what it does not know yet nobody owns, and the ingress is open while the registry's worker is
    not. Only an erasure waits for it, because that cannot be undone.
    """
    erased = [event.partitionkey for event in published if isinstance(event.data, LearnerErased)]
    if erased:
        await service.current("learner", erased[0] if len(erased) == 1 else None)
    wanted: dict[str, set[str]] = {}
    for key in filter(None, map(route, published)):
        wanted.setdefault(key.collection, set()).add(key.id)
    ids = {event.id for event in published}
    known: dict[Key, View] = {}
    told: dict[str, set[str]] = {}
    for collection, keys in wanted.items():
        for id, doc in (await service.by_id(collection, keys, _JUDGED_BY)).items():
            key = Key(collection, id)
            known[key] = doc
            for event in kept(key, doc["facts"], caller.source, ids):
                told.setdefault(event.id, set()).add(digest(event))
    return known, told


def _forbidden(event: Event[Data], known: dict[Key, View]) -> Problem | None:
    key = owned(event)
    forbidden = objection(event, known[key]) if key in known else None
    if forbidden is None:
        return None
    status, why = forbidden
    return refusal(status, why, "subject" if event.partitionkey == event.subject else "partitionkey", why)


def _reused(sent: str, accepted: set[str]) -> Problem | None:
    """What is wrong if all that was accepted under an event's id says something else."""
    if not accepted or sent in accepted:
        return None
    digests = {"accepted": min(accepted), "sent": sent}
    detail = f"has been used for an event with SHA-256 {digests['accepted']}; this one has {sent}"
    return Problem(409, "the id was used for another event", [("id", detail)], more={"digests": digests})


def check(item: Any, caller: Caller, settings: Settings) -> Event[Data]:
    """The event that *item* (parsed JSON) is, if *caller* may publish it now.

    Raises:
        Problem: what is wrong, by field.
    """
    if not isinstance(item, dict) or "specversion" not in item:
        raise refusal(400, "this is no CloudEvent", "specversion", "a CloudEvent is an object with specversion 1.0")
    if not isinstance(item.get("type"), str) or item["type"] not in DATA:
        raise refusal(422, "the type is not in the contract", "type", _unknown_type(str(item.get("type"))[:100]))
    item = plain(item)
    raw = to_json(_completed(item, caller))
    most = settings.event_max_bytes
    if len(raw) > most and (size := len(to_json(item))) > most:  # what we fill in is not the sender's
        detail = f"the event has {size} bytes; at most {most} are accepted"
        raise refusal(413, detail, "data", detail)
    try:
        event = events.parse(raw)
    except ContractError as error:
        # A key that we filled in is wrong only because what it was made of is.
        errors = [(f or "event", wrong) for f, wrong in error.errors if f != "partitionkey" or f in item]
        raise Problem(422, "the event does not fit the contract", errors[:ERRORS_SHOWN]) from None
    _check_sender(event, caller)
    if not RFC3339.fullmatch(item["time"]):
        raise refusal(422, "the event does not fit the contract", "time", "must be RFC 3339: 2026-03-02T12:00:00+07:00")
    if event.time > datetime.now(UTC) + timedelta(seconds=settings.clock_skew_s):
        detail = f"lies more than {settings.clock_skew_s} s in the future"
        raise refusal(422, "the event has not happened yet", "time", detail)
    if wrong := misfits(event):
        raise Problem(422, "the event does not fit the registry", wrong)
    return event


@lru_cache(maxsize=1024)  # a batch repeats its mistake
def _unknown_type(given: str) -> str:
    similar = difflib.get_close_matches(given, DATA, n=1, cutoff=0.85)
    return f"there is no such type{f'; is it {similar[0]}?' if similar else ''}"


def _completed(item: dict[str, Any], caller: Caller) -> dict[str, Any]:
    """*item* with its sender's kind, and with the key where the contract says what it is."""
    if item.get("sourcekind", caller.kind.value) != caller.kind.value:
        raise refusal(403, "the sender is another", "sourcekind", f"you are {caller.kind}; leave it out")
    completed = {**item, "sourcekind": caller.kind.value}
    if "partitionkey" in item:
        return completed
    rule, data = DATA[item["type"]].key, item.get("data")
    if rule == "learner":
        raise refusal(422, "the event does not fit the contract", "partitionkey", "must name the learner, by pseudonym")
    named = data.get(rule) if isinstance(data, dict) else None
    # Without a subject the event is refused, but for the subject and not for the key.
    return completed | {"partitionkey": named or item.get("subject") or "unknown"}


def _check_sender(event: Event[Data], caller: Caller) -> None:
    if event.source != caller.source:
        raise refusal(403, "the sender is another", "source", f"must be {caller.source}")
    if caller.kind not in event.data.by:
        by = " or ".join(event.data.by)
        raise refusal(403, f"{event.type} is not yours to publish", "type", f"comes from {by}; you are {caller.kind}")


# what was refused


def count_refused(status: int) -> None:
    REFUSED.labels(REASONS.get(status, "other")).inc()


def rejection(caller: Caller, headers: Mapping[str, str], original: bytes | None, problem: Problem) -> Record:
    """What goes to the topic `rejected`: the reason, and at most 64 KiB of what was sent (null: it was not read).

    Args:
        headers: of the request or of the Kafka record, by HTTP's names in small letters.
    """
    attributes = [(name, value) for name, value in headers.items() if name.startswith("ce-")]
    rejected = {
        "organisation": caller.organisation,
        "received_at": datetime.now(UTC).isoformat(),
        "problem": problem.body(),
        "content_type": headers.get("content-type", "")[:200],
        "attributes": {name[:100]: value[:500] for name, value in attributes[:50]},
        "size": None if original is None else len(original),
        "original": None if original is None else base64.b64encode(original[:ORIGINAL_BYTES]).decode(),
    }
    return Record("rejected", caller.organisation, to_json(rejected))

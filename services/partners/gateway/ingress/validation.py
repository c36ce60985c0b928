"""Who is let in: what a sender sent becomes an event for its topic, or is refused with the reason.

The same for all ways in; `http.py` and `kafka.py` are two of them.
"""

import asyncio
import difflib
import re
from collections.abc import Awaitable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from aiokafka.errors import KafkaError
from prometheus_client import Counter as Metric
from pydantic_core import to_json

from services.partners.gateway.quotas import quotas_of
from services.partners.network.references import (
    READ,
    Known,
    Objection,
    Tie,
    certificate_in,
    competencies,
    enterprises,
    judge,
    named_in,
    references,
    tie,
)
from services.partners.network.regions import institutions, of_region
from services.partners.network.registry import SANDBOX, TOPICS, View, entity, misfits, view
from shared.contract import events
from shared.contract.events import DATA, ContractError, Data, Event, LearnerErased
from shared.contract.text import composed, hidden_in
from shared.http.auth import Caller
from shared.http.problems import Problem
from shared.http.service import Service
from shared.log.producer import NotPublished, Record
from shared.processing import facts, refusals
from shared.processing.frameworks import Frameworks
from shared.processing.mongo import DatabaseError, Key
from shared.processing.ownership import Refused
from shared.settings import Settings

from .deduplication import RecentEvents, digest, kept
from .http_binding import plain, refusal, without_extensions

ERRORS_SHOWN = 10
RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")

ACCEPTED = Metric("praktika_ingress_accepted_total", "Events that Kafka has acknowledged.", ["topic"])
REFUSED = Metric(
    "praktika_ingress_refused_total", "What was refused; all of it is on the topic `rejected`.", ["reason"]
)
REASONS = {400: "malformed", 403: "forbidden", 409: "conflict", 413: "size", 415: "media_type", 422: "contract"}
for _topic in (*events.TOPICS, events.SANDBOX):
    ACCEPTED.labels(_topic)  # from zero on, so that the first one is an increase
for _reason in REASONS.values():
    REFUSED.labels(_reason)

# A batch may name a thousand entities of up to 1 MB each. Where there is so much, earlier ids are not searched.
FACTS_BYTES = 100_000
_JUDGED_BY = {
    collection: {
        **dict.fromkeys(fields, 1),
        "facts": {"$cond": [{"$lt": ["$state.bytes", FACTS_BYTES]}, "$state.facts", {}]},
        "bytes": "$state.bytes",
        "erased": {"$gt": ["$state.erased", None]},
    }
    for collection, fields in READ.items()
}
MOST_AGREEMENTS = 10_000
BUILT_IN = Frameworks()  # where no database is asked
Digests = dict[str, set[str]]  # by event id: the digests of what was accepted under it
TRANSIENT = (NotPublished, KafkaError, DatabaseError, TimeoutError)  # what judging or publishing again may mend
LATER = Problem(503, "this can be told once the registry has taken in all that is on the log")


async def validated(
    items: list[Any], service: Service, caller: Caller, recent: RecentEvents, *, waits: bool = True
) -> tuple[list[Event[Data] | Problem], dict[str, str]]:
    """Each item (parsed JSON) as the event that it is, or what is wrong with it; and the digests of the events by id.

    The digests go to `recent.note` once Kafka has the events.
    Args:
        waits: for the registry, where it lags behind. Without, what depends on that is `LATER`.
    Raises:
        Problem: 503, the registry lags behind by more than can be waited for.
    """
    checked: list[Event[Data] | Problem] = []
    frameworks = await service.frameworks()
    for item in items:
        try:
            checked.append(check(item, caller, service.settings, frameworks))
        except Problem as problem:
            checked.append(problem)
    published = [event for event in checked if not isinstance(event, Problem)]
    objections, accepted_before = await _objections(service, caller, published, waits=waits)
    digests: dict[str, str] = {}
    for number, event in enumerate(checked):
        if isinstance(event, Problem):
            continue
        sent, accepted = digest(event), digests.get(event.id) or recent.of(caller.source, event.id)
        wrong = objections.get(id(event)) or _reused(
            sent, {accepted} if accepted else accepted_before.get(event.id, set())
        )
        if wrong:
            checked[number] = wrong
        else:
            digests[event.id] = sent
    await _charge_others(service, caller, items, checked)
    return checked, digests


async def _charge_others(
    service: Service, caller: Caller, items: list[Any], checked: list[Event[Data] | Problem]
) -> None:
    """Count what is sent to others for each of them, too: whom an event names, and the institutions of its region."""
    told = await institutions(service, (event for event in checked if not isinstance(event, Problem)))
    for item, event in zip(items, checked, strict=True):
        if isinstance(event, Problem):
            continue
        whom = named_in(event)
        if told:
            whom |= told.get(of_region(event) or "", frozenset())
        if others := len(whom - {caller.organisation}):
            quotas_of(service).charge(caller.organisation, others, others * len(to_json(item)))


async def _objections(
    service: Service, caller: Caller, published: list[Event[Data]], *, waits: bool
) -> tuple[dict[int, Problem], Digests]:
    """What the registry has against events, by `id(event)`; and by event id the digests of what it was told.

    What it knows may lag behind, so before anything is refused it takes in all that is on the log. Of an erasure,
    which cannot be undone, also what would be accepted is only judged then.
    """
    erasures = [event for event in published if event.event_class is LearnerErased]
    if erasures and waits:
        topic = events.SANDBOX if caller.sandbox else "learner"
        await service.current(topic, erasures[0].partitionkey if len(erasures) == 1 else None)
    known, digests = await _known(service, caller, published)
    references_too = service.settings.registry_checks == "references"
    found, caught_up = objections_by_event(published, known, references_too=references_too), set[Key]()
    # Once what it lagged behind with is there, it may object to something else that it lags behind with.
    while waits and (new := {key for objection in found.values() for key in objection.looked_at} - caught_up):
        await _catch_up(service, caller, new)
        caught_up |= new
        known, digests = await _known(service, caller, published)
        found = objections_by_event(published, known, references_too=references_too)
    fitting = [event for event in published if id(event) not in found]
    found |= await _without_room(service, caller, fitting, known)
    problems = {of: _problem(objection) for of, objection in found.items()}
    if not waits:
        later = [*map(id, erasures), *(of for of, objection in found.items() if objection.looked_at)]
        problems |= dict.fromkeys(later, LATER)
    return problems, digests


async def _without_room(
    service: Service, caller: Caller, published: list[Event[Data]], known: Known
) -> dict[int, Objection]:
    """What would find no room in its entity, by `id(event)`: the services would not apply it."""
    by_entity: dict[Key, list[Event[Data]]] = {}
    for event in published:
        if key := entity(event):
            by_entity.setdefault(key, []).append(event)
    found: dict[int, Objection] = {}
    for key, some in by_entity.items():
        doc = known.entities.get(key, {})
        held = sum(map(len, doc.get("facts", {}).values()))
        if doc.get("bytes", 0) < FACTS_BYTES and held + len(some) <= facts.CHECKED_FROM_FACTS:
            continue
        apart = SANDBOX if _is_apart(caller, key) else ""
        docs = await service.by_id(apart + key.collection, {key.id}, {"state": 1})
        found |= _overfull(key, docs.get(key.id, {}).get("state") or facts.empty(), some)
        await asyncio.sleep(0)
    return found


def _overfull(key: Key, state: facts.State, published: list[Event[Data]]) -> dict[int, Objection]:
    found = {}
    for event in published:
        try:
            state = facts.apply(state, event)
        except facts.TooManyFacts as full:
            found[id(event)] = Objection(422, full.rule, key.id, "subject", f"{key.id} is full: {full}", ())
        except Refused:
            pass  # only by what came in meanwhile: the services tell the sender
    return found


async def _catch_up(service: Service, caller: Caller, looked_at: set[Key]) -> None:
    """Wait until the registry has taken in what is on the log about these entities."""
    ids: dict[str, set[str]] = {}
    for key in looked_at:
        ids.setdefault(events.SANDBOX if _is_apart(caller, key) else TOPICS[key.collection], set()).add(key.id)
    for topic, of in ids.items():
        await service.current(topic, next(iter(of)) if len(of) == 1 and "" not in of else None)


def _is_apart(caller: Caller, key: Key) -> bool:
    """Is it one of the entities that only sandbox organisations speak of? They themselves are registered."""
    return caller.sandbox and key.collection != "organisations"


def objections_by_event(published: list[Event[Data]], known: Known, *, references_too: bool) -> dict[int, Objection]:
    """What speaks against events that come together, by `id(event)`: one may refer to what another introduces."""

    def judged(some: list[Event[Data]], by: Known) -> dict[int, Objection]:
        return {id(e): found for e in some if (found := judge(e, by, references_too=references_too))}

    found, taken = judged(published, known), set[int]()
    updated = replace(known, entities=dict(known.entities)) if found else known
    while found:
        objected = [event for event in published if id(event) in found]
        wanted = {key for event in objected for key in references(event)}
        new = [e for e in published if id(e) not in found and id(e) not in taken and entity(e) in wanted]
        for event in new:
            _take_in(event, updated.entities)
        taken |= set(map(id, new))
        if not new:
            break
        found = judged(objected, updated)
    return found


def _take_in(event: Event[Data], entities: dict[Key, View]) -> None:
    """Let an entity be as it will be once *event* is applied, unless it is too large to be held here."""
    key = entity(event)
    held = entities.get(key, {"facts": {}, "bytes": 0}) if key else None
    if key is None or held is None or held.get("erased") or held["bytes"] >= FACTS_BYTES:
        return
    with suppress(Refused):
        state = facts.apply({"facts": held["facts"], "bytes": held["bytes"]}, event)
        entities[key] = {**view(key, state), **state, "erased": "erased" in state}


async def _known(service: Service, caller: Caller, published: list[Event[Data]]) -> tuple[Known, Digests]:
    wanted: dict[str, set[str]] = {}
    for event in published:
        for key in references(event):
            wanted.setdefault(key.collection, set()).add(key.id)
    known = Known(sandbox=caller.organisation if caller.sandbox else None)
    known.free_ids, known.audience_max = service.settings.free_ids, service.settings.audience_max

    async def find(collection: str, ids: set[str]) -> None:
        apart = SANDBOX if _is_apart(caller, Key(collection, "")) else ""
        docs = await service.by_id(apart + collection, ids, _JUDGED_BY[collection])
        known.entities.update({Key(collection, id): doc for id, doc in docs.items()})

    await asyncio.gather(*(find(*each) for each in wanted.items()), *_further(service, caller, published, known))
    digests, ids = Digests(), {event.id for event in published}
    for key, doc in known.entities.items():
        for event in kept(key, doc["facts"], caller.source, ids):
            digests.setdefault(event.id, set()).add(digest(event))
    return known, digests


def _further(service: Service, caller: Caller, published: list[Event[Data]], known: Known) -> Iterator[Awaitable[None]]:
    """What finds the agreements, ties and certificates that events are judged by; most are by none."""
    if hosts := enterprises(published):
        yield _agreements(service, caller, hosts, known)
    if ties := {needed for event in published if (needed := tie(event))}:
        yield _ties(service, caller, ties, known)
    if certificates := {id for event in published if (id := certificate_in(event))}:
        yield _certificates(service, certificates, known)


async def _agreements(service: Service, caller: Caller, of: set[str], known: Known) -> None:
    between = {"parties": {"$in": sorted(of)}, "proposer": {"$exists": True}}
    docs = service.db[(SANDBOX if caller.sandbox else "") + "agreements"].find(
        between, dict.fromkeys(READ["agreements"], 1)
    )
    known.agreements = {doc["_id"]: {"id": doc["_id"], **doc} for doc in await docs.to_list(MOST_AGREEMENTS)}


async def _certificates(service: Service, wanted: set[str], known: Known) -> None:
    """Those that were issued."""
    holders = service.db["learners"].find({"certificates": {"$in": sorted(wanted)}}, {"certificates": 1})
    known.certificates = {id async for doc in holders for id in doc["certificates"]} & wanted


async def _ties(service: Service, caller: Caller, wanted: set[Tie], known: Known) -> None:
    """Those of the enterprises at which a learner of the programme was placed, or works."""
    learners = service.db[(SANDBOX if caller.sandbox else "") + "learners"]
    for enterprise, programme in sorted(wanted):
        placed = {"internships": {"$elemMatch": {"enterprise": enterprise, "programme": programme}}}
        works = {"employment.enterprise": enterprise, "programmes.id": programme}
        if await learners.find_one({"$or": [placed, works]}, {"_id": 1}):
            known.ties.add((enterprise, programme))


def _problem(objection: Objection) -> Problem:
    more = {"rule": objection.rule, "reference": objection.reference}
    return Problem(objection.status, objection.detail, [(objection.field, objection.detail)], more=more)


def _reused(sent: str, accepted: set[str]) -> Problem | None:
    """What is wrong if all that was accepted under an event's id says something else."""
    if not accepted or sent in accepted:
        return None
    digests = {"accepted": min(accepted), "sent": sent}
    detail = f"has been used for an event with SHA-256 {digests['accepted']}; this one has {sent}"
    return Problem(409, "the id was used for another event", [("id", detail)], more={"digests": digests})


def check(item: Any, caller: Caller, settings: Settings, frameworks: Frameworks = BUILT_IN) -> Event[Data]:
    """The event that *item* (parsed JSON) is, if *caller* may publish it now.

    Args:
        frameworks: what competencies are judged by.
    Raises:
        Problem: what is wrong, by field.
    """
    if not isinstance(item, dict) or "specversion" not in item:
        raise refusal(400, "this is no CloudEvent", "specversion", "a CloudEvent is an object with specversion 1.0")
    if not isinstance(item.get("type"), str) or item["type"] not in DATA:
        raise refusal(422, "the type is not in the contract", "type", _unknown_type(str(item.get("type"))[:100]))
    item = without_extensions(plain(item))
    raw = to_json(_completed(item, caller))
    if not raw.isascii():
        if unseen := hidden_in(item):
            raise refusal(422, "the event hides something", *unseen)
        raw = composed(raw.decode()).encode()
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
    if wrong := misfits(event) or competencies(event.data, frameworks):
        raise Problem(422, "the event does not fit the registry", wrong)
    return frameworks.stamped(event)


@lru_cache(maxsize=1024)  # a batch repeats its mistake
def _unknown_type(given: str) -> str:
    similar = difflib.get_close_matches(given, DATA, n=1, cutoff=0.85)
    return f"there is no such type{f'; is it {similar[0]}?' if similar else ''}"


def _completed(item: dict[str, Any], caller: Caller) -> dict[str, Any]:
    """*item* with its sender's kind, and with the key where the contract says what it is."""
    if item.get("sourcekind", caller.kind) != caller.kind:
        raise refusal(403, "the sender is another", "sourcekind", f"you are {caller.kind}; leave it out")
    if item.get("sandbox") not in (None, caller.sandbox):
        raise refusal(403, "the sender is another", "sandbox", "follows from who you are; leave it out")
    if "sustainable" in item:
        raise refusal(403, "the sender is another", "sustainable", "follows from the frameworks in force; leave it out")
    completed = {**item, "sourcekind": caller.kind.value}
    completed.pop("member", None)
    if caller.sandbox:
        completed["sandbox"] = True
    if caller.member:
        completed["member"] = caller.member
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
    return refusals.rejected(
        caller.organisation,
        received_at=datetime.now(UTC).isoformat(),
        problem=problem.body(),
        content_type=headers.get("content-type", "")[:200],
        attributes={name[:100]: value[:500] for name, value in attributes[:50]},
        original=original,
    )

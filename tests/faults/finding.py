"""Compares what is in the log and in the databases with what the oracle expects, and names every difference."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from itertools import islice
from typing import Any

import httpx
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from pymongo import MongoClient

from shared.contract.events import derived_id
from shared.log.topics import PARTITIONS, SERVICES

from .oracle import Count, Derived, Expected, quarter_of
from .poison import MARK, poison
from .region import HOSTILE_ENTERPRISE, HOSTILE_INSTITUTION, PROGRAMMES, Json, programme_events, said_of
from .watching import TOPICS, TOPICS_OF

ASKED = "feedback.requested"
COMMANDS = ("praktika.organisation.registered.v1", "praktika.scheme.published.v1")
HOSTILE = (HOSTILE_ENTERPRISE, HOSTILE_INSTITUTION)
Position = tuple[str, int, int]  # topic, partition, offset
Letter = tuple[bytes, bytes]  # the original bytes and key


class Findings:
    """What is wrong, counted and in words: lost, counted twice, certificates doubled."""

    def __init__(self) -> None:
        self.lost, self.twice, self.doubled = 0, 0, 0
        self.words: list[str] = []
        self.checked: dict[str, int] = {}  # how many of what were compared

    def lose(self, what: str, number: int = 1) -> None:
        self.lost += number
        self.words.append(f"lost: {what}")

    def repeat(self, what: str, number: int = 1) -> None:
        self.twice += number
        self.words.append(f"twice: {what}")

    def double(self, what: str) -> None:
        self.doubled += 1
        self.words.append(f"certificate: {what}")

    def differ(self, what: str, expected: Mapping[Any, int], found: Mapping[Any, int]) -> None:
        """Compare two sets of counts; what is missing is lost, what is too much is counted twice."""
        for key in sorted({*expected, *found}):
            wanted, there = expected.get(key, 0), found.get(key, 0)
            if wanted > there:
                self.lose(f"{what} {key}: {there}, not {wanted}", wanted - there)
            elif there > wanted:
                self.repeat(f"{what} {key}: {there}, not {wanted}", there - wanted)
        self.checked[what] = sum(1 for number in expected.values() if number)

    @property
    def clean(self) -> bool:
        return not self.words


@dataclass
class Logged:
    """The whole log, sorted.

    Attributes:
        said: what organisations said, as digests of the contents seen under each (source, id).
        commands: what the services said in the name of an organisation, at the set-up.
        derived: what services concluded: by id, each distinct content.
        poison: what is no event, by position.
        letters: by service and the position that they are about.
        rejected: what is on `rejected`, of which nothing is of those who are not hostile.
        hostile: what the hostile organisations said and was accepted.
        unapplied: how much of it a service then refused.
    """

    said: dict[tuple[str, str], set[bytes]] = field(default_factory=lambda: defaultdict(set))
    commands: list[Json] = field(default_factory=list)
    derived: dict[str, dict[bytes, Json]] = field(default_factory=lambda: defaultdict(dict))
    poison: dict[Position, ConsumerRecord[bytes, bytes]] = field(default_factory=dict)
    letters: dict[str, dict[Position, set[Letter]]] = field(default_factory=lambda: defaultdict(dict))
    rejected: int = 0
    hostile: int = 0
    unapplied: int = 0
    records: int = 0
    repeats: int = 0  # of derived events, byte for byte
    repeated_letters: int = 0

    def take(self, record: "ConsumerRecord[bytes, bytes]") -> None:
        topic = record.topic.removeprefix("praktika.")
        self.records += 1
        if topic == "rejected":
            self.rejected += json.loads(record.value or b"")["organisation"] not in HOSTILE
        elif topic.startswith("dead-letter."):
            self._take_letter(topic.removeprefix("dead-letter."), record)
        elif record.key is None or record.key.startswith(MARK):
            self.poison[topic, record.partition, record.offset] = record
        else:
            self._take_event(record.value or b"")

    def _take_letter(self, service: str, record: "ConsumerRecord[bytes, bytes]") -> None:
        if _is_hostile(record.value or b""):
            self.unapplied += 1  # let in while the registry lagged, and found no room: the order of the log decides
            return
        headers = dict(record.headers)
        about = json.loads(headers["praktika-dead-letter"])
        position = about["topic"].removeprefix("praktika."), about["partition"], about["offset"]
        known = self.letters[service].setdefault(position, set())
        self.repeated_letters += bool(known)
        known.add((record.value or b"", headers["original-key"]))

    def _take_event(self, value: bytes) -> None:
        event = json.loads(value)
        if event["source"].rpartition("/")[2] in HOSTILE:
            self.hostile += 1
        elif event["type"] == "praktika.event.refused.v1" and event["data"]["organisation"] in HOSTILE:
            self.unapplied += 1
        elif event["source"].startswith("/services/"):
            self.repeats += value in self.derived[event["id"]]
            self.derived[event["id"]][value] = event
        elif event["type"] in COMMANDS:
            self.commands.append(event)
        else:
            self.said[event["source"], event["id"]].add(gist(event))


def _is_hostile(value: bytes) -> bool:
    with suppress(ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return json.loads(value)["source"].rpartition("/")[2] in HOSTILE
    return False


def gist(event: Json) -> bytes:
    """A digest of what an event says; the services write out times and empty lists in their own way."""
    time = datetime.fromisoformat(event["time"]).astimezone(UTC).isoformat()
    data = {name: value for name, value in event["data"].items() if value not in ([], {})}
    content = [event["type"], event["subject"], event["partitionkey"], time, data]
    return blake2b(json.dumps(content, sort_keys=True).encode(), digest_size=10).digest()


async def read_log(kafka: str) -> Logged:
    """Read every topic from its beginning to its end."""
    names = [*TOPICS, "refusal", "rejected", *(f"dead-letter.{service}" for service in SERVICES)]
    parts = [TopicPartition(f"praktika.{name}", number) for name in names for number in range(PARTITIONS.get(name, 3))]
    logged = Logged()
    async with AIOKafkaConsumer(bootstrap_servers=kafka, auto_offset_reset="earliest") as consumer:
        consumer.assign(parts)
        ends = await consumer.end_offsets(parts)
        unread = {tp for tp, end in ends.items() if end}
        while unread:
            for tp, records in (await consumer.getmany(timeout_ms=500)).items():
                for record in records:
                    logged.take(record)
                if await consumer.position(tp) >= ends[tp]:
                    unread.discard(tp)
    return logged


def expect(seed: int, learners: int, logged: Logged) -> Expected:
    """All that must be true after so many learners' stories. (When schemes were published, the log tells.)"""
    schemes_at = {c["subject"]: datetime.fromisoformat(c["time"]) for c in logged.commands if "scheme" in c["type"]}
    events = [event for contents in logged.derived.values() for event in contents.values()]
    expected = Expected(schemes_at, {event["id"]: event["data"]["due"] for event in events if "due" in event["data"]})
    expected.add(programme_events())
    expected.add(command for command in logged.commands if "scheme" not in command["type"])
    for number in range(learners):
        expected.add(said_of(seed, number))
    return expected


def compare(found: Findings, expected: Expected, logged: Logged, mongodb: str, load: tuple[int, int, int]) -> None:
    """Compare everything. *load*: the seed, how many learners' stories and how much poison were sent."""
    seed, learners, poisoned = load
    if logged.rejected:
        found.lose(f"{logged.rejected} records in `rejected`", logged.rejected)
    compare_said(found, logged, seed, learners)
    compare_derived(found, expected, logged)
    compare_recommendations(found, expected, logged)
    compare_letters(found, logged, seed, poisoned)
    with MongoClient[Json](mongodb) as client:
        for service, counted in (("monitoring", expected.counters), ("feedback", expected.of_feedback)):
            found.differ(f"{service}'s counters", with_totals(counted), counters(client, service))
        compare_certificates(found, expected, client)
        compare_market(found, expected, client["praktika_feedback"])
        for service, (collection, topic, has) in STATES:
            compare_states(found, expected, client[f"praktika_{service}"][collection], (service, topic, has))


def nonzero(counts: Mapping[Count, int]) -> dict[Count, int]:
    return {key: number for key, number in counts.items() if number}


def with_totals(counts: Mapping[Count, int]) -> dict[Count, int]:
    """The counts, and those of each kind over all ids."""
    sums = Counter(dict(counts))
    for (kind, _, period, measure), number in counts.items():
        sums[f"{kind}/total", "", period, measure] += number
    return nonzero(sums)


def counters(client: "MongoClient[Json]", service: str) -> dict[Count, int]:
    """A service's counters, summed over partitions, without the activities that hostile organisations claim."""
    sums: Counter[Count] = Counter()
    for doc in client[f"praktika_{service}"]["_counters"].find():
        for measure, number in doc.get("m", {}).items():
            if doc["id"] in HOSTILE and measure == "activities_held":
                sums[f"{doc['kind']}/total", "", doc["period"], measure] -= number
            else:
                sums[doc["kind"], doc["id"], doc["period"], measure] += number
    return nonzero(sums)


def compare_said(found: Findings, logged: Logged, seed: int, learners: int) -> None:
    """Everything that was accepted is in the log, as it was sent, and nothing else is."""
    unsaid = set(logged.said)
    for events in (programme_events(), *(said_of(seed, number) for number in range(learners))):
        for event in events:
            key = event["source"], event["id"]
            unsaid.discard(key)
            if gist(event) not in logged.said.get(key, ()):
                found.lose(f"{key} was accepted and is not in the log")
            elif len(logged.said[key]) > 1:
                found.repeat(f"{key} is in the log with {len(logged.said[key])} contents")
    for key in unsaid:
        found.repeat(f"{key} is in the log and nobody said it")
    found.checked["events in the log"] = len(logged.said)
    found.checked["records in the log"] = logged.records
    found.checked["events of hostile organisations in the log"] = logged.hostile
    found.checked["refusals of them by a service"] = logged.unapplied


def compare_derived(found: Findings, expected: Expected, logged: Logged) -> None:
    """Each event that must follow is there, with one content, the one that follows; and no other is there."""
    seen = {id: contents for id, contents in logged.derived.items() if not is_recommendation(contents)}
    wanted = {**expected.derived, **erasures(expected, seen)}
    for id, derived in wanted.items():
        if derived.must and id not in seen:
            found.lose(f"{derived.type} {derived.subject} did not follow")
    for id, contents in seen.items():
        said = next(iter(contents.values()))
        wrong = found.double if is_of(contents, "competency.certified") else found.repeat
        if id not in wanted:
            wrong(f"{said['type']} {id} should not be")
        elif len(contents) > 1:
            wrong(f"{said['type']} {id} has {len(contents)} contents")
        elif not says(said, wanted[id]):
            wrong(f"{said['type']} {id} says {said}, not {wanted[id]}")
    found.checked["derived events"] = len(seen)
    found.checked["repeats of derived events"] = logged.repeats


def erasures(expected: Expected, seen: Mapping[str, Mapping[bytes, Json]]) -> dict[str, Derived]:
    """Every request about an erased learner is erased."""
    wanted = {}
    for contents in seen.values():
        asked = next(iter(contents.values()))
        if asked["type"] == "praktika.feedback.requested.v1" and asked["data"]["learner"] in expected.erased:
            id, request = derived_id("feedback.erased", asked["subject"]), asked["subject"]
            at = datetime.fromisoformat(asked["time"])
            wanted[id] = Derived(must=True, type="feedback.erased", subject=request, key=request, at=at, data={})
    return wanted


def says(event: Json, derived: Derived) -> bool:
    # Which institution passes an answer on is known if the enrolment came first.
    data = {name: value for name, value in event["data"].items() if name != "institution" or derived.type != ASKED}
    told = event["type"], event["subject"], event["partitionkey"], datetime.fromisoformat(event["time"]), data
    return told == (f"praktika.{derived.type}.v1", derived.subject, derived.key, derived.at, derived.data)


def is_of(contents: Mapping[bytes, Json], type_: str) -> bool:
    return all(type_ in event["type"] for event in contents.values())


def is_recommendation(contents: Mapping[bytes, Json]) -> bool:
    return any(is_of(contents, type_) for type_ in ("revision_recommended", "gap_found", "demand_lapsed"))


BY_RATINGS, BY_WISHES = ("programme.revision_recommended",), ("programme.gap_found", "wishes")
BY_DEMAND, LAPSED = ("programme.gap_found", "demand"), ("programme.demand_lapsed",)


def must_be_recommended(expected: Expected) -> dict[str, tuple[str, ...]]:
    """The revisions that must be recommended, by the event's id: programme, competency, quarter."""
    must = {derived_id(*BY_RATINGS, *gap): gap for gap in expected.gaps()}
    must |= {derived_id(*BY_WISHES, *gap): gap for gap in expected.wishes()}
    return must | {derived_id(*BY_DEMAND, *of, quarter()): (*of, quarter()) for of in expected.unmet()}


def may_be_recommended(expected: Expected) -> set[str]:
    """The ids of what may have been recommended in between, by what was known then."""
    may = {derived_id(*BY_RATINGS, *gap) for gap, rated in expected.rated.items() if rated >= 5}
    may |= {derived_id(*BY_WISHES, *gap) for gap, some in expected.rated_low.items() if len(some) >= 3}
    # Demand is told of the quarter in which it is noticed: the run may have begun in another.
    return may | {
        derived_id(*by, one.id, one.competency, window)
        for one in PROGRAMMES
        for by in (BY_DEMAND, LAPSED)
        for window in (quarter(), quarter(days_ago=1))
    }


def quarter(days_ago: int = 0) -> str:
    return quarter_of((datetime.now(UTC) - timedelta(days=days_ago)).strftime("%Y-%m"))


def compare_recommendations(found: Findings, expected: Expected, logged: Logged) -> None:
    """A revision is recommended when it was noticed that it must be: the oracle knows that, and not when.

    Decided twice (a crash between publishing and writing) it may name two moments; the first one counts.
    """
    must, may = must_be_recommended(expected), may_be_recommended(expected)
    seen = {id: contents for id, contents in logged.derived.items() if is_recommendation(contents)}
    for id in must.keys() - seen.keys():
        found.lose(f"a recommendation for {must[id]} did not follow")
    for id, contents in seen.items():
        if id not in must.keys() | may:
            found.repeat(f"the recommendation {id} should not be")
        moments = (datetime.fromisoformat(said["time"]).astimezone(UTC) for said in contents.values())
        expected.add_recommendation(next(iter(contents.values()))["subject"], min(moments))
    found.checked["recommended revisions"] = len(seen)


def compare_letters(found: Findings, logged: Logged, seed: int, poisoned: int) -> None:
    """Each poison is in the dead letters of each service that reads its topic, with its bytes; nothing else is."""
    there = {(p[0], p[1], record.key, record.value) for p, record in logged.poison.items()}
    for number in range(poisoned):
        one = poison(seed, number)
        if (one.topic, one.partition, one.key, one.value) not in there:
            found.lose(f"poison {number} ({one.kind}) is not in the log")
    for service, topics in TOPICS_OF.items():
        letters = dict(logged.letters[service])
        for position, record in logged.poison.items():
            wanted = (record.value or b"", record.key or b"")
            if position[0] in topics and letters.pop(position, set()) != {wanted}:
                found.lose(f"{service} has no dead letter (or another) for the poison at {position}")
        for position in letters:
            found.lose(f"{service} has a dead letter of {position}, which is no poison")
    found.checked["poison records"] = len(logged.poison)
    found.checked["repeats of dead letters"] = logged.repeated_letters


def compare_certificates(found: Findings, expected: Expected, client: "MongoClient[Json]") -> None:
    """Certification shows exactly the expected certificates, each once, as they should be."""
    wanted = expected.certificates
    seen: Counter[str] = Counter()
    for doc in client["praktika_certification"]["learners"].find({"certificates.0": {"$exists": True}}):
        for shown in doc["certificates"]:
            seen[shown["id"]] += 1
            derived = wanted.get(shown["id"])
            if derived is None:
                found.double(f"{shown['id']} of {doc['_id']} should not be")
                continue
            fields = ("competency", "level", "scheme", "institution")
            evidence = [e["assessment"] for e in shown["evidence"]]
            is_so = all(shown[f] == derived.data[f] for f in fields) and evidence == derived.data["evidence"]
            if not is_so or (doc["_id"], shown["status"]) != (derived.key, "valid"):
                found.double(f"{shown['id']} is {shown}, not {derived}")
    for id in wanted:
        if not seen[id]:
            found.lose(f"certificate {id} of {wanted[id].key}")
        if seen[id] > 1:
            found.double(f"{id} is there {seen[id]} times")
    found.checked["certificates"] = len(wanted)


def compare_market(found: Findings, expected: Expected, feedback: Any) -> None:
    """Feedback knows the open vacancies as they were observed last, and what each skill was mapped to last."""
    there = ((doc["_id"], doc["region"], doc["skills"]) for doc in feedback["vacancies"].find({"open": True}))
    offered = ((id, offer.get("region"), offer["skills"]) for id, offer in expected.offered.items())
    found.differ("open vacancies", Counter(map(str, offered)), Counter(map(str, there)))
    decided = ((one.subject, one.data.get("competency")) for one in expected.mappings.values())
    known = ((doc["_id"], doc["competency"]) for doc in feedback["skills"].find({"status": {"$exists": True}}))
    found.differ("mapped skills", Counter(map(str, decided)), Counter(map(str, known)))


def compare_demand(found: Findings, expected: Expected, feedback: str) -> None:
    """Feedback shows so many open vacancies per competency and region."""
    listed = httpx.get(f"{feedback}/market/demand", timeout=60, trust_env=False).raise_for_status().json()["items"]
    shown = {str((row["competency"], row["region"])): row["vacancies"] for row in listed if row["vacancies"]}
    found.differ("demands", {str(of): number for of, number in expected.demanded().items()}, shown)


# Where a service keeps what was said, by service: collection, topic, and which types it keeps (all: an empty text).
STATES = (
    ("partners", ("learners", "learner", ("",))),
    ("partners", ("requests", "feedback", ("",))),
    ("feedback", ("learners", "learner", ("learner.enrolled", "internship."))),
    ("feedback", ("requests", "feedback", ("feedback.submitted",))),
    ("certification", ("learners", "learner", ("learner.enrolled", "assessment."))),
    ("monitoring", ("learners", "learner", ("",))),
    ("monitoring", ("requests", "feedback", ("",))),
)


def compare_states(
    found: Findings, expected: Expected, collection: Any, kept: tuple[str, str, tuple[str, ...]]
) -> None:
    """Each service knows of each learner and each request what counts of all that was said."""
    service, topic, types = kept
    wanted = ((key, ids) for (of, key), ids in expected.facts.items() if of == topic)
    compared = 0
    for chunk in chunks(wanted, 500):
        docs = {doc["_id"]: doc for doc in collection.find({"_id": {"$in": list(chunk)}}, {"state": 1})}
        for key, ids in chunk.items():
            known = docs[key]["state"]["facts"] if key in docs else {}
            for (type_, about), id in ids.items():
                if not type_.startswith(types):
                    continue
                compared += 1
                fact = known.get(type_, {}).get(about)
                if fact is None or fact["id"] != id:
                    found.lose(f"{service} does not know {type_} {about} of {key} as {id}")
    if topic == "learner":
        known = collection.count_documents({"_id": {"$in": sorted(expected.erased)}, "state.erased": {"$exists": True}})
        if known != len(expected.erased):
            found.lose(f"{service} has erased {known} of {len(expected.erased)} learners")
    found.checked[f"facts in {service}"] = found.checked.get(f"facts in {service}", 0) + compared


def chunks(pairs: Iterable[tuple[str, Any]], size: int) -> Iterator[dict[str, Any]]:
    iterator = iter(pairs)
    while chunk := dict(islice(iterator, size)):
        yield chunk

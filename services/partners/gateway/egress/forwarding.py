"""What concerns an organisation goes on to its own topic, `egress.<organisation>`; an offset there is a feed's cursor.

Decide, publish, and only then move on: a crash repeats some events, under the same ids. Where this stands, and whom a
learner has concerned so far (for the learner's erasure), is kept in the service's home; lost, it is made anew from the
log. On the way, what was refused is listed for those who sent it.
"""

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from prometheus_client import Counter as Metric
from prometheus_client import Gauge
from pydantic_core import to_json

from services.partners.network import regions
from shared.contract import events
from shared.contract.events import SANDBOX, TOPICS, ContractError, Data, Event, LearnerErased
from shared.http.service import Service
from shared.log.consumer import ConsumerRecord, raw_consumer
from shared.log.producer import Record
from shared.log.topics import EGRESS_KEPT_MS, ensure_egress, topic_name, topic_of
from shared.observability import logs
from shared.processing import mongo
from shared.processing.batches import BREATH
from shared.processing.refusals import REJECTED

from .audience import Known, audience_of, learner_of, programme_of
from .rejection_records import rejection_in, resubmission_in

EGRESS = "egress"  # by partition: the next offset
AUDIENCES = "told"  # by learner: the organisations that events about the learner concerned
REJECTIONS = "rejections"
READS = (*TOPICS, SANDBOX, REJECTED)
AT_ONCE = 1_000
FETCH_BYTES = 128 * 1024
UPDATED_AT_ONCE = 100  # a rejection may have 50 KB, a command 16 MB
KNOWN_WITHIN_S = 60
LARGEST = 900_000  # bytes of an event; Kafka takes 1 MB with all that belongs to it
KEPT = timedelta(milliseconds=EGRESS_KEPT_MS)

READ = Metric("praktika_egress_read_total", "Records of which was decided whom they concern.")
SENT = Metric("praktika_egress_sent_total", "Events put on an organisation's egress topic.")
PASSED = Metric("praktika_egress_passed_over_total", "Records that are no event, or too large to be sent on.")
LAG = Gauge("praktika_egress_lag_events", "Published, but not yet decided whom it concerns.")
log = logs.get(__name__)


async def forward(service: Service) -> None:
    """Read all that is published and send it on, for as long as nothing goes wrong."""
    home = service.store.home
    await home[REJECTIONS].create_index([("organisation", 1), ("offset", -1)])
    await home[REJECTIONS].create_index("at", expireAfterSeconds=int(KEPT.total_seconds()))
    # Little of each partition at once: what names many others is sent many times, and the rest waits for it.
    consumer = raw_consumer(service.settings, "partners-egress", max_partition_fetch_bytes=FETCH_BYTES)
    with_topic = set[str]()
    placed = _Placed()
    try:
        names = [topic_name(service.settings.namespace, topic) for topic in READS]
        consumer.subscribe(topics=names, listener=placed)
        await consumer.start()
        while True:
            parts = await consumer.getmany(timeout_ms=1_000, max_records=AT_ONCE)
            for tp in await placed.place(consumer, home):
                parts.pop(tp, None)  # from wherever the group would have begun
            await _take([record for part in parts.values() for record in part], service, with_topic)
    finally:
        await consumer.stop()


def label(topic: str, partition: int) -> str:
    """How a partition is named in the database: without the namespace."""
    return f"{topic.partition('.')[2]}-{partition}"


class _Placed(ConsumerRebalanceListener):
    """The partitions that are where the home says that we stand; what it does not know is read from its beginning."""

    def __init__(self) -> None:
        self._placed = set[TopicPartition]()

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        self._placed.clear()

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        self._placed.clear()

    async def place(self, consumer: AIOKafkaConsumer, home: mongo.Database) -> set[TopicPartition]:
        """Go to where the home says with the partitions that are new to us; which these are."""
        new: set[TopicPartition] = consumer.assignment() - self._placed
        stands = await positions(home) if new else {}
        for tp in new & consumer.assignment():  # it may have changed meanwhile
            consumer.seek(tp, stands.get(label(tp.topic, tp.partition), 0))
            self._placed.add(tp)
        return new


async def positions(home: mongo.Database) -> dict[str, int]:
    """The next offset of each partition, by label."""
    return {doc["_id"]: doc["next"] async for doc in home[EGRESS].find()}


async def _take(records: Sequence[ConsumerRecord], service: Service, with_topic: set[str]) -> None:
    if not records:
        return
    rejected = topic_name(service.settings.namespace, REJECTED)
    decoded = await _decode([record for record in records if record.topic != rejected])
    await _list([record for record in records if record.topic == rejected], service.store.home)
    await _until_known([record for record, _ in decoded], service)
    await _send(decoded, service, with_topic)
    ends: dict[str, int] = {}
    for record in records:
        at = label(record.topic, record.partition)
        ends[at] = max(ends.get(at, 0), record.offset + 1)
    await _update(service.store.home, EGRESS, {at: {"$max": {"next": end}} for at, end in ends.items()})
    READ.inc(len(records))


async def _decode(records: Sequence[ConsumerRecord]) -> list[tuple[ConsumerRecord, Event[Data]]]:
    decoded = []
    for number, record in enumerate(records):
        if number % BREATH == 0:
            await asyncio.sleep(0)  # who sends an event meanwhile is not kept waiting
        if event := event_in(record):
            decoded.append((record, event))
    return decoded


def event_in(record: ConsumerRecord) -> Event[Data] | None:
    """What is no event the services' own consumers report."""
    try:
        if len(record.value or b"") <= LARGEST:
            event = events.parse(record.value or b"", tolerant=True)
            if record.topic.endswith(f".{event.topic}"):
                return event
    except ContractError:
        pass
    PASSED.inc()
    log.warning("passed_over", position=f"{record.topic}-{record.partition}-{record.offset}")
    return None


async def _until_known(records: Iterable[ConsumerRecord], service: Service) -> None:
    """Wait until the registry has taken in these, and what else they are judged by: nobody misses anything by its lag.

    Raises:
        TimeoutError: it does not get so far; all begins anew.
    """
    wanted: dict[str, int] = {}
    judged_by = {"organisation"}
    for record in records:
        topic = record.topic.partition(".")[2]
        if topic in service.core.topics:
            at = label(record.topic, record.partition)
            wanted[at] = max(wanted.get(at, 0), record.offset + 1)
        else:
            judged_by |= {"learner", "programme"}
    for topic in judged_by:
        for partition, end in (await service.log.ends(topic)).items():
            if end:
                wanted[f"{topic}-{partition}"] = max(wanted.get(f"{topic}-{partition}", 0), end)
    async with asyncio.timeout(KNOWN_WITHIN_S):
        while not await service.reached(wanted):
            await asyncio.sleep(0.02)


Decoded = Sequence[tuple[ConsumerRecord, Event[Data]]]


async def _send(decoded: Decoded, service: Service, with_topic: set[str]) -> None:
    home, events = service.store.home, [event for _, event in decoded]
    known, erased = await read_known(events, service)
    audiences = _Audiences(
        {doc["_id"]: doc async for doc in home[AUDIENCES].find({"_id": {"$in": _learners(events)}})}, erased
    )
    whom = [audiences.note(event, audience_of(event, known)) for event in events]
    registered = await service.by_id("organisations", set().union(*whom), {"name": 1})
    await _update(home, AUDIENCES, audiences.added())
    made = {organisation for organisation, entry in registered.items() if "name" in entry and _fits(organisation)}
    if made - with_topic:
        await ensure_egress(service.settings, sorted(made - with_topic))
        with_topic |= made
    oldest_ms = time.time() * 1000 - EGRESS_KEPT_MS
    sent = [
        Record(topic_of("egress", organisation), event.partitionkey, record.value or b"", _headers(record))
        for (record, event), organisations in zip(decoded, whom, strict=True)
        for organisation in sorted(organisations & made)
        if record.timestamp > oldest_ms and (isinstance(event.data, LearnerErased) or not _is_of(erased, event))
    ]
    await service.producer.publish(sent, timeout_s=60)
    await _update(home, AUDIENCES, audiences.erased())
    SENT.inc(len(sent))


def _is_of(learners: set[str], event: Event[Data]) -> bool:
    return not event.sandbox and learner_of(event) in learners


def _fits(organisation: str) -> bool:
    """Can the organisation have a topic? Of an id that is too long for one, nothing can be sent on."""
    try:
        return bool(topic_of("egress", organisation))
    except ValueError:
        return False


def _headers(record: ConsumerRecord) -> list[tuple[str, bytes]]:
    return [(name, content or b"") for name, content in record.headers]


def _learners(events: Iterable[Event[Data]]) -> list[str]:
    return sorted({event.partitionkey for event in events if event.topic == "learner"})


async def read_known(events: Iterable[Event[Data]], service: Service) -> tuple[Known, set[str]]:
    """What the registry shows of what these events are about, and which of their learners are erased."""
    events = [event for event in events if not event.sandbox]
    learners = await service.by_id(
        "learners",
        set(filter(None, map(learner_of, events))),
        {"institutions": 1, "readers": 1, "annulled": 1, "state.erased": 1},
    )
    agreements = await service.by_id(
        "agreements", {event.subject for event in events if event.data.topic == "agreement"}, {"parties": 1}
    )
    programmes = await service.by_id(
        "programmes", set(filter(None, map(programme_of, events))), {"institution": 1, "joint_partners": 1}
    )
    activities = await service.by_id(
        "activities",
        {event.subject for event in events if event.data.topic == "activity"},
        {"organiser": 1, "annulled": 1},
    )
    erased = {id for id, doc in learners.items() if "erased" in doc.get("state", {})}
    of_regions = await regions.institutions(service, events)
    return Known(learners, agreements, programmes, activities, of_regions), erased


class _Audiences:
    """Whom each learner concerned, by what was said so far: all of these are sent the erasure, and then forgotten."""

    def __init__(self, docs: Mapping[str, Mapping[str, Any]], forgotten: set[str]) -> None:
        self._forgotten = forgotten  # learners whose erasure has taken effect
        self._before = {id: set(doc.get("organisations", ())) for id, doc in docs.items()}
        self._now = {id: set(organisations) for id, organisations in self._before.items()}
        self._gone = {id for id, doc in docs.items() if "erased" in doc}
        self._erased: set[str] = set()

    def note(self, event: Event[Data], whom: set[str]) -> set[str]:
        """Whom *event* is for."""
        learner = event.partitionkey
        if event.topic != "learner":
            return whom
        if isinstance(event.data, LearnerErased) and learner in self._forgotten:
            whom = whom | self._now.pop(learner, set())
            self._erased.add(learner)
        elif learner not in self._gone | self._erased:
            self._now.setdefault(learner, set()).update(whom)
        return whom

    def added(self) -> dict[str, Any]:
        """What is to be kept before anything is sent."""
        new = {id: organisations - self._before.get(id, set()) for id, organisations in self._now.items()}
        return {id: {"$addToSet": {"organisations": {"$each": sorted(n)}}} for id, n in new.items() if n}

    def erased(self) -> dict[str, Any]:
        """What is to be kept once all is sent: that there is nothing more to keep."""
        return {id: {"$set": {"erased": True}, "$unset": {"organisations": ""}} for id in self._erased}


async def _update(home: mongo.Database, collection: str, changes: Mapping[str, Mapping[str, Any]]) -> None:
    updates = [{"q": {"_id": id}, "u": change, "upsert": True} for id, change in changes.items()]
    for start in range(0, len(updates), UPDATED_AT_ONCE):
        part = updates[start : start + UPDATED_AT_ONCE]
        reply = await home.command({"update": collection, "updates": part, "ordered": False})
        if reply.get("writeErrors"):
            raise mongo.DatabaseError(f"{collection} was not updated: {reply['writeErrors'][0]['code']}")


async def _list(records: Iterable[ConsumerRecord], home: mongo.Database) -> None:
    """List what was refused, without what was sent: that is at its position in the log."""
    changes: dict[str, dict[str, Any]] = {}
    for record in records:
        if rejection := rejection_in(record):
            position, at = rejection.pop("position"), datetime.fromtimestamp(record.timestamp / 1000, UTC)
            about = {name: value for name, value in rejection.items() if name not in ("organisation", "original")}
            fields = {"organisation": str(rejection["organisation"]), "offset": record.offset, "at": at}
            fields["about"] = to_json(about).decode()
            fields["row"] = "row" in about
        elif resubmission := resubmission_in(record):
            position = resubmission["resubmitted"]
            fields = {"resubmitted": {name: resubmission[name] for name in ("received_at", "id", "event")}}
        else:
            PASSED.inc()
            continue
        changes.setdefault(position, {"$set": {}})["$set"] |= fields
    await _update(home, REJECTIONS, changes)


async def observe_lag(service: Service) -> None:
    """Keep the metric of how far behind all the processes of partners are together."""
    stands, lag = await positions(service.store.home), 0
    for topic in READS:
        for partition, end in (await service.log.ends(topic)).items():
            lag += max(0, end - stands.get(f"{topic}-{partition}", 0))
    LAG.set(lag)

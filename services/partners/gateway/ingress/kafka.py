"""The ingress over Kafka: what organisations write to their own topics, each accepted onto its topic or refused.

Who may write to a topic is up to Kafka; whose topic it is says who speaks. Records are let go once what became of them
is on Kafka, so a crash repeats a few, and a repeated event changes nothing.
"""

import asyncio
import random
import re
import time
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from aiokafka.structs import OffsetAndMetadata
from prometheus_client import Gauge

from services.partners.gateway.credentials import refuse_suspended
from services.partners.gateway.quotas import quotas_of
from services.partners.network.registry import View
from shared.contract.events import Data, Event, Publisher
from shared.http.auth import Caller
from shared.http.problems import Problem
from shared.http.service import Service
from shared.log.batch_limits import INFLATED_BYTES, VALUE_BYTES, unreadable
from shared.log.consumer import ConsumerRecord, raw_consumer
from shared.log.producer import Record, record_of
from shared.log.topics import organisation_of, topic_name
from shared.observability import logs
from shared.processing.runner import reason

from .deduplication import RecentEvents
from .http import BYTES
from .http_binding import refusal
from .kafka_binding import PREFIX, decoded_record
from .validation import ACCEPTED, TRANSIENT, count_refused, rejection, validated

MOST_RECORDS = 500  # judged at once
FOUND_WITHIN_MS = 5_000  # a new organisation's topic
STRANGER = Publisher.enterprise  # for whom the registry does not know; nothing of it is accepted
NOTHING = TopicPartition("", 0)  # a partition that nobody has
INGRESS = "ingress_over_kafka"
OUT_S = 30
MEMBER = Gauge("praktika_ingress_member", "Is this process in the group that reads the organisations' topics?")
LAG = Gauge("praktika_ingress_lag_events", "Records of organisations' topics that wait, of our partitions.")
log = logs.get(__name__)

Judged = list[Event[Data] | Problem]


async def ingress_over_kafka(service: Service) -> None:
    """Let in what organisations write, until cancelled."""
    settings = service.settings
    INFLATED_BYTES.set(settings.batch_max_bytes)
    VALUE_BYTES.set(settings.event_max_bytes + 1)
    consumer = raw_consumer(settings, "partners-ingress", metadata_max_age_ms=FOUND_WITHIN_MS)
    consumer.subscribe(pattern=rf"^{re.escape(topic_name(settings.namespace, 'ingress.'))}.")
    try:
        await consumer.start()
        await KafkaIngress(service, consumer).keep()
    finally:
        await consumer.stop()


class KafkaIngress:
    """What this process lets in, and what it remembers of those who come."""

    def __init__(self, service: Service, consumer: AIOKafkaConsumer) -> None:
        self._service, self._consumer = service, consumer
        self._recent = RecentEvents()
        self._quotas = quotas_of(service)
        self._member_at = time.monotonic()
        self._taken: dict[TopicPartition, int] = {}  # the next offset

    async def keep(self) -> None:
        while True:
            parts = self._consumer.assignment()
            # Who has sent more than its quota waits, and with it nobody else.
            overdrawn = {tp for tp in parts if self._quotas.wait_s(self._organisation(tp.topic))}
            self._consumer.pause(*overdrawn - self._consumer.paused())
            self._consumer.resume(*self._consumer.paused() - overdrawn)
            # Kafka is always asked, if for nothing: who does not ask for 5 minutes is put out of the group.
            found = await self._consumer.getmany(
                *(parts - overdrawn or {NOTHING}),
                timeout_ms=100 if overdrawn else 1_000,
                max_records=MOST_RECORDS,
            )
            if found:
                await self._take(found)
            self._observe(parts & self._consumer.assignment())

    def _observe(self, parts: Collection[TopicPartition]) -> None:
        """Keep what readiness and alerts go by: are we in the group, and how much waits?"""
        coordinator: Any = self._consumer._coordinator
        is_member = coordinator.generation > 0
        self._member_at = time.monotonic() if is_member else self._member_at
        MEMBER.set(is_member)
        LAG.set(sum(max(0, (self._consumer.highwater(tp) or 0) - self._taken.get(tp, 0)) for tp in parts))
        self._service.troubles.pop(INGRESS, None)
        if time.monotonic() - self._member_at > OUT_S:
            self._service.troubles[INGRESS] = f"the ingress over Kafka has had no place in its group for {OUT_S} s"

    def _organisation(self, topic: str) -> str:
        return organisation_of(topic.partition(".")[2])

    async def _take(self, found: Mapping[TopicPartition, Sequence[ConsumerRecord]]) -> None:
        """Let in or refuse what was found, until Kafka has all of it; then let it go."""
        for part in _parts(chain.from_iterable(found.values()), self._service.settings.batch_max_bytes):
            await self._take_part(part)
        self._taken |= {tp: records[-1].offset + 1 for tp, records in found.items()}
        try:
            offsets = {tp: OffsetAndMetadata(records[-1].offset + 1, "") for tp, records in found.items()}
            await self._consumer.commit(offsets)
        except KafkaError as error:  # the partitions are another's now, or Kafka is away: they come again
            log.info("offsets_not_committed", reason=repr(error))

    async def _take_part(self, part: Sequence[ConsumerRecord]) -> None:
        """Let in or refuse these, as often as it takes."""
        by_sender: dict[str, list[ConsumerRecord]] = defaultdict(list)
        for record in part:
            by_sender[self._organisation(record.topic)].append(record)
        failures = 0
        while True:
            try:
                await self._let_in(by_sender)
                break
            except (*TRANSIENT, Problem) as error:
                if isinstance(error, Problem) and error.status < 500:
                    raise
                if not failures:
                    log.warning("trouble", during="ingress_over_kafka", reason=f"waiting: {reason(error)}")
            failures += 1
            await asyncio.sleep(random.uniform(0.1, min(5.0, 0.2 * 2 ** min(failures, 10))))  # noqa: S311
        if failures:
            log.info("recovered", during="ingress_over_kafka")
        for sender, records in by_sender.items():
            size = sum(len(record.value or b"") for record in records)
            self._quotas.charge(sender, len(records), size)
            BYTES.inc(size)

    async def _let_in(self, by_sender: Mapping[str, Sequence[ConsumerRecord]]) -> None:
        outcomes = await asyncio.gather(*(self._judge(*item) for item in by_sender.items()))
        await self._service.publish_records([*chain.from_iterable(outcome[1] for outcome in outcomes)])
        for caller, records, digests, statuses in outcomes:
            self._recent.note(caller.source, digests)
            for topic, number in Counter(record.topic for record in records if record.topic != "rejected").items():
                ACCEPTED.labels(topic).inc(number)
            for status in statuses:
                count_refused(status)

    async def _judge(
        self, organisation: str, records: Sequence[ConsumerRecord]
    ) -> tuple[Caller, list[Record], dict[str, str], list[int]]:
        """What is published of an organisation's records, the accepted events' digests, and the refusals' statuses."""
        caller, checked = Caller(organisation, STRANGER), [*map(self._decoded, records)]
        digests: dict[str, str] = {}
        try:
            caller = await self._caller(organisation)
            positions = [number for number, item in enumerate(checked) if not isinstance(item, Problem)]
            verdicts, digests = await self._verdicts([checked[number] for number in positions], caller)
            for number, verdict in zip(positions, verdicts, strict=True):
                checked[number] = verdict
        except Problem as problem:
            if problem.status >= 500:
                raise
            checked = [item if isinstance(item, Problem) else problem for item in checked]
        published = [
            rejection(caller, _headers(record), record.value, item) if isinstance(item, Problem) else record_of(item)
            for record, item in zip(records, checked, strict=True)
        ]
        return caller, published, digests, [item.status for item in checked if isinstance(item, Problem)]

    def _decoded(self, record: ConsumerRecord) -> Any:
        if cause := unreadable(record):
            position = f"partition {record.partition}, from offset {record.offset}"
            return refusal(400, "records cannot be read", "record", f"{position}, to the end of its batch: {cause}")
        try:
            return decoded_record(record, self._service.settings.event_max_bytes)
        except Problem as problem:
            return problem

    async def _caller(self, organisation: str) -> Caller:
        """Who an organisation is, if it may speak.

        Raises:
            Problem: it may not, or who it is cannot be told yet (503).
        """
        entry = await self._entry(organisation)
        if "kind" not in entry:
            await self._service.current("organisation", organisation)
            entry = await self._entry(organisation)
        if "kind" not in entry:
            raise refusal(403, "the sender is unknown", "source", f"{organisation} is not registered")
        caller = Caller(organisation, Publisher(entry["kind"]), bool(entry.get("sandbox")))
        return await refuse_suspended(self._service, caller)

    async def _entry(self, organisation: str) -> View:
        found = await self._service.by_id("organisations", [organisation], {"kind": 1, "sandbox": 1})
        return found.get(organisation, {})

    async def _verdicts(self, items: list[Any], caller: Caller) -> tuple[Judged, dict[str, str]]:
        """As `validated`, but what it stumbles over (a defect of ours) is refused and stops nobody else."""
        try:
            return await validated(items, self._service, caller, self._recent)
        except (*TRANSIENT, Problem):
            raise
        except Exception:
            if len(items) == 1:
                log.exception("defect", organisation=caller.organisation)
                return [Problem(500, "this is a defect of ours; it has been logged")], {}
        verdicts: Judged = []
        digests: dict[str, str] = {}
        for item in items:
            verdict, accepted = await self._verdicts([item], caller)
            verdicts += verdict
            digests |= accepted
        return verdicts, digests


def _parts(records: Iterable[ConsumerRecord], most: int) -> Iterator[list[ConsumerRecord]]:
    """Records in order, in parts of about *most* bytes: parsed, they take several times as much."""
    part: list[ConsumerRecord] = []
    size = 0
    for record in records:
        part.append(record)
        size += len(record.value or b"")
        if size >= most:
            yield part
            part, size = [], 0
    if part:
        yield part


def _headers(record: ConsumerRecord) -> dict[str, str]:
    """A record's headers by HTTP's names, as far as they say something of an event."""
    return {
        name.replace(PREFIX, "ce-", 1): (value or b"").decode(errors="replace")
        for name, value in record.headers
        if name.startswith(PREFIX) or name == "content-type"
    }

"""The log as it is, for the operator's commands: reads whole topics, and writes records byte for byte."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, NamedTuple

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment
from aiokafka.errors import (
    GroupCoordinatorNotAvailableError,
    GroupLoadInProgressError,
    KafkaError,
    MessageSizeTooLargeError,
    NotCoordinatorForGroupError,
)
from aiokafka.structs import RecordMetadata

from shared.log.consumer import ConsumerRecord
from shared.log.producer import NotPublished
from shared.log.topics import connection, topic_name
from shared.settings import Settings

SILENT_S = 30  # a broker that gives nothing for so long, though there is something, does not answer


class Span(NamedTuple):
    """A stretch of a partition: from the first offset up to, and without, the last."""

    first: int
    end: int


Spans = dict[TopicPartition, Span]


class Behind(NamedTuple):
    """How much a group has not processed yet, by what it has committed.

    Attributes:
        number: of records.
        oldest: of each partition with some, the first: (topic without the namespace, partition, offset).
    """

    number: int
    oldest: list[tuple[str, int, int]]


@asynccontextmanager
async def reader(settings: Settings) -> AsyncIterator["Reader"]:
    """Connect a reader.

    Raises:
        NotPublished: Kafka does not answer.
    """
    consumer = AIOKafkaConsumer(
        **connection(settings),
        isolation_level="read_committed",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        fetch_max_wait_ms=50,
        max_partition_fetch_bytes=4 * 1024 * 1024,
    )
    admin = AIOKafkaAdminClient(**connection(settings))
    try:
        await consumer.start()
        await admin.start()
        yield Reader(consumer, admin, settings.namespace)
    except KafkaError as error:
        raise NotPublished(f"Kafka does not answer: {error!r}") from error
    finally:
        await admin.close()
        await consumer.stop()


class Reader:
    """Topics are named without the namespace."""

    def __init__(self, consumer: AIOKafkaConsumer, admin: AIOKafkaAdminClient, namespace: str) -> None:
        self._consumer = consumer
        self._admin = admin
        self._namespace = namespace

    async def spans(self, topics: Iterable[str]) -> Spans:
        """What these topics hold now; one that does not exist has no partitions."""
        names = [topic_name(self._namespace, topic) for topic in topics]
        described = {topic["topic"]: topic["partitions"] for topic in await self._admin.describe_topics(names)}
        numbers = {name: sorted(part["partition"] for part in described[name]) for name in names}
        parts = [TopicPartition(name, number) for name in names for number in numbers[name]]
        if not parts:
            return {}
        self._consumer.assign(parts)
        self._consumer.pause(*parts)
        first = await self._consumer.beginning_offsets(parts)
        ends = await self._consumer.end_offsets(parts)
        return {tp: Span(first[tp], ends[tp]) for tp in parts}

    async def members(self, groups: Iterable[str]) -> dict[str, int]:
        """How many consumers each group (named without the namespace) has now."""
        # One by one: aiokafka 0.14 misreads an answer about several.
        return {group: len(await self._group(f"{self._namespace}.{group}")) for group in groups}

    async def behind(self, group: str) -> Behind:
        """How much a group (named without the namespace) has not processed of what its members read, or once read."""
        name = f"{self._namespace}.{group}"
        committed = await self._admin.list_consumer_group_offsets(name)
        assigned = [ConsumerProtocolMemberAssignment.decode(member[4]).assignment for member in await self._group(name)]
        read = {TopicPartition(topic, number) for part in assigned for topic, numbers in part for number in numbers}
        ends = await self._consumer.end_offsets(sorted(read | committed.keys())) if read or committed else {}
        first = {tp: committed[tp].offset if tp in committed else 0 for tp in ends}
        late = {tp: end - first[tp] for tp, end in ends.items() if end > first[tp]}
        return Behind(sum(late.values()), [(tp.topic.partition(".")[2], tp.partition, first[tp]) for tp in late])

    async def _group(self, group: str) -> list[Any]:
        """The members of a group.

        A broker that never had a group, or has only just started, wants to be asked again.
        """
        for attempt in range(20):
            if attempt:
                await asyncio.sleep(0.5)
            try:
                (answer,) = await self._admin.describe_consumer_groups([group])
            except (GroupCoordinatorNotAvailableError, GroupLoadInProgressError, NotCoordinatorForGroupError):
                continue
            ((error, _, _, _, _, members, *_),) = answer.groups  # type: ignore[attr-defined]
            if not error:
                return list(members)
        raise NotPublished(f"Kafka does not know who coordinates {group}")

    async def since(self, spans: Spans, moment: datetime) -> Spans:
        """Of *spans* what was appended at *moment* or later."""
        wanted = {tp: int(moment.timestamp() * 1000) for tp in spans}
        found = await self._consumer.offsets_for_times(wanted) if wanted else {}
        later = {tp: max(span.first, found[tp].offset if found[tp] else span.end) for tp, span in spans.items()}
        return {tp: Span(min(later[tp], span.end), span.end) for tp, span in spans.items()}

    async def read(
        self, spans: Mapping[TopicPartition, Span], advanced: Callable[[int], None] = lambda _: None
    ) -> AsyncIterator[ConsumerRecord]:
        """Every record of *spans*, one partition after the other.

        Args:
            advanced: is told how many offsets were passed since it was told last.
        Raises:
            NotPublished: Kafka does not answer.
        """
        for tp, (first, end) in spans.items():
            if first >= end:
                continue
            self._consumer.assign([tp])
            self._consumer.seek(tp, first)
            at, last_progress = first, time.monotonic()
            while at < end:
                records = (await self._consumer.getmany(timeout_ms=500, max_records=1_000)).get(tp, [])
                for record in records:
                    if record.offset < end:
                        yield record
                next_offset = min(end, await self._consumer.position(tp))
                if next_offset > at:
                    last_progress = time.monotonic()
                elif time.monotonic() - last_progress > SILENT_S:
                    raise NotPublished(f"Kafka gave nothing of {tp.topic}-{tp.partition} for {SILENT_S} s")
                advanced(next_offset - at)
                at = next_offset


def count(spans: Mapping[TopicPartition, Span]) -> int:
    """How many offsets these are."""
    return sum(end - first for first, end in spans.values())


class Raw(NamedTuple):
    """A record exactly as it is or shall be; without a partition, the key decides."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]] = ()
    partition: int | None = None


@asynccontextmanager
async def writer(settings: Settings) -> AsyncIterator["Writer"]:
    """Connect a writer.

    Raises:
        NotPublished: Kafka does not answer.
    """
    producer = AIOKafkaProducer(
        **connection(settings),
        acks="all",
        enable_idempotence=True,
        linger_ms=5,
        max_batch_size=256 * 1024,
        max_request_size=64 * 1024 * 1024,  # before compression; the broker's limit is about after it
        request_timeout_ms=10_000,
        compression_type="zstd",
    )
    try:
        await producer.start()
        yield Writer(producer, settings.namespace)
    except KafkaError as error:
        raise NotPublished(f"Kafka does not answer: {error!r}") from error
    finally:
        await producer.stop()


class Writer:
    def __init__(self, producer: AIOKafkaProducer, namespace: str) -> None:
        self._producer = producer
        self._namespace = namespace

    async def write(self, records: Sequence[Raw]) -> list[RecordMetadata | MessageSizeTooLargeError]:
        """Append records and wait until the broker has each; one that it finds too large it says so of.

        Raises:
            NotPublished: no acknowledgement in time; the broker may or may not have taken them.
        """
        try:
            async with asyncio.timeout(30):
                futures = [await self._send(record) for record in records]
                answers = await asyncio.gather(*futures, return_exceptions=True)
        except (KafkaError, TimeoutError) as error:
            raise NotPublished(f"Kafka did not acknowledge {len(records)} records: {error!r}") from error
        written: list[RecordMetadata | MessageSizeTooLargeError] = []
        for answer in answers:
            if isinstance(answer, BaseException) and not isinstance(answer, MessageSizeTooLargeError):
                raise NotPublished(f"Kafka did not acknowledge a record: {answer!r}") from answer
            written.append(answer)
        return written

    async def _send(self, record: Raw) -> "asyncio.Future[RecordMetadata]":
        future: asyncio.Future[RecordMetadata] = await self._producer.send(
            topic_name(self._namespace, record.topic),
            record.value,
            key=b"" if record.key is record.value is None else record.key,  # the client wants one of the two
            partition=record.partition,
            headers=list(record.headers),
        )
        return future

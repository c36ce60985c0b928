"""Kafka, set once and right: topics, the producer, and the settings of every consumer."""

import asyncio
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

import aiokafka
from aiokafka import (
    AIOKafkaConsumer,
    AIOKafkaProducer,
    ConsumerRebalanceListener,
    TopicPartition,
)
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code
from aiokafka.structs import OffsetAndMetadata, RecordMetadata
from faststream.kafka import KafkaBroker
from faststream.kafka.message import KafkaMessage
from faststream.middlewares import AckPolicy

from shared import logs
from shared.events import TOPICS, Data, Event, key_of, serialise
from shared.settings import Settings

__all__ = [
    "AIOKafkaConsumer",
    "ConsumerRebalanceListener",
    "ConsumerRecord",
    "KafkaError",
    "OffsetAndMetadata",
    "Producer",
    "Record",
    "TopicPartition",
]

ConsumerRecord: TypeAlias = aiokafka.ConsumerRecord[Any, Any]

SERVICES = ("partners", "feedback", "certification", "monitoring")
STRUCTURED = "application/cloudevents+json; charset=utf-8"
# Keys are spread by murmur2 modulo this number: raising it later would break the order of a key's events.
PARTITIONS = {"learner": 12, "feedback": 6}
log = logs.get(__name__)


class Record(NamedTuple):
    """What is sent to Kafka: the topic without the namespace, a key, bytes, and headers."""

    topic: str
    key: str
    value: bytes
    headers: Sequence[tuple[str, bytes]] = ()


class NotPublished(Exception):
    """Kafka did not acknowledge in time; it may or may not have taken the records. Publish them again."""


def record_of(event: Event[Data]) -> Record:
    return Record(event.data.topic, key_of(event), serialise(event), [("content-type", STRUCTURED.encode())])


def topic_name(namespace: str, topic: str) -> str:
    return f"{namespace}.{topic}"


def dead_letter_topic(service: str) -> str:
    return f"dead-letter.{service}"


async def ensure_topics(settings: Settings) -> list[str]:
    """Create what is missing of our topics, retention endless; return the names of those created."""
    names = [*TOPICS, "rejected", *map(dead_letter_topic, SERVICES)]
    configs = {"retention.ms": "-1", "retention.bytes": "-1", "message.timestamp.type": "LogAppendTime"}
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap_servers)
    await admin.start()
    try:
        # -1: as many replicas as the cluster's default; the client wants an (empty) assignment beside it.
        topics = [
            NewTopic(topic_name(settings.namespace, name), PARTITIONS.get(name, 3), -1, {}, configs) for name in names
        ]
        response: Any = await admin.create_topics(topics)
    finally:
        await admin.close()
    created = []
    for name, code, *_ in response.topic_errors:
        error = for_code(code)
        if code == 0:
            created.append(name)
        elif error is not TopicAlreadyExistsError:
            raise error(f"topic {name} could not be created")
    return created


class Producer:
    """Publishes with acks=all and idempotence; a producer that failed is replaced by a new one."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._producer: AIOKafkaProducer | None = None
        self._starting = asyncio.Lock()
        self._ending: set[asyncio.Task[None]] = set()

    async def _started(self) -> AIOKafkaProducer:
        async with self._starting:
            if self._producer is None:
                producer = AIOKafkaProducer(
                    bootstrap_servers=self._settings.kafka_bootstrap_servers,
                    acks="all",
                    enable_idempotence=True,
                    linger_ms=2,
                    max_batch_size=256 * 1024,
                    max_request_size=1024 * 1024,
                    request_timeout_ms=10_000,
                    compression_type="lz4",
                )
                try:
                    await producer.start()
                except BaseException:
                    await producer.stop()
                    raise
                self._producer = producer
            return self._producer

    async def publish(self, records: Sequence[Record], timeout_s: float = 15) -> list[RecordMetadata]:
        """Publish all and wait until the broker has acknowledged each.

        Raises:
            NotPublished: no acknowledgement in time.
        """
        if not records:
            return []
        try:
            async with asyncio.timeout(timeout_s):
                producer = await self._started()
                futures = [await self._send(producer, record) for record in records]
                return list(await asyncio.gather(*futures))
        except (KafkaError, TimeoutError) as error:
            self._replace()
            raise NotPublished(f"Kafka did not acknowledge {len(records)} records: {error!r}") from error

    async def _send(self, producer: AIOKafkaProducer, record: Record) -> "asyncio.Future[RecordMetadata]":
        future: asyncio.Future[RecordMetadata] = await producer.send(
            topic_name(self._settings.namespace, record.topic),
            record.value,
            key=record.key.encode(),
            headers=list(record.headers),
        )
        return future

    async def ping(self) -> None:
        """Raise NotPublished unless Kafka answers."""
        try:
            async with asyncio.timeout(2):
                producer = await self._started()
                await producer.client.fetch_all_metadata()
        except (KafkaError, TimeoutError) as error:
            raise NotPublished(f"Kafka does not answer: {error!r}") from error

    def _replace(self) -> None:
        """Let a producer that failed end by itself: what it holds expires. Ending it early would leave it running."""
        producer, self._producer = self._producer, None
        if producer is not None:
            task = asyncio.create_task(producer.stop())
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)

    async def close(self, grace_s: float = 10) -> None:
        """Send what is still held, and end."""
        self._replace()
        if self._ending:
            done, late = await asyncio.wait(self._ending, timeout=grace_s)
            if late or any(task.exception() for task in done):
                log.warning("producer_not_flushed")


async def _raw(batch: tuple[ConsumerRecord, ...]) -> KafkaMessage:
    """Wrap a batch without looking at headers: a binary header must not stop the consumer."""
    return KafkaMessage(body=b"", raw_message=batch, consumer=None)  # type: ignore[arg-type]


async def _records(message: KafkaMessage) -> Any:
    return message.raw_message


async def read_record(settings: Settings, topic: str, partition: int, offset: int) -> ConsumerRecord | None:
    """The record at a position of the log, or None if there is none.

    Raises:
        NotPublished: Kafka does not answer.
    """
    tp = TopicPartition(topic_name(settings.namespace, topic), partition)
    consumer = AIOKafkaConsumer(bootstrap_servers=settings.kafka_bootstrap_servers, isolation_level="read_committed")
    try:
        async with asyncio.timeout(10):
            await consumer.start()
            consumer.assign([tp])
            if offset >= (await consumer.end_offsets([tp]))[tp]:
                return None
            consumer.seek(tp, offset)
            return await consumer.getone(tp)
    except (KafkaError, TimeoutError) as error:
        raise NotPublished(f"Kafka does not answer: {error!r}") from error
    finally:
        await consumer.stop()


class Consumer:
    """A FastStream subscriber to whole topics that hands over raw batches and never commits by itself."""

    def __init__(
        self,
        settings: Settings,
        group: str,
        topics: Sequence[str],
        handle: Any,
        listener: ConsumerRebalanceListener,
    ) -> None:
        self._broker = KafkaBroker(
            settings.kafka_bootstrap_servers,
            consumer_only=True,
            allow_auto_create_topics=False,
            graceful_timeout=20,
            apply_types=False,
            logger=None,
        )
        self._subscriber = self._broker.subscriber(
            *(topic_name(settings.namespace, topic) for topic in topics),
            group_id=f"{settings.namespace}.{group}",
            batch=True,
            batch_timeout_ms=40,
            max_records=settings.consume_max_records,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            ack_policy=AckPolicy.MANUAL,
            no_reply=True,
            parser=_raw,
            decoder=_records,
            listener=listener,
            session_timeout_ms=10_000,
            heartbeat_interval_ms=2_000,
            rebalance_timeout_ms=30_000,
            fetch_max_wait_ms=100,
            max_partition_fetch_bytes=4 * 1024 * 1024,
        )
        self._subscriber(handle)

    async def start(self) -> None:
        """Join the group.

        Raises:
            KafkaError: Kafka is not there; close and try again.
        """
        await self._broker.start()

    async def close(self) -> None:
        """Let the batch in hand end and leave the group."""
        await self._broker.stop()

    @property
    def client(self) -> AIOKafkaConsumer:
        consumer = self._subscriber.consumer
        if consumer is None:
            raise RuntimeError("the consumer is not started")
        return consumer

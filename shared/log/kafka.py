"""Kafka, set once and right: topics, the producer, and the settings of every consumer."""

import asyncio
import re
import ssl
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, Literal, NamedTuple, TypeAlias, TypeVar

import aiokafka
from aiokafka import (
    AIOKafkaConsumer,
    AIOKafkaProducer,
    ConsumerRebalanceListener,
    TopicPartition,
)
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code
from aiokafka.partitioner import murmur2
from aiokafka.structs import OffsetAndMetadata, RecordMetadata
from faststream.kafka import KafkaBroker
from faststream.kafka.message import KafkaMessage
from faststream.kafka.security import parse_security
from faststream.middlewares import AckPolicy
from faststream.security import BaseSecurity, SASLPlaintext, SASLScram512

from shared.contract.events import SANDBOX, TOPICS, Data, Event, key_of, serialise
from shared.observability import logs
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
    "raw_consumer",
]

ConsumerRecord: TypeAlias = aiokafka.ConsumerRecord[Any, Any]
Answer = TypeVar("Answer")

SERVICES = ("partners", "feedback", "certification", "monitoring")
STRUCTURED = "application/cloudevents+json; charset=utf-8"
# Keys are spread by murmur2 modulo this number: raising it later would break the order of a key's events.
PARTITIONS = {"learner": 12, "feedback": 6}
DAY_MS = 86_400_000
# Who gives no sign for so long is taken for dead, and its group waits for it until then: the least that brokers allow.
SESSION_MS = 6_000
HEARTBEAT_MS = 1_000  # so soon the others hear that somebody comes or goes
REBALANCE_MS = 30_000  # so long who lives may take to end what it has in hand
EGRESS_KEPT_MS = 90 * DAY_MS
LONGEST_TOPIC = 249 - 32  # Kafka's limit without our namespace
log = logs.get(__name__)


class Record(NamedTuple):
    """What is sent to Kafka: the topic without the namespace, a key, bytes, and headers."""

    topic: str
    key: str
    value: bytes
    headers: Sequence[tuple[str, bytes]] = ()


class NotPublished(Exception):
    """Kafka did not acknowledge in time; it may or may not have taken the records. Publish them again."""


def security(settings: Settings) -> BaseSecurity | None:
    """How our clients prove to Kafka who they are; None where it does not ask."""
    if settings.kafka_security == "PLAINTEXT":
        return None
    uses_tls = settings.kafka_security == "SASL_SSL"
    tls = ssl.create_default_context(cafile=settings.kafka_ca_file) if uses_tls else None
    of = {"PLAIN": SASLPlaintext, "SCRAM-SHA-512": SASLScram512}[settings.kafka_mechanism]
    return of(settings.kafka_user, settings.kafka_password.get_secret_value(), ssl_context=tls, use_ssl=uses_tls)


def connection(settings: Settings) -> dict[str, Any]:
    """What every client of aiokafka needs to connect."""
    return {"bootstrap_servers": settings.kafka_bootstrap_servers, **parse_security(security(settings))}


def record_of(event: Event[Data]) -> Record:
    return Record(event.topic, key_of(event), serialise(event), [("content-type", STRUCTURED.encode())])


def topic_name(namespace: str, topic: str) -> str:
    return f"{namespace}.{topic}"


def topic_of(way: Literal["ingress", "egress"], organisation: str) -> str:
    """The topic (without the namespace) by which an organisation sends or is sent events over Kafka.

    What Kafka does not allow in a name is written as `_` and its two hexadecimal digits.
    Raises:
        ValueError: the name would be longer than Kafka allows.
    """
    topic = f"{way}." + re.sub(r"[^A-Za-z0-9.-]", lambda letter: f"_{ord(letter[0]):02X}", organisation)
    if len(topic) > LONGEST_TOPIC:
        raise ValueError(f"{organisation} is too long for a topic of its own")
    return topic


@lru_cache(maxsize=10_000)
def organisation_of(topic: str) -> str:
    """Whose a topic is: the reverse of `topic_of`."""
    return re.sub(r"_([0-9A-F]{2})", lambda code: chr(int(code[1], 16)), topic.partition(".")[2])


@lru_cache(maxsize=100_000)  # the hash is pure Python, and keys come again
def partition_of(key: bytes, partitions: int) -> int:
    """The partition that a key belongs to, as Java's and aiokafka's producers choose it."""
    return int(murmur2(key) & 0x7FFFFFFF) % partitions


def dead_letter_topic(service: str) -> str:
    return f"dead-letter.{service}"


async def ensure_topics(settings: Settings) -> list[str]:
    """Create what is missing of our topics; return the names made. `rejected` and `audit` are not kept for ever."""
    names = [*TOPICS, SANDBOX, *map(dead_letter_topic, SERVICES)]
    kept = settings.rejected_kept_days * DAY_MS, settings.rejected_max_bytes
    rejected = _topic(settings, "rejected", PARTITIONS.get("rejected", 3), *kept)
    endless = [_topic(settings, name, PARTITIONS.get(name, 3), -1) for name in names]
    trail = _topic(settings, "audit", PARTITIONS.get("audit", 3), settings.trail_kept_days * DAY_MS)
    created = await _create(settings, [*endless, rejected, trail])
    await _keep(settings, [topic for topic in (rejected, trail) if topic.name not in created])
    return created


async def ensure_ingress(settings: Settings, organisation: str) -> list[str]:
    """Create the topic by which an organisation sends, unless it is there: a way in, not the log, kept for a week."""
    return await _create(settings, [_topic(settings, topic_of("ingress", organisation), 3, 7 * DAY_MS)])


async def ensure_egress(settings: Settings, organisations: Iterable[str]) -> list[str]:
    """Create what is missing of the topics of what concerns organisations; return the names of those created.

    One partition, so that an offset is a place in all that an organisation is sent.
    """
    topics = [_topic(settings, topic_of("egress", each), 1, EGRESS_KEPT_MS) for each in organisations]
    return await _create(settings, topics)


def _topic(settings: Settings, name: str, partitions: int, kept_ms: int, kept_bytes: int = -1) -> NewTopic:
    kept = {"retention.ms": str(kept_ms), "retention.bytes": str(kept_bytes)}
    configs = kept | {"message.timestamp.type": "LogAppendTime"}
    # -1: as many replicas as the cluster's default; the client wants an (empty) assignment beside it.
    return NewTopic(topic_name(settings.namespace, name), partitions, -1, {}, configs)


async def _create(settings: Settings, topics: list[NewTopic]) -> list[str]:
    admin = AIOKafkaAdminClient(**connection(settings))
    await admin.start()
    try:
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


async def _keep(settings: Settings, topics: list[NewTopic]) -> None:
    """Let topics that are there be kept for as long as the settings say now."""
    admin = AIOKafkaAdminClient(**connection(settings))
    await admin.start()
    try:
        changed = [ConfigResource(ConfigResourceType.TOPIC, topic.name, topic.topic_configs) for topic in topics]
        answers: Any = await admin.alter_configs(changed) if changed else []
    finally:
        await admin.close()
    for code, message, *_ in (resource for answer in answers for resource in answer.resources):
        if code:
            raise for_code(code)(message)


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
                    **connection(self._settings),
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


def raw_consumer(settings: Settings, group: str | None = None, **more: Any) -> AIOKafkaConsumer:
    """A consumer, not started, that is given what it reads and commits nothing by itself; *more*: of its settings."""
    return AIOKafkaConsumer(
        **connection(settings),
        group_id=f"{settings.namespace}.{group}" if group else None,
        isolation_level="read_committed",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        session_timeout_ms=SESSION_MS,
        heartbeat_interval_ms=HEARTBEAT_MS,
        rebalance_timeout_ms=REBALANCE_MS,
        fetch_max_wait_ms=500,
        retry_backoff_ms=20,
        **more,
    )


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
            security=security(settings),
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
            batch_timeout_ms=5,  # an empty fetch is slept on for as long again
            max_records=settings.consume_max_records,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            ack_policy=AckPolicy.MANUAL,
            no_reply=True,
            parser=_raw,
            decoder=_records,
            listener=listener,
            session_timeout_ms=SESSION_MS,
            heartbeat_interval_ms=HEARTBEAT_MS,
            rebalance_timeout_ms=REBALANCE_MS,
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

"""Publishing: what is sent to Kafka, and the one producer of a process."""

import asyncio
from collections.abc import Sequence
from typing import NamedTuple, TypeVar

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.structs import RecordMetadata

from shared.contract.events import Data, Event, key_of, serialise
from shared.log.topics import connection, topic_name
from shared.observability import logs
from shared.settings import Settings

log = logs.get(__name__)

Answer = TypeVar("Answer")
STRUCTURED = "application/cloudevents+json; charset=utf-8"


class Record(NamedTuple):
    """What is sent to Kafka: the topic without the namespace, a key, bytes, and headers."""

    topic: str
    key: str
    value: bytes
    headers: Sequence[tuple[str, bytes]] = ()


class NotPublished(Exception):
    """Kafka did not acknowledge in time; it may or may not have taken the records. Publish them again."""


def record_of(event: Event[Data]) -> Record:
    return Record(event.topic, key_of(event), serialise(event), [("content-type", STRUCTURED.encode())])


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

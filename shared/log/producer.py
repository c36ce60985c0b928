"""Publishing: what is sent to Kafka, and the one producer of a process."""

import asyncio
from collections.abc import Sequence
from typing import NamedTuple, TypeVar

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.producer.message_accumulator import BatchBuilder

from shared.contract.events import Data, Event, key_of, serialise
from shared.log.topics import connection, partition_of, topic_name
from shared.observability import logs
from shared.settings import Settings

log = logs.get(__name__)

Answer = TypeVar("Answer")
STRUCTURED = "application/cloudevents+json; charset=utf-8"
_STRUCTURED_HEADERS = [("content-type", STRUCTURED.encode())]


class Record(NamedTuple):
    """What is sent to Kafka: the topic without the namespace, a key, bytes, and headers."""

    topic: str
    key: str
    value: bytes
    headers: Sequence[tuple[str, bytes]] = ()


class Acknowledged(NamedTuple):
    """Where Kafka has put a record."""

    partition: int
    offset: int


class NotPublished(Exception):
    """Kafka did not acknowledge in time; it may or may not have taken the records. Publish them again."""


def record_of(event: Event[Data]) -> Record:
    return Record(event.topic, key_of(event), serialise(event), _STRUCTURED_HEADERS)


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

    async def publish(self, records: Sequence[Record], timeout_s: float = 15) -> list[Acknowledged]:
        """Publish all and wait until the broker has acknowledged each.

        Raises:
            NotPublished: no acknowledgement in time.
        """
        if not records:
            return []
        try:
            async with asyncio.timeout(timeout_s):
                producer = self._producer or await self._started()
                if len(records) == 1:  # it waits a little for what others publish, and shares a batch with that
                    return [await self._publish_one(producer, records[0])]
                return await self._publish_batches(producer, records)
        except (KafkaError, TimeoutError) as error:
            self._replace()
            raise NotPublished(f"Kafka did not acknowledge {len(records)} records: {error!r}") from error

    async def _publish_one(self, producer: AIOKafkaProducer, record: Record) -> Acknowledged:
        topic = topic_name(self._settings.namespace, record.topic)
        key, headers = record.key.encode(), list(record.headers)
        sent = await (await producer.send(topic, record.value, key=key, headers=headers))
        return Acknowledged(sent.partition, sent.offset)

    async def _publish_batches(self, producer: AIOKafkaProducer, records: Sequence[Record]) -> list[Acknowledged]:
        """Publish several as whole batches: `send` takes three times as long for each, most of it for its future."""
        partitions = {topic: await self._partitions(producer, topic) for topic in {record.topic for record in records}}
        batches: dict[tuple[str, int], list[BatchBuilder]] = {}
        places: list[tuple[int, BatchBuilder, int]] = []  # of each record: the partition, the batch, the place in it
        for record in records:
            key, headers = record.key.encode(), list(record.headers)
            partition = partition_of(key, partitions[record.topic])
            filled = batches.setdefault((record.topic, partition), [])
            if not filled or filled[-1].append(timestamp=None, key=key, value=record.value, headers=headers) is None:
                filled.append(producer.create_batch())  # the first, or the last one is full
                filled[-1].append(timestamp=None, key=key, value=record.value, headers=headers)
            places.append((partition, filled[-1], filled[-1].record_count() - 1))
        sent = await asyncio.gather(*(self._send(producer, *to, filled) for to, filled in batches.items()))
        first = {id(batch): offset for offsets in sent for batch, offset in offsets}
        return [Acknowledged(partition, first[id(batch)] + place) for partition, batch, place in places]

    async def _partitions(self, producer: AIOKafkaProducer, topic: str) -> int:
        return len(await producer.partitions_for(topic_name(self._settings.namespace, topic)))

    async def _send(
        self, producer: AIOKafkaProducer, topic: str, partition: int, batches: Sequence[BatchBuilder]
    ) -> list[tuple[BatchBuilder, int]]:
        """Send batches to a partition, in order; each with the offset of its first record."""
        name, acknowledged = topic_name(self._settings.namespace, topic), []
        for batch in batches:
            batch.close()  # else what others send would be appended to it
            acknowledged.append(await producer.send_batch(batch, name, partition=partition))
        first = [sent.offset for sent in await asyncio.gather(*acknowledged)]
        return [*zip(batches, first, strict=True)]

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

"""Looks into the log by position, for all who ask in a process: one connection, and nothing is kept between requests.

A consumer of its own for each question would leave cycles that hold what it fetched, until the collector comes by.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any, NamedTuple, TypeVar

from aiokafka import TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.cluster import ClusterMetadata
from aiokafka.errors import (
    KafkaError,
    LeaderNotAvailableError,
    NoError,
    NotLeaderForPartitionError,
    UnknownTopicOrPartitionError,
    for_code,
)
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.protocol.offset import OffsetRequest
from aiokafka.record import MemoryRecords

from shared.log.consumer import ConsumerRecord
from shared.log.producer import NotPublished
from shared.log.topics import connection, partition_of, topic_name
from shared.settings import Settings

Answer = TypeVar("Answer")
AGAIN_S, LEADER_WITHIN_S = 0.1, 3.0
EARLIEST, LATEST = -2, -1
READ_COMMITTED = 1
FETCH_BYTES = 64 * 1024  # of a partition at once, if a record is not larger
LOOK_S = 0.1  # so often is looked whether something has come, for all who wait
METADATA_AGAIN_S = 1.0  # what is not known is asked for so often at most
METADATA_AGE_S = 300.0


class Ends(NamedTuple):
    """The offsets of a partition's oldest record and of what will come next."""

    oldest: int
    end: int


class Log:
    """Of use to one event loop. Topics are named without the namespace.

    Everything raises `NotPublished` if Kafka does not answer.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._client: AIOKafkaClient | None = None
        self._starting = asyncio.Lock()
        self._cluster: ClusterMetadata | None = None
        self._asked_at = float("-inf")  # for the cluster's metadata
        self._waiting: dict[TopicPartition, dict[asyncio.Future[None], int]] = defaultdict(dict)
        self._watching: asyncio.Task[None] | None = None

    async def ends(self, topic: str, key: str | None = None) -> dict[int, int]:
        """The end offset of each partition of a topic, or of the one that holds *key*."""
        name = topic_name(self._settings.namespace, topic)

        async def ask() -> dict[int, int]:
            partitions = await self._partitions(name)
            if not partitions:
                raise UnknownTopicOrPartitionError(name)
            if key is not None:
                partitions = [partitions[partition_of(key.encode(), len(partitions))]]
            ends = await self._offsets([TopicPartition(name, partition) for partition in partitions], LATEST)
            return {tp.partition: end for tp, end in ends.items()}

        return await self._answer(ask)

    async def ends_of(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """The end offset of each of these partitions, which are named in full."""
        wanted = [*partitions]
        return await self._answer(lambda: self._offsets(wanted, LATEST))

    async def span(self, topic: str, partition: int) -> Ends | None:
        """What a partition holds; None: there is no such topic."""
        tp = TopicPartition(topic_name(self._settings.namespace, topic), partition)

        async def ask() -> Ends | None:
            if partition not in await self._partitions(tp.topic):
                return None
            oldest, end = await asyncio.gather(self._offsets([tp], EARLIEST), self._offsets([tp], LATEST))
            return Ends(oldest[tp], end[tp])

        return await self._answer(ask)

    async def record(self, topic: str, partition: int, offset: int) -> ConsumerRecord | None:
        """The record at a position, or None if there is none."""
        span = await self.span(topic, partition)
        if span is None or not span.oldest <= offset < span.end:
            return None
        found = await self.records(topic, partition, offset, most=1)
        return found[0] if found and found[0].offset == offset else None

    async def records(
        self, topic: str, partition: int, offset: int, most: int, max_bytes: int = FETCH_BYTES
    ) -> list[ConsumerRecord]:
        """Up to so many records from an offset on, as many as fit *max_bytes* but at least one if there is one."""
        tp = TopicPartition(topic_name(self._settings.namespace, topic), partition)
        found: list[ConsumerRecord] = []
        size = 0
        while True:
            before = offset
            for record in await self._answer(lambda at=offset: self._fetch(tp, at)):  # type: ignore[misc]
                size += len(record.value or b"")
                if len(found) == most or (found and size > max_bytes):
                    return found
                found.append(record)
                offset = record.offset + 1
            if offset == before:
                return found

    async def wait(self, topic: str, partition: int, offset: int, timeout_s: float) -> bool:
        """Wait until there is something at *offset*; is there? A thousand who wait cost as much as one."""
        tp = TopicPartition(topic_name(self._settings.namespace, topic), partition)
        come = asyncio.get_running_loop().create_future()
        self._waiting[tp][come] = offset
        if self._watching is None or self._watching.done():
            self._watching = asyncio.create_task(self._watch())
        try:
            async with asyncio.timeout(timeout_s):
                await come
            return True
        except TimeoutError:
            return False
        finally:
            self._waiting[tp].pop(come, None)
            if not self._waiting[tp]:
                del self._waiting[tp]

    async def _watch(self) -> None:
        """Look where the partitions end that somebody waits for, until nobody does."""
        while self._waiting:
            with suppress(NotPublished):  # who reads is told
                ends = await self._answer(self._ends_waited_for)
                for tp, end in ends.items():
                    for come, offset in self._waiting.get(tp, {}).items():
                        if end > offset and not come.done():
                            come.set_result(None)
            await asyncio.sleep(LOOK_S)

    async def _ends_waited_for(self) -> dict[TopicPartition, int]:
        known = [tp for tp in list(self._waiting) if tp.partition in await self._partitions(tp.topic)]
        return await self._offsets(known, LATEST)

    async def _fetch(self, tp: TopicPartition, offset: int) -> list[ConsumerRecord]:
        """The records of the batches at an offset; it must be one that there is, or the end."""
        wanted = [(tp.topic, [(tp.partition, offset, FETCH_BYTES)])]
        request = FetchRequest(0, 1, FETCH_BYTES, READ_COMMITTED, wanted, "")
        response = await self._send(await self._leader(tp), request)
        ((_, ((_, code, *_, content),)),) = response.topics
        self._check(code, tp)
        return list(_records_in(tp, content or b"", offset))

    async def _offsets(self, parts: Iterable[TopicPartition], moment: int) -> dict[TopicPartition, int]:
        by_node: dict[int, dict[str, list[tuple[int, int]]]] = defaultdict(lambda: defaultdict(list))
        for tp in parts:
            by_node[await self._leader(tp)][tp.topic].append((tp.partition, moment))
        found: dict[TopicPartition, int] = {}
        for node, topics in by_node.items():
            response = await self._send(node, OffsetRequest(-1, READ_COMMITTED, list(topics.items())))
            for topic, partitions in response.topics:
                for partition, code, *_, offset in partitions:
                    self._check(code, TopicPartition(topic, partition))
                    found[TopicPartition(topic, partition)] = offset
        return found

    def _check(self, code: int, tp: TopicPartition) -> None:
        error = for_code(code)
        if error is not NoError:
            if issubclass(error, NotLeaderForPartitionError | UnknownTopicOrPartitionError):
                self._cluster = None
            raise error(f"{tp.topic}-{tp.partition}")

    async def _partitions(self, name: str) -> list[int]:
        """The partitions of a topic; none: there is no such topic."""
        known = (await self._metadata()).partitions_for_topic(name)
        if known is None and time.monotonic() - self._asked_at > METADATA_AGAIN_S:
            self._cluster = None  # it may have been made meanwhile
            known = (await self._metadata()).partitions_for_topic(name)
        return sorted(known or ())

    async def _leader(self, tp: TopicPartition) -> int:
        node = (await self._metadata()).leader_for_partition(tp)
        if node in (None, -1):
            self._cluster = None
            raise NotLeaderForPartitionError(f"{tp.topic}-{tp.partition}")
        return int(node)

    async def _metadata(self) -> ClusterMetadata:
        client = await self._started()
        async with self._starting:
            if self._cluster is None or time.monotonic() - self._asked_at > METADATA_AGE_S:
                self._cluster = await client.fetch_all_metadata()
                self._asked_at = time.monotonic()
            return self._cluster

    async def _send(self, node: int, request: Any) -> Any:
        return await (await self._started()).send(node, request)

    async def _started(self) -> AIOKafkaClient:
        async with self._starting:
            if self._client is None:
                client = AIOKafkaClient(**connection(self._settings), request_timeout_ms=10_000)
                try:
                    await client.bootstrap()
                except BaseException:
                    await client.close()
                    raise
                self._client = client
            return self._client

    async def _answer(self, ask: Callable[[], Awaitable[Answer]]) -> Answer:
        """Ask, for a while again if nobody leads the partition yet, and once more if the connection was gone."""
        until = time.monotonic() + LEADER_WITHIN_S
        try:
            async with asyncio.timeout(10):
                while True:
                    try:
                        return await ask()
                    except (NotLeaderForPartitionError, LeaderNotAvailableError, UnknownTopicOrPartitionError):
                        if time.monotonic() > until:
                            raise
                    except KafkaError:
                        if time.monotonic() > until - LEADER_WITHIN_S + AGAIN_S:
                            raise
                    self._cluster = None
                    await asyncio.sleep(AGAIN_S)
        except (KafkaError, TimeoutError) as error:
            raise NotPublished(f"Kafka does not answer: {error!r}") from error

    async def close(self) -> None:
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
        async with self._starting:
            client, self._client = self._client, None
            if client is not None:
                await client.close()


def _records_in(tp: TopicPartition, content: bytes, offset: int) -> Iterator[ConsumerRecord]:
    """The records from an offset on. (Our producer makes no transactions.)"""
    batches = MemoryRecords(content)
    while batches.has_next():
        batch = batches.next_batch()
        if batch is None or batch.is_control_batch or batch.is_transactional:
            continue
        for record in batch:
            if record.offset >= offset:
                sizes = len(record.key or b""), len(record.value or b"")
                about: Any = (record.offset, record.timestamp, record.timestamp_type, record.key, record.value, None)
                made: Any = ConsumerRecord
                yield made(tp.topic, tp.partition, *about, *sizes, tuple(record.headers))

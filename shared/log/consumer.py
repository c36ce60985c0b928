"""Consuming: FastStream's subscriber for services, and plain consumers for everything else."""

from collections.abc import Sequence
from contextlib import suppress
from itertools import chain
from typing import Any, TypeAlias

import aiokafka
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener
from aiokafka.errors import KafkaError
from faststream.kafka import KafkaBroker
from faststream.kafka.message import KafkaMessage
from faststream.middlewares import AckPolicy

from shared.log.topics import connection, security, topic_name
from shared.settings import Settings

ConsumerRecord: TypeAlias = aiokafka.ConsumerRecord[Any, Any]
# Who gives no sign for so long is taken for dead, and its group waits for it until then: the least that brokers allow.
SESSION_MS = 6_000
HEARTBEAT_MS = 1_000  # so soon the others hear that somebody comes or goes
REBALANCE_MS = 30_000  # so long who lives may take to end what it has in hand
FETCH_WAIT_MS = 1_000  # so long the broker waits for records; a fetch after a seek or a rebalance waits for it, too
POLL_MS = 10_000  # so long an empty poll takes: whatever comes ends it
TOP_UP_MS = 10  # longer than a fetch takes if there is something


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
        fetch_max_wait_ms=FETCH_WAIT_MS,
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
            fetch_max_wait_ms=FETCH_WAIT_MS,
            max_partition_fetch_bytes=4 * 1024 * 1024,
        )
        self._subscriber(handle)
        # FastStream's own sleeps after each empty poll: long polls would be slept on for long, short ones never end.
        self._subscriber.get_msg = self._poll  # type: ignore[method-assign]
        self._most = settings.consume_max_records

    async def _poll(self, consumer: AIOKafkaConsumer) -> tuple[ConsumerRecord, ...]:
        """What has come, as soon as something has.

        What lay ready was fetched when the batch before was taken; so that what has come since need not wait for the
        next one, it is fetched, too.
        """
        if not (records := await self._polled(consumer, 0, self._most)):
            return tuple(await self._polled(consumer, POLL_MS, self._most))
        if len(records) < self._most:
            with suppress(KafkaError):  # it comes again at the next poll
                records += await self._polled(consumer, TOP_UP_MS, self._most - len(records))
        return tuple(records)

    @staticmethod
    async def _polled(consumer: AIOKafkaConsumer, wait_ms: int, most: int) -> list[ConsumerRecord]:
        parts = await consumer.getmany(timeout_ms=wait_ms, max_records=most)
        return [*chain(*parts.values())]

    async def start(self) -> None:
        """Join the group.

        Raises:
            KafkaError: Kafka is not there; close and try again.
        """
        await self._broker.start()
        fetcher: Any = self.client._fetcher
        # Else, once something has lain ready for 0.1 s, it fetches from the partitions of which nothing does.
        # As a rule they are empty, and while the broker waits for them (`FETCH_WAIT_MS`) nothing else is fetched.
        fetcher._prefetch_backoff = float("inf")

    async def close(self) -> None:
        """Let the batch in hand end and leave the group."""
        await self._broker.stop()

    @property
    def client(self) -> AIOKafkaConsumer:
        consumer = self._subscriber.consumer
        if consumer is None:
            raise RuntimeError("the consumer is not started")
        return consumer

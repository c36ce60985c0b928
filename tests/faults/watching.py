"""How far the services have come, seen from outside: where the log ends, and where each service stands."""

import asyncio
import time
from collections.abc import Container
from contextlib import suppress

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from shared.log.topics import PARTITIONS
from shared.processing import mongo
from shared.settings import Settings

POLL_S = 0.2
TOPICS_OF = {
    "partners": ("organisation", "agreement", "programme", "activity", "learner", "opportunity", "feedback"),
    "feedback": ("learner", "feedback", "programme", "demand", "organisation"),
    "certification": ("learner", "scheme", "organisation"),
    "monitoring": (
        *("organisation", "agreement", "programme", "activity", "learner", "feedback", "demand", "recognition"),
    ),
}
TOPICS = tuple(sorted({topic for topics in TOPICS_OF.values() for topic in topics}))
Ends = dict[tuple[str, int], int]  # by topic and partition


async def end(client: AIOKafkaConsumer | AIOKafkaProducer) -> None:
    """Stop a client of Kafka, which may hang or fail if Kafka is away."""
    stopping = asyncio.create_task(client.stop())
    stopping.add_done_callback(lambda task: task.cancelled() or task.exception())
    await asyncio.wait({stopping}, timeout=5)


class Clock:
    """Runs while nothing is away that a service needs: `with clock:` stops it, for as long as anybody does so."""

    def __init__(self) -> None:
        self._stopped = 0
        self._seconds, self._since = 0.0, time.monotonic()

    def __enter__(self) -> None:
        self._seconds, self._since = self.seconds, time.monotonic()
        self._stopped += 1

    def __exit__(self, *_: object) -> None:
        self._seconds, self._since = self.seconds, time.monotonic()
        self._stopped -= 1

    @property
    def seconds(self) -> float:
        return self._seconds + (0 if self._stopped else time.monotonic() - self._since)


class Watch:
    """Asks Kafka and MongoDB, again and again while they do not answer."""

    def __init__(self, kafka: str, mongodb: str) -> None:
        self._kafka = kafka
        self._settings = Settings(kafka_bootstrap_servers=kafka, mongodb_uri=mongodb)
        self._client = mongo.connect(self._settings)
        self._consumer: AIOKafkaConsumer | None = None
        self._asking = asyncio.Lock()
        self._stands: dict[str, dict[str, int]] = {service: {} for service in TOPICS_OF}

    async def close(self) -> None:
        self._client.close()
        await self._drop()

    async def ends(self) -> Ends:
        """Where the log ends, now or as soon as Kafka answers."""
        parts = [TopicPartition(f"praktika.{t}", p) for t in TOPICS for p in range(PARTITIONS.get(t, 3))]
        async with self._asking:
            while True:
                try:
                    async with asyncio.timeout(4):
                        if self._consumer is None:
                            self._consumer = AIOKafkaConsumer(bootstrap_servers=self._kafka)
                            await self._consumer.start()
                            self._consumer.assign(parts)
                            self._consumer.pause(*parts)
                        found = await self._consumer.end_offsets(parts)
                    return {(tp.topic.removeprefix("praktika."), tp.partition): end for tp, end in found.items()}
                except (KafkaError, TimeoutError):
                    await self._drop()
                    await asyncio.sleep(POLL_S)

    async def _drop(self) -> None:
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await end(consumer)

    async def run(self) -> None:
        """Look again and again where the services stand."""
        while True:
            for service in TOPICS_OF:
                with suppress(mongo.DatabaseError):
                    db = mongo.database(self._client, self._settings, service)
                    self._stands[service] = {label: at.next_offset for label, at in (await mongo.positions(db)).items()}
            await asyncio.sleep(POLL_S)

    def behind(self, ends: Ends) -> dict[str, int]:
        """How many records below *ends* each service has not applied, when last seen."""
        missing = {}
        for service, topics in TOPICS_OF.items():
            stands = self._stands[service]
            wanted = {f"{topic}-{partition}": end for (topic, partition), end in ends.items() if topic in topics}
            missing[service] = sum(max(0, end - stands.get(label, 0)) for label, end in wanted.items())
        return missing

    async def reach(self, ends: Ends, services: Container[str] = TOPICS_OF) -> None:
        """Wait until these services have applied everything below *ends*."""
        while sum(missing for service, missing in self.behind(ends).items() if service in services):
            await asyncio.sleep(POLL_S)

    async def settle(self, quiet_s: float = 4) -> None:
        """Wait until everything is applied and, for a while, nothing more has followed from it."""
        ends, since = await self.ends(), time.monotonic()
        while True:
            await self.reach(ends)
            now = await self.ends()
            if now != ends:
                ends, since = now, time.monotonic()
            elif time.monotonic() - since > quiet_s:
                return
            await asyncio.sleep(POLL_S)

"""One service on real servers, inside the test's event loop."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import uvicorn
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from fastapi import APIRouter, FastAPI
from httpx import ASGITransport, AsyncClient

from deploy.local.processes import free_port
from services.certification.credentials import keys as credential_keys
from shared.contract.events import Data, Event, Publisher
from shared.http.application import Work, create_app
from shared.http.auth import REQUESTS, Caller, Signer, ensure_keys
from shared.http.service import Service
from shared.log.consumer import ConsumerRecord
from shared.log.producer import Record
from shared.log.topics import PARTITIONS, connection, ensure_topics, topic_name
from shared.processing import mongo
from shared.processing.core import Core
from shared.settings import Settings
from shared.settings import settings as settings_of_process


@dataclass
class Running:
    """A running service: its HTTP side, its insides, and the log that it reads."""

    client: AsyncClient
    service: Service
    settings: Settings
    app: FastAPI

    def token(self, organisation: str, kind: str) -> dict[str, str]:
        """The header by which *organisation* proves who it is."""
        token = Signer(self.settings).token(Caller(organisation, Publisher(kind)))
        return {"Authorization": f"Bearer {token}"}

    async def publish(self, *published: Event[Data] | Record) -> None:
        """Put events, or any bytes, straight on their topics."""
        for item in published:
            await (self.service.publish_records([item]) if isinstance(item, Record) else self.service.publish(item))

    async def read(self, topic: str) -> list[ConsumerRecord]:
        """Everything on a topic (named without the namespace), in order per partition."""
        async with AIOKafkaConsumer(**connection(self.settings), auto_offset_reset="earliest") as consumer:
            parts = self._partitions(topic)
            consumer.assign(parts)
            ends = await consumer.end_offsets(parts)
            records: list[ConsumerRecord] = []
            while any([await consumer.position(tp) < end for tp, end in ends.items()]):
                records += [r for part in (await consumer.getmany(timeout_ms=200)).values() for r in part]
            return sorted(records, key=lambda r: (r.partition, r.offset))

    async def count(self, *topics: str) -> int:
        """How many records there are on these topics."""
        return sum((await self._ends(*topics)).values())

    async def applied(self, timeout_s: float = 20) -> None:
        """Wait until the service has taken in all that is on its topics now."""
        ends = await self._ends(*self.service.core.topics)
        wanted = {f"{tp.topic.partition('.')[2]}-{tp.partition}": end for tp, end in ends.items() if end}

        async def reached() -> bool:
            positions = await mongo.positions(self.service.db)
            return all(label in positions and positions[label].next_offset >= end for label, end in wanted.items())

        await until(reached, timeout_s)

    async def _ends(self, *topics: str) -> dict[TopicPartition, int]:
        async with AIOKafkaConsumer(**connection(self.settings)) as consumer:
            parts = [tp for topic in topics for tp in self._partitions(topic)]
            consumer.assign(parts)
            return await consumer.end_offsets(parts)

    def _partitions(self, topic: str) -> list[TopicPartition]:
        name = topic_name(self.settings.namespace, topic)
        return [TopicPartition(name, partition) for partition in range(PARTITIONS.get(topic, 3))]


async def until(condition: Callable[[], Awaitable[Any]], timeout_s: float = 60) -> Any:
    """Ask until *condition* gives something true, and return that; `TimeoutError` when it does not in time."""
    pause_s = 0.02
    async with asyncio.timeout(timeout_s):
        while not (result := await condition()):
            await asyncio.sleep(pause_s)
            pause_s = min(0.2, 1.2 * pause_s)  # what takes long is not asked for fifty times a second
        return result


def make_keys(settings: Settings) -> None:
    """The keys of a stack; that of requests is our process's, in which the rules run."""
    settings.keys_dir.mkdir(parents=True, exist_ok=True)
    shutil.copy(settings_of_process().keys_dir / REQUESTS, settings.keys_dir)
    ensure_keys(settings)
    credential_keys.ensure(settings)


@asynccontextmanager
async def running(
    core: Core,
    router: APIRouter,
    *,
    kafka: str,
    mongodb: str,
    keys_dir: Path,
    work: Sequence[Work] = (),
    serving: Sequence[Work] = (),
    **settings: Any,
) -> AsyncIterator[Running]:
    """Run a service in a namespace of its own (or that given); its topics and database end with the block."""
    given = {"namespace": f"t{uuid4().hex[:12]}", "tick_s": 0.25, "log_level": "WARNING", "free_ids": True}
    settings = given | settings
    own = Settings(kafka_bootstrap_servers=kafka, mongodb_uri=mongodb, keys_dir=keys_dir, **settings)
    make_keys(own)
    created = await ensure_topics(own)
    client = mongo.connect(own)
    try:
        await mongo.ensure_indexes(mongo.database(client, own, core.name), core.indexes, core.generation)
        app = create_app(core, router, own, work=work, serving=serving)
        async with (
            app.router.lifespan_context(app),
            AsyncClient(transport=ASGITransport(app), base_url="http://praktika.test", timeout=60) as http,
        ):
            yield Running(http, app.state.service, own, app)
    finally:
        await client.drop_database(mongo.database(client, own, core.name).name)
        client.close()
        if created:
            await delete_topics(own)


async def delete_topics(settings: Settings) -> None:
    """Delete all topics of a namespace."""
    admin = AIOKafkaAdminClient(**connection(settings))
    await admin.start()
    try:
        prefix = topic_name(settings.namespace, "")
        await admin.delete_topics([topic for topic in await admin.list_topics() if topic.startswith(prefix)])
    finally:
        await admin.close()


@asynccontextmanager
async def on_a_socket(stack: Running) -> AsyncIterator[str]:
    """The service's address, for programs that are no part of the test's process."""
    transport = stack.client._transport
    assert isinstance(transport, ASGITransport)
    port = free_port()
    config = uvicorn.Config(transport.app, port=port, lifespan="off", log_config=None, timeout_graceful_shutdown=10)
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())

    async def started() -> bool:
        return server.started

    try:
        await until(started)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await serving

"""Praktika's write module (`shared/processing/batches.py`) under other frameworks: what the framework itself costs.

The module keeps its place in MongoDB, in the transaction of each batch; the frameworks commit their offsets after
it.
"""

import asyncio
import os
from collections.abc import Sequence
from typing import NamedTuple

from services.monitoring.app import core
from shared.log.producer import Producer
from shared.log.topics import PARTITIONS
from shared.processing import mongo
from shared.processing.batches import Batches
from shared.settings import Settings

TOPIC = os.environ.get("BENCH_TOPIC", "")
BATCH = int(os.environ.get("BENCH_BATCH", "5000"))


class Raw(NamedTuple):
    """A record as the module wants it."""

    topic: str
    partition: int
    offset: int
    key: bytes
    value: bytes
    timestamp: int
    headers: Sequence[tuple[str, bytes]] = ()


def batches() -> Batches:
    """The module as the product makes it."""
    settings = Settings()
    db = mongo.connect(settings)[os.environ["BENCH_DATABASE"]]
    publish = Producer(settings).publish
    return Batches(
        core, mongo.Store(db), publish, settings.namespace, lambda _: PARTITIONS["learner"], settings.keep_states_bytes
    )


async def locate(module: Batches) -> None:
    """Begin where the database stands, with all partitions: each system runs alone."""
    await module.load_positions(module.partition_label(TOPIC, partition) for partition in range(PARTITIONS["learner"]))


class Blocking:
    """The module for frameworks that are not asynchronous, on an event loop of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._module = batches()
        self._loop.run_until_complete(locate(self._module))

    def write(self, records: Sequence[Raw]) -> None:
        self._loop.run_until_complete(self._write(records))

    async def _write(self, records: Sequence[Raw]) -> None:
        await self._module.process(records)  # type: ignore[arg-type]
        await self._module.flush()

"""Ceiling: MongoDB gets the very commands of the product, with no Kafka, no decoding and no folding beside them.

First the whole topic goes through the write module onto a store that only remembers; then what was to be loaded and
written is asked of the real store (`Store.load`, `Store.write`: encoding and driver included), the next load beside
the write.
"""

import asyncio
import gc
import os
from collections.abc import Iterable
from typing import NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition

from benchmarks.peers import tune
from benchmarks.peers.same_module import BATCH, TOPIC, batches, locate
from shared.log.topics import PARTITIONS
from shared.processing import mongo
from shared.processing.facts import State
from shared.processing.mongo import Key, Store, WriteSet
from shared.settings import Settings


class Prepared(NamedTuple):
    loaded: list[Key]
    written: WriteSet


class Remembering(Store):
    """Holds the states in memory, and notes what would go to MongoDB."""

    def __init__(self, real: Store) -> None:
        super().__init__(real.db)
        self.prepared: list[Prepared] = []
        self._states: dict[Key, State] = {}
        self._loaded: list[Key] = []

    async def load(self, keys: Iterable[Key]) -> dict[Key, State]:
        self._loaded = list(keys)
        return {key: self._states[key] for key in self._loaded if key in self._states}

    async def write(self, batch: WriteSet) -> None:
        self._states.update({key: state for key, (_, state, _) in batch.states.items()})
        self.prepared.append(Prepared(self._loaded, batch))


async def prepare(store: Remembering) -> None:
    module = batches()
    module._store = store
    await locate(module)
    async with AIOKafkaConsumer(
        bootstrap_servers=os.environ["KAFKA_BOOTSTRAP_SERVERS"], max_partition_fetch_bytes=4 * 1024 * 1024
    ) as consumer:
        places = [TopicPartition(TOPIC, partition) for partition in range(PARTITIONS["learner"])]
        consumer.assign(places)
        await consumer.seek_to_beginning(*places)
        ends = await consumer.end_offsets(places)
        while any([await consumer.position(place) < end for place, end in ends.items()]):
            found = await consumer.getmany(timeout_ms=100, max_records=BATCH)
            if found:
                await module.process([record for part in found.values() for record in part])
                await module.flush()


async def main() -> None:
    store = Store(mongo.connect(Settings())[os.environ["BENCH_DATABASE"]])
    remembering = Remembering(store)
    await prepare(remembering)
    gc.collect()
    gc.freeze()
    writing = None
    for loaded, written in remembering.prepared:
        await store.load(loaded)
        if writing:
            await writing
        writing = asyncio.create_task(store.write(written))
    await writing
    await asyncio.sleep(3600)  # until the harness has seen it


if __name__ == "__main__":
    tune()
    asyncio.run(main())

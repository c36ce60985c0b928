"""The write module under a bare aiokafka loop: what a framework can lose nothing against."""

import asyncio
import contextlib
import os
import signal

from aiokafka import AIOKafkaConsumer
from aiokafka.structs import TopicPartition

from benchmarks.peers import tune
from benchmarks.peers.same_module import BATCH, TOPIC, batches, locate
from shared.log.topics import PARTITIONS


async def main() -> None:
    module = batches()
    await locate(module)
    consumer = AIOKafkaConsumer(
        TOPIC,
        bootstrap_servers=os.environ["KAFKA_BOOTSTRAP_SERVERS"],
        group_id=os.environ["BENCH_GROUP"],
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        max_partition_fetch_bytes=4 * 1024 * 1024,
        fetch_max_wait_ms=100,
    )
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, asyncio.current_task().cancel)
    places = {module.partition_label(TOPIC, p): TopicPartition(TOPIC, p) for p in range(PARTITIONS["learner"])}
    async with consumer:
        while True:
            found = await consumer.getmany(timeout_ms=10, max_records=BATCH)
            records = [record for part in found.values() for record in part]
            if records:
                await module.process(records)
            else:
                await module.flush()
            assigned = consumer.assignment()
            applied = {places[label]: end for label, end in module.applied.items() if end and places[label] in assigned}
            if applied and (records or found):
                await consumer.commit(applied)


if __name__ == "__main__":
    tune()
    with contextlib.suppress(asyncio.CancelledError):
        asyncio.run(main())

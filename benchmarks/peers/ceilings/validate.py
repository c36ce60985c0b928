"""Ceiling: consume and validate each record as the product does, and nothing else."""

import asyncio
import contextlib
import os
import signal

from aiokafka import AIOKafkaConsumer

from benchmarks.peers import tune
from shared.processing.batches import decode_record


async def main() -> None:
    consumer = AIOKafkaConsumer(
        os.environ["BENCH_TOPIC"],
        bootstrap_servers=os.environ["KAFKA_BOOTSTRAP_SERVERS"],
        group_id=os.environ["BENCH_GROUP"],
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        max_partition_fetch_bytes=4 * 1024 * 1024,
        fetch_max_wait_ms=100,
    )
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, asyncio.current_task().cancel)
    async with consumer:
        while True:
            found = await consumer.getmany(timeout_ms=10, max_records=int(os.environ["BENCH_BATCH"]))
            for part in found.values():
                for record in part:
                    decode_record(record, "learner", 12)
            if found:
                await consumer.commit()


if __name__ == "__main__":
    tune()
    with contextlib.suppress(asyncio.CancelledError):
        asyncio.run(main())

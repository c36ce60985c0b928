"""The textbook consumer: every event in a transaction of its own, its offset committed after it."""

import asyncio
import contextlib
import os
import signal

from aiokafka import AIOKafkaConsumer
from motor.motor_asyncio import AsyncIOMotorClient, AsyncIOMotorClientSession
from pymongo import UpdateOne
from pymongo.errors import DuplicateKeyError
from pymongo.write_concern import WriteConcern

from benchmarks.peers import learners, tune

client = AsyncIOMotorClient(os.environ["MONGODB_URI"], w="majority")
db = client[os.environ["BENCH_DATABASE"]]


async def write(event: learners.Event) -> None:
    async def transaction(session: AsyncIOMotorClientSession) -> None:
        await db["seen"].insert_one({"_id": event.id}, session=session)
        learner = await db["learners"].find_one({"_id": event.partitionkey}, session=session)
        (changed,), counters = learners.fold({event.partitionkey: learner} if learner else {}, [event])
        await db["learners"].replace_one({"_id": changed["_id"]}, changed, upsert=True, session=session)
        added = [
            UpdateOne(
                {"_id": counter["_id"]},
                {
                    "$inc": counter["add"],
                    "$setOnInsert": {"programme": counter["programme"], "month": counter["month"]},
                },
                upsert=True,
            )
            for counter in counters
        ]
        if added:
            await db["counters"].bulk_write(added, session=session)

    async with await client.start_session() as session:
        with contextlib.suppress(DuplicateKeyError):  # it has been counted
            await session.with_transaction(transaction, write_concern=WriteConcern("majority"))


async def main() -> None:
    consumer = AIOKafkaConsumer(
        os.environ["BENCH_TOPIC"],
        bootstrap_servers=os.environ["KAFKA_BOOTSTRAP_SERVERS"],
        group_id=os.environ["BENCH_GROUP"],
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        fetch_max_wait_ms=100,
    )
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, asyncio.current_task().cancel)
    async with consumer:
        async for record in consumer:
            await write(learners.parse(record.value))
            await consumer.commit()


if __name__ == "__main__":
    tune()
    with contextlib.suppress(asyncio.CancelledError):
        asyncio.run(main())

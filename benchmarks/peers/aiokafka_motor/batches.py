"""aiokafka and motor as a careful user has them: batches, bulk writes, seen ids, one transaction a batch."""

import asyncio
import contextlib
import os
import signal

from aiokafka import AIOKafkaConsumer, ConsumerRecord
from motor.motor_asyncio import AsyncIOMotorClient, AsyncIOMotorClientSession
from pymongo import InsertOne, ReplaceOne, UpdateOne
from pymongo.write_concern import WriteConcern

from benchmarks.peers import learners, tune

BATCH = int(os.environ["BENCH_BATCH"])
client = AsyncIOMotorClient(os.environ["MONGODB_URI"], w="majority")
db = client[os.environ["BENCH_DATABASE"]]


async def write(events: list[learners.Event]) -> None:
    """All that a batch changes, or nothing of it."""

    async def transaction(session: AsyncIOMotorClientSession) -> None:
        ids = list({event.id for event in events})
        seen = {doc["_id"] async for doc in db["seen"].find({"_id": {"$in": ids}}, session=session)}
        fresh = {event.id: event for event in events if event.id not in seen}
        if not fresh:
            return
        ids = list({event.partitionkey for event in fresh.values()})
        known = {doc["_id"]: doc async for doc in db["learners"].find({"_id": {"$in": ids}}, session=session)}
        changed, counters = learners.fold(known, fresh.values())
        replaced = [ReplaceOne({"_id": learner["_id"]}, learner, upsert=True) for learner in changed]
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
        await db["seen"].bulk_write([InsertOne({"_id": id}) for id in fresh], ordered=False, session=session)
        await db["learners"].bulk_write(replaced, ordered=False, session=session)
        if added:
            await db["counters"].bulk_write(added, ordered=False, session=session)

    async with await client.start_session() as session:
        await session.with_transaction(transaction, write_concern=WriteConcern("majority"))


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
            found = await consumer.getmany(timeout_ms=100, max_records=BATCH)
            records: list[ConsumerRecord] = [record for part in found.values() for record in part]
            if records:
                await write([learners.parse(record.value) for record in records])
                await consumer.commit()


if __name__ == "__main__":
    tune()
    with contextlib.suppress(asyncio.CancelledError):
        asyncio.run(main())

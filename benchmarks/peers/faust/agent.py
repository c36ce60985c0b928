"""faust-streaming with an agent that takes batches and writes each in one transaction; offsets follow."""

import os

import faust
from motor.motor_asyncio import AsyncIOMotorClient, AsyncIOMotorClientSession
from pymongo import ReplaceOne, UpdateOne
from pymongo.write_concern import WriteConcern

from benchmarks.peers import learners, tune

app = faust.App(
    os.environ["BENCH_GROUP"],
    broker=f"kafka://{os.environ['KAFKA_BOOTSTRAP_SERVERS']}",
    store="memory://",
    topic_disable_leader=True,
    topic_allow_declare=False,
    topic_partitions=12,
    consumer_auto_offset_reset="earliest",
    broker_commit_interval=0.2,
    broker_max_poll_records=int(os.environ["BENCH_BATCH"]),
    stream_buffer_maxsize=2 * int(os.environ["BENCH_BATCH"]),
    stream_wait_empty=False,
    web_enabled=False,
    datadir=os.environ["BENCH_STATE"],
)
topic = app.topic(os.environ["BENCH_TOPIC"], value_serializer="raw", key_serializer="raw")
client = AsyncIOMotorClient(os.environ["MONGODB_URI"], w="majority")
db = client[os.environ["BENCH_DATABASE"]]


@app.agent(topic)
async def count(stream: faust.Stream[bytes]) -> None:
    async for values in stream.take(int(os.environ["BENCH_BATCH"]), within=0.2):
        await write([learners.parse(value) for value in values])


async def write(events: list[learners.Event]) -> None:
    """All that a batch changes, or nothing of it; a repeated event changes no learner, so no counter."""

    async def transaction(session: AsyncIOMotorClientSession) -> None:
        ids = list({event.partitionkey for event in events})
        known = {doc["_id"]: doc async for doc in db["learners"].find({"_id": {"$in": ids}}, session=session)}
        changed, counters = learners.fold(known, events)
        replaced = [ReplaceOne({"_id": learner["_id"]}, learner, upsert=True) for learner in changed]
        await db["learners"].bulk_write(replaced, ordered=False, session=session)
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
            await db["counters"].bulk_write(added, ordered=False, session=session)

    async with await client.start_session() as session:
        await session.with_transaction(transaction, write_concern=WriteConcern("majority"))


if __name__ == "__main__":
    tune()
    app.main()

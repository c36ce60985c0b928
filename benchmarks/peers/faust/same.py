"""The write module under faust-streaming: an agent that takes batches; offsets follow what is acknowledged."""

import os

import faust

from benchmarks.peers import tune
from benchmarks.peers.same_module import BATCH, TOPIC, Raw, batches, locate

app = faust.App(
    os.environ["BENCH_GROUP"],
    broker=f"kafka://{os.environ['KAFKA_BOOTSTRAP_SERVERS']}",
    store="memory://",
    topic_disable_leader=True,
    topic_allow_declare=False,
    topic_partitions=12,
    consumer_auto_offset_reset="earliest",
    broker_commit_interval=0.2,
    broker_max_poll_records=BATCH,
    stream_buffer_maxsize=2 * BATCH,
    stream_wait_empty=False,
    web_enabled=False,
    datadir=os.environ["BENCH_STATE"],
)
topic = app.topic(TOPIC, value_serializer="raw", key_serializer="raw")


@app.agent(topic)
async def count(stream: faust.Stream[bytes]) -> None:
    module = batches()
    await locate(module)
    async for events in stream.take_events(BATCH, within=0.2):
        records = [
            Raw(m.topic, m.partition, m.offset, m.key, m.value, int(m.timestamp * 1000))
            for m in (event.message for event in events)
        ]
        records.sort(key=lambda record: (record.partition, record.offset))
        await module.process(records)
        await module.flush()


if __name__ == "__main__":
    tune()
    app.main()

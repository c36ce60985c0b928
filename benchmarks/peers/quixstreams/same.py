"""The write module under Quix Streams: a sink that collects what comes between two checkpoints."""

import os
from typing import Any

from quixstreams import Application
from quixstreams.sinks import BaseSink

from benchmarks.peers import tune
from benchmarks.peers.same_module import BATCH, TOPIC, Blocking, Raw


class Sink(BaseSink):
    def __init__(self) -> None:
        super().__init__()
        self._module = Blocking()
        self._batch: list[Raw] = []

    def add(  # noqa: PLR0913, PLR0917
        self, value: bytes, key: bytes, timestamp: int, headers: Any, topic: str, partition: int, offset: int
    ) -> None:
        self._batch.append(Raw(topic, partition, offset, key, value, timestamp))

    def flush(self) -> None:
        batch, self._batch = self._batch, []
        if batch:
            self._module.write(batch)

    def on_paused(self) -> None:
        self._batch = []


def main() -> None:
    application = Application(
        broker_address=os.environ["KAFKA_BOOTSTRAP_SERVERS"],
        consumer_group=os.environ["BENCH_GROUP"],
        auto_offset_reset="earliest",
        auto_create_topics=False,
        use_changelog_topics=False,
        commit_every=BATCH,
        commit_interval=0.5,
        consumer_extra_config={"fetch.wait.max.ms": 100, "max.partition.fetch.bytes": 4 * 1024 * 1024},
        loglevel="WARNING",
    )
    topic = application.topic(TOPIC, key_deserializer="bytes", value_deserializer="bytes")
    application.dataframe(topic).sink(Sink())
    application.run()


if __name__ == "__main__":
    tune()
    main()

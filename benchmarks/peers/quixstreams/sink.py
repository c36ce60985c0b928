"""Quix Streams with a custom sink: collects what comes between two checkpoints, and writes it in one transaction.

`BatchingSink` would write each partition by itself, twelve small transactions in place of one; so this is a
`BaseSink`. Quix commits the offsets after `flush` has returned.
"""

import os

from quixstreams import Application
from quixstreams.sinks import BaseSink

from benchmarks.peers import learners, tune
from benchmarks.peers.sink import Database


class Sink(BaseSink):
    def __init__(self) -> None:
        super().__init__()
        self._database = Database()
        self._batch: list[learners.Event] = []

    def add(self, value: bytes, **_: object) -> None:
        self._batch.append(learners.parse(value))

    def flush(self) -> None:
        batch, self._batch = self._batch, []
        if batch:
            self._database.write(batch)

    def on_paused(self) -> None:
        self._batch = []


def main() -> None:
    application = Application(
        broker_address=os.environ["KAFKA_BOOTSTRAP_SERVERS"],
        consumer_group=os.environ["BENCH_GROUP"],
        auto_offset_reset="earliest",
        auto_create_topics=False,
        use_changelog_topics=False,
        commit_every=int(os.environ["BENCH_BATCH"]),
        commit_interval=float(os.environ.get("QUIX_COMMIT_S", "0.5")),
        consumer_extra_config={"fetch.wait.max.ms": 100, "max.partition.fetch.bytes": 4 * 1024 * 1024},
        loglevel="WARNING",
    )
    topic = application.topic(os.environ["BENCH_TOPIC"], key_deserializer="bytes", value_deserializer="bytes")
    application.dataframe(topic).sink(Sink())
    application.run()


if __name__ == "__main__":
    tune()
    main()

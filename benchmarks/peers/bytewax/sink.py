"""Bytewax with a custom sink: one batch of the dataflow is one transaction.

Bytewax keeps its place in recovery files of its own and redelivers from there, at most a second's worth, after a
crash; the state decides, so nothing counts twice. That others see how far it is, the sink commits the offsets to
Kafka, too.
"""

import os
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

from bytewax import operators as op
from bytewax.connectors.kafka import KafkaSource, KafkaSourceMessage
from bytewax.dataflow import Dataflow
from bytewax.outputs import DynamicSink, StatelessSinkPartition
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.run import cli_main
from confluent_kafka import Consumer, TopicPartition

from benchmarks.peers import learners, tune
from benchmarks.peers.sink import Database

SERVERS, GROUP = os.environ["KAFKA_BOOTSTRAP_SERVERS"], os.environ["BENCH_GROUP"]
Message = KafkaSourceMessage[bytes, bytes]


class Partition(StatelessSinkPartition[Message]):
    def __init__(self) -> None:
        self._database = Database()
        self._offsets = Consumer({"bootstrap.servers": SERVERS, "group.id": GROUP, "enable.auto.commit": False})

    def write_batch(self, messages: Iterable[Message]) -> None:
        messages = list(messages)
        self._database.write([learners.parse(message.value) for message in messages])
        ends = {(m.topic, m.partition): m.offset + 1 for m in messages}
        self._offsets.commit(offsets=[TopicPartition(*place, end) for place, end in ends.items()], asynchronous=True)


class Sink(DynamicSink[Message]):
    def build(self, step_id: str, worker_index: int, worker_count: int) -> Partition:
        return Partition()


def main() -> None:
    folder = Path(os.environ["BENCH_STATE"])
    if not folder.exists():
        folder.mkdir(parents=True)
        init_db_dir(folder, 1)
    config = {"fetch.wait.max.ms": "100", "isolation.level": "read_committed"}
    flow = Dataflow("learners")
    source = KafkaSource(
        [SERVERS], [os.environ["BENCH_TOPIC"]], add_config=config, batch_size=int(os.environ["BENCH_BATCH"])
    )
    op.output("mongodb", op.input("kafka", flow, source), Sink())
    cli_main(flow, recovery_config=RecoveryConfig(folder), epoch_interval=timedelta(seconds=1))


if __name__ == "__main__":
    tune()
    main()

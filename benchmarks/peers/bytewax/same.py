"""The write module under Bytewax: one batch of the dataflow is one batch of the module."""

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

from benchmarks.peers import tune
from benchmarks.peers.same_module import BATCH, TOPIC, Blocking, Raw

Message = KafkaSourceMessage[bytes, bytes]


class Partition(StatelessSinkPartition[Message]):
    def __init__(self) -> None:
        self._module = Blocking()

    def write_batch(self, messages: Iterable[Message]) -> None:
        self._module.write([Raw(m.topic, m.partition, m.offset, m.key, m.value, m.timestamp[1]) for m in messages])


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
    source = KafkaSource([os.environ["KAFKA_BOOTSTRAP_SERVERS"]], [TOPIC], add_config=config, batch_size=BATCH)
    op.output("mongodb", op.input("kafka", flow, source), Sink())
    cli_main(flow, recovery_config=RecoveryConfig(folder), epoch_interval=timedelta(seconds=1))


if __name__ == "__main__":
    tune()
    main()

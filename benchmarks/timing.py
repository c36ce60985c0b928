"""One run of one system: start it on a full topic, watch how it gets on, check what it counted.

An event counts as done when MongoDB has acknowledged its write with a majority. That is seen from outside, so none
has to report about itself: the peers commit their offsets right after the write, and our module keeps its place in
MongoDB, in the transaction of the write (Praktika commits offsets, too, but up to a second later, because nothing
depends on them).
"""

import asyncio
import os
import re
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from aiokafka.errors import KafkaError

from benchmarks.environment import BENCH, RUNNING, Environment, Position
from benchmarks.job import Count, Counts, wrong
from deploy.local.processes import Server
from shared.processing.mongo import DatabaseError

POLL_S = 0.05
NO_PROGRESS_S = 120
BATCH = 5_000  # what systems are asked to take at once
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class System:
    """Someone who does the job.

    Attributes:
        command: makes its environment if needed, and says how to start it.
        batch: how many events it takes at once, for the table.
        share: which part of the events it is given: slow ones get fewer.
        group, database: the product's own, with the namespace filled in; else named for the system.
        keeps_positions: it runs our module, which keeps its place in MongoDB; the others' is the group's offsets.
        own_counters: it keeps counters its own way (`counters`), not the product's (`_counters`).
        counts: it counts; a ceiling that does not has nothing to be checked.
    """

    name: str
    title: str
    command: Callable[[], Sequence[str]]
    batch: str = "5,000"
    share: float = 1
    group: str = ""
    database: str = ""
    keeps_positions: bool = False
    own_counters: bool = False
    counts: bool = True
    env: dict[str, str] = field(default_factory=dict)

    @property
    def slug(self) -> str:
        """The name for files, groups and databases."""
        return re.sub("[^a-z0-9]+", "-", self.name)


class Log(NamedTuple):
    """A loaded topic and what must be counted of it."""

    namespace: str
    topic: str
    records: int
    wanted: Counts


class Sample(NamedTuple):
    """One look: when, how many events are done, CPU seconds so far, and resident bytes of the system."""

    time: float
    done: int
    own_s: float
    mongod_s: float
    kafka_s: float
    rss: int


class Failed(Exception):
    """A system ended or stood still; the text shows the end of what it printed."""


TROUBLE = (Failed, RuntimeError, OSError, KafkaError, DatabaseError, subprocess.CalledProcessError)


async def run_once(at: Environment, system: System, log: Log) -> dict[str, Any]:
    """One run, from a fresh database and the beginning of the topic; what came out, for the results."""
    async with running(at, system, log.namespace, log.topic) as (process, group, database):
        done = at.stored(database) if system.keeps_positions else await at.committed(group, log.topic)
        began = time.monotonic()
        samples = await watch(at, done, log.records, [process])
        # At once: what counts as done must be there.
        found = await counted(at, database, own=system.own_counters) if system.counts else log.wanted
    return {"events": log.records, **figures(samples, began), "wrong": wrong(found, log.wanted)}


class Running(NamedTuple):
    """A system that runs, with its group and its database."""

    process: "Process"
    group: str
    database: str


@asynccontextmanager
async def running(
    at: Environment, system: System, namespace: str, topic: str, tuning: Mapping[str, str] = MappingProxyType({})
) -> AsyncIterator[Running]:
    """A system at the beginning of a topic, with a fresh database; what it has made is removed at the end.

    Args:
        tuning: settings of the system, beside those that all have.
    """
    command = system.command()
    group = system.group.format(namespace) or f"bench.{system.slug}"
    database = system.database.format(namespace) or f"bench_{system.slug}"
    await at.fresh_database(database, own=system.own_counters)
    await at.remove_topics(f"{group}-")
    await at.rewind(group, topic)
    state = BENCH / "state" / system.slug
    shutil.rmtree(state, ignore_errors=True)
    env = {
        **at.env(namespace),
        "BENCH_TOPIC": topic,
        "BENCH_GROUP": group,
        "BENCH_DATABASE": database,
        "BENCH_BATCH": str(BATCH),
        "BENCH_STATE": str(state),
        **system.env,
        **tuning,
    }
    async with started(system.slug, command, env) as process:
        yield Running(process, group, database)
    await at.client.drop_database(database)
    await at.remove_topics(f"{group}-")


@asynccontextmanager
async def started(name: str, command: Sequence[str], env: dict[str, str]) -> AsyncIterator["Process"]:
    """A system's process; ends with the block."""
    server = Server(name, "", command, RUNNING, lambda: True, env=env)
    server.log.unlink(missing_ok=True)
    server.start(wait=False)
    try:
        yield Process(server)
    finally:
        await asyncio.to_thread(server.stop, 20)


@dataclass(frozen=True)
class Process:
    """A running system."""

    server: Server

    @property
    def pid(self) -> int:
        return self.server.pid or 0

    def check(self) -> None:
        if not self.pid:
            raise Failed(f"{self.server.name} ended\n{self.tail()}")

    def tail(self) -> str:
        return self.server.log.read_text(errors="replace")[-1_500:]


async def watch(at: Environment, position: Position, records: int, processes: Sequence[Process]) -> list[Sample]:
    """Look until all events are done."""
    samples: list[Sample] = []
    moved = time.monotonic()
    while True:
        done = await position()
        own = [usage(process.pid) for process in processes]
        servers = [usage(server.pid or 0)[0] for server in (at.mongod, at.kafka)]
        sample = Sample(
            time.monotonic(), done, sum(cpu for cpu, _ in own), servers[0], servers[1], sum(rss for _, rss in own)
        )
        if samples and done > samples[-1].done:
            moved = sample.time
        samples.append(sample)
        if done >= records:
            return samples
        for process in processes:
            process.check()
        if sample.time - moved > NO_PROGRESS_S:
            raise Failed(f"stands still at {done} of {records}\n{processes[0].tail()}")
        await asyncio.sleep(POLL_S)


def usage(pid: int) -> tuple[float, int]:
    """CPU seconds so far and resident bytes of a process and its children. Source: proc(5)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0, 0
    cpu, rss = (int(fields[11]) + int(fields[12])) / TICKS_PER_S, int(fields[21]) * PAGE_BYTES
    for child in children:
        of_child = usage(int(child))
        cpu, rss = cpu + of_child[0], rss + of_child[1]
    return cpu, rss


def figures(samples: Sequence[Sample], began: float) -> dict[str, Any]:
    """Speeds and costs; warm is the second half of the log, cold is from the start of the process."""
    last = samples[-1]
    half = next(sample for sample in samples if sample.done >= last.done / 2)
    if half is last:
        half = samples[0]  # it did everything in one step
    events = last.done - half.done

    def micros(of: Callable[[Sample], float]) -> float:
        return round(1e6 * (of(last) - of(half)) / events, 2)

    return {
        "warm_per_s": round(events / (last.time - half.time)),
        "cold_per_s": round(last.done / (last.time - began)),
        "seconds": round(last.time - began, 2),
        "own_us": micros(lambda s: s.own_s),
        "mongod_us": micros(lambda s: s.mongod_s),
        "kafka_us": micros(lambda s: s.kafka_s),
        "rss_mb": round(max(sample.rss for sample in samples) / 1e6),
    }


async def counted(at: Environment, database: str, *, own: bool) -> Counts:
    """The counters in a database, summed over whatever they are split by."""
    counts: Counts = {}
    if own:
        async for doc in at.client[database]["counters"].find():
            for measure, count in doc["measures"].items():
                add(counts, (doc["programme"], doc["month"], measure), count)
        return counts
    async for doc in at.client[database]["_counters"].find({"kind": "programme"}):
        for measure, count in doc["m"].items():
            add(counts, (doc["id"], doc["period"], measure.removeprefix("employment_weeks/")), count)
    return counts


def add(counts: Counts, count: Count, number: int) -> None:
    counts[count] = counts.get(count, 0) + number

"""How many events a second each system holds while what is written can be read soon: speed and freshness together.

Steps of rising load, each on a system that has caught up. Beside it go probes: graduates of a programme of their own,
40 a second. A probe's time is from Kafka's acknowledgement until its counter is in MongoDB. Each system takes part
with several settings for how much it does at once; the best one counts.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any
from uuid import uuid4

from aiokafka import AIOKafkaProducer

from benchmarks.environment import Environment, tools
from benchmarks.plan import Plan, percentile, table
from benchmarks.systems import AIOKAFKA_MOTOR, PEERS, STREAMS, WORKER
from benchmarks.timing import TROUBLE, Failed, Process, System, running
from deploy.local.processes import ROOT
from shared.log.topics import topic_name

NAMESPACE, MONTH = "bfrontier", "2024-06"
RATES = (500, 1_000, 2_000, 3_000, 4_000, 6_000, 8_000, 11_000, 15_000, 20_000, 25_000)
STEP_S, SETTLE_S, EVERY_S, LOOK_S, LOST_S = 7, 2, 0.025, 0.004, 3
LIMITS_MS = (100, 300, 1_000)
# How much a system does at once; Praktika finds that out by itself.
TUNINGS: dict[str, tuple[Mapping[str, str], ...]] = {
    WORKER.name: ({},),
    STREAMS: tuple({"STREAMS_COMMIT_MS": str(ms)} for ms in (30, 100, 400)),
    AIOKAFKA_MOTOR: tuple({"BENCH_BATCH": str(size)} for size in (200, 1_000, 5_000)),
    "bytewax": tuple({"BENCH_BATCH": str(size)} for size in (200, 1_000, 5_000)),
    "quixstreams": tuple({"QUIX_COMMIT_S": str(s)} for s in (0.05, 0.2, 0.5)),
}
CONTESTANTS = [system for system in (WORKER, *PEERS) if system.name in TUNINGS]
Rows = list[dict[str, Any]]


async def measure(at: Environment, plan: Plan) -> Rows:
    rows: Rows = []
    for system in CONTESTANTS:
        if plan.wants(system.name):
            system.command()  # what has to be installed or built first
            for tuning in TUNINGS[system.name]:
                rows += await climb(at, system, tuning, RATES)
    return rows


async def climb(at: Environment, system: System, tuning: Mapping[str, str], rates: Sequence[int]) -> Rows:
    """Raise the load until probes take longer than the longest limit."""
    rows: Rows = []
    said = _named(tuning)
    try:
        async with _counting(at, system, tuning) as (probes, process):
            await _step(at, probes, rates[0], len(rates))  # imports and a JVM's compiler are over
            for number, rate in enumerate(rates):
                step = await _step(at, probes, rate, number)
                process.check()
                rows.append({"system": system.name, "tuning": said, "rate": rate, **step})
                print(f"  {system.name:18} {said:22} {_said(rows[-1])}", flush=True)
                if rows[-1]["p99_ms"] > LIMITS_MS[-1]:
                    break
    except TROUBLE as trouble:
        print(f"{system.name} {said}: {trouble!r}"[:1_000], flush=True)
    return rows


def _named(tuning: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in tuning.items())


def tuning_of(system: str, name: str) -> Mapping[str, str]:
    """The setting of a system that the results have under a name; else its first."""
    return next((each for each in TUNINGS[system] if _named(each) == name), TUNINGS[system][0])


def _said(row: Mapping[str, Any]) -> str:
    return f"{row['sent_per_s']:>6,} events/s: p50 {row['p50_ms']:7.1f} ms, p99 {row['p99_ms']:7.1f} ms"


class Probes:
    """Sends probes, and sees when each can be read."""

    def __init__(self, at: Environment, producer: AIOKafkaProducer, system: System, database: str) -> None:
        self._producer, self._own = producer, system.own_counters
        self._counters = at.client[database]["counters" if self._own else "_counters"]
        self._waiting: dict[str, float] = {}
        self._took: list[float] = []

    async def run(self, seconds: float, lost_s: float = LOST_S) -> list[float]:
        """Send probes for so long; return how long each took, in ms. One that is lost took *lost_s*."""
        self._waiting, self._took = {}, []
        looking = asyncio.create_task(self._look())
        sent, until = [], time.monotonic() + seconds
        while time.monotonic() < until:
            sent.append(asyncio.create_task(self._send()))
            await asyncio.sleep(EVERY_S)
        await asyncio.gather(*sent)
        deadline = time.monotonic() + lost_s
        while self._waiting and time.monotonic() < deadline:
            await asyncio.sleep(LOOK_S)
        looking.cancel()
        with suppress(asyncio.CancelledError):
            await looking
        return [1000 * took for took in [*self._took, *([lost_s] * len(self._waiting))]]

    async def _send(self) -> None:
        id = f"probe-{uuid4().hex[:12]}"
        value = (
            f'{{"specversion":"1.0","id":"{id}","source":"/organisations/institution-1",'
            f'"type":"praktika.learner.graduated.v1","subject":"{id}","time":"{MONTH}-15T12:00:00Z",'
            f'"partitionkey":"{id}","sourcekind":"institution","datacontenttype":"application/json",'
            f'"data":{{"programme":"{id}","graduated_on":"{MONTH}-15"}}}}'
        )
        headers = [("content-type", b"application/cloudevents+json; charset=utf-8")]
        topic = topic_name(NAMESPACE, "learner")
        stored = await self._producer.send_and_wait(topic, value.encode(), id.encode(), headers=headers)
        key = id if self._own else f"learner-{stored.partition}|programme|{id}|{MONTH}"
        self._waiting[key] = time.perf_counter()

    async def _look(self) -> None:
        name = "programme" if self._own else "_id"
        while True:
            if keys := list(self._waiting):
                found = await self._counters.find({name: {"$in": keys}}, {name: 1}).to_list(None)
                now = time.perf_counter()
                for key in {doc[name] for doc in found}:
                    self._took.append(now - self._waiting.pop(key))
            await asyncio.sleep(LOOK_S)


@asynccontextmanager
async def _counting(
    at: Environment, system: System, tuning: Mapping[str, str]
) -> AsyncIterator[tuple[Probes, Process]]:
    """A system on an empty topic, from when it counts what comes."""
    await at.fresh_topics(NAMESPACE)
    async with (
        running(at, system, NAMESPACE, topic_name(NAMESPACE, "learner"), tuning) as (process, _, database),
        AIOKafkaProducer(bootstrap_servers=at.kafka.address) as producer,
    ):
        probes = Probes(at, producer, system, database)
        if max(await probes.run(0.1, lost_s=90)) >= 90_000:
            raise Failed(f"counts nothing\n{process.tail()}")
        yield probes, process


async def _step(at: Environment, probes: Probes, rate: int, number: int) -> dict[str, Any]:
    """One rate of load, and the probes beside it."""
    topic = topic_name(NAMESPACE, "learner")
    steady = [at.kafka.address, topic, "steady", str(rate), str(STEP_S), str(100 + number)]
    load = await asyncio.create_subprocess_exec(
        tools(), "-m", "benchmarks.load", *steady, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert load.stdout
    try:
        await load.stdout.readline()  # its events are made
        await asyncio.sleep(SETTLE_S)
        took = await probes.run(STEP_S - SETTLE_S)
        sent_per_s = float((await load.stdout.readline()).split()[1])
    finally:
        if load.returncode is None:
            with suppress(ProcessLookupError):
                load.kill()
        await load.wait()
    return {
        "sent_per_s": round(sent_per_s),
        "probes": len(took),
        "p50_ms": round(percentile(took, 50), 1),
        "p99_ms": round(percentile(took, 99), 1),
    }


def held(rows: Iterable[Mapping[str, Any]], system: str, limit_ms: int) -> tuple[int, str]:
    """The highest load at which a system's p99 is within a limit, events a second, and with which setting."""
    own = [row for row in rows if row["system"] == system and row["p99_ms"] <= limit_ms]
    return max(((row["sent_per_s"], row["tuning"]) for row in own), default=(0, ""))


def best_peer(rows: Rows, limit_ms: int) -> tuple[str, int]:
    """Which of the others holds most within a limit, and how much; no name if none holds anything."""
    names = {row["system"] for row in rows} - {WORKER.name}
    most, name = max(((held(rows, name, limit_ms)[0], name) for name in names), default=(0, ""))
    return name if most else "", most


def ratio(rows: Rows, limit_ms: int) -> float | None:
    """What Praktika holds within a limit, over the best peer."""
    _, others = best_peer(rows, limit_ms)
    return held(rows, WORKER.name, limit_ms)[0] / others if others else None


def report(rows: Rows) -> list[str]:
    lines = []
    for name in dict.fromkeys(row["system"] for row in rows):
        cells = []
        for limit in LIMITS_MS:
            most, tuning = held(rows, name, limit)
            cells.append(f"{most:,}{f' ({tuning})' if tuning else ''}" if most else "none")
        lines.append([name, *cells])
    return table(("events/s held with p99 within", *(f"{limit:,} ms" for limit in LIMITS_MS)), lines)

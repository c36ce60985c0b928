"""From the ingress's 202 until the event is in monitoring's counters; idle, and at half of what can be had."""

import asyncio
import random
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

from benchmarks.environment import Environment, tools
from benchmarks.http_load import Connection, post
from benchmarks.plan import Plan, percentile, table
from benchmarks.processes import service, token, workers
from benchmarks.systems import ONE_BY_ONE, WORKER
from benchmarks.timing import Failed, started
from deploy.local.processes import ROOT
from services.partners.app import core as partners
from shared.log.topics import PARTITIONS, partition_of, topic_name
from shared.processing import mongo

NAMESPACE = "blatency"
ORGANISATION = "institution-1"
PROGRAMME, MONTH = "latency-probe", "2024-06"
STRUCTURED = "application/cloudevents+json"
PROBES = 100
LIMIT_S = 20
Read = Callable[[int], Awaitable[int]]  # graduates counted, of a partition or (if it does not tell them apart) of all


async def measure(at: Environment, plan: Plan, half: dict[str, float]) -> list[dict[str, Any]]:
    """Praktika and the consumer that writes each event at once, in turn.

    Args:
        half: by system, half of what it can do, events a second.
    """
    await at.fresh_topics(NAMESPACE)
    db = at.client[f"{NAMESPACE}_partners"]
    await mongo.ensure_indexes(db, partners.indexes)
    rows = []
    # The probes are of learners whom no institution has enrolled.
    checks = {"PRAKTIKA_REGISTRY_CHECKS": "owners", "PRAKTIKA_FREE_IDS": "true"}
    async with service(at, NAMESPACE, "partners", "api", **checks) as ingress:
        for _ in range(min(2, plan.rounds)):
            for name, most in half.items():
                async with RUNNING[name](at) as read:
                    for load_per_s in (0, most):
                        async with _load(at, load_per_s):
                            rows.append(await _probe(at, ingress.port, read, name, load_per_s))
                            print(f"  {_said(rows[-1])}", flush=True)
    return rows


@asynccontextmanager
async def _worker(at: Environment) -> AsyncIterator[Read]:
    database = f"{NAMESPACE}_monitoring"
    await at.fresh_database(database)
    ends = await at.ends(topic_name(NAMESPACE, "learner"))
    async with workers(at, NAMESPACE, 1) as (worker,):
        done = at.stored(database)
        while await done() < ends:
            worker.process.check()
            await asyncio.sleep(0.2)

        async def read(partition: int) -> int:
            id = f"learner-{partition}|programme|{PROGRAMME}|{MONTH}"
            doc = await at.client[database]["_counters"].find_one({"_id": id}, {"m.graduates": 1})
            return int(doc["m"]["graduates"]) if doc else 0

        yield read


@asynccontextmanager
async def _one_by_one(at: Environment) -> AsyncIterator[Read]:
    """It begins at the end of the topic, because it would need hours for the load of the other."""
    topic, group, database = topic_name(NAMESPACE, "learner"), f"bench.latency-{uuid4().hex[:8]}", "bench_latency"
    await at.fresh_database(database, own=True)
    await at.skip(group, topic)
    env = {
        **at.env(NAMESPACE),
        "BENCH_TOPIC": topic,
        "BENCH_GROUP": group,
        "BENCH_DATABASE": database,
        "BENCH_BATCH": "1",
    }
    async with started("latency-one-by-one", ONE_BY_ONE.command(), env) as process:
        await asyncio.sleep(3)
        process.check()

        async def read(partition: int) -> int:
            doc = await at.client[database]["counters"].find_one({"_id": f"{PROGRAMME}|{MONTH}"})
            return int(doc["measures"]["graduates"]) if doc else 0

        read.of_all = True  # type: ignore[attr-defined]
        yield read


RUNNING = {WORKER.name: _worker, ONE_BY_ONE.name: _one_by_one}


@asynccontextmanager
async def _load(at: Environment, per_s: float) -> AsyncIterator[None]:
    """Events of the job straight onto the topic, beside the probes."""
    if not per_s:
        yield
        return
    command = [tools(), "-m", "benchmarks.load", at.kafka.address, topic_name(NAMESPACE, "learner")]
    loader = subprocess.Popen([*command, "steady", str(round(per_s)), "15"], cwd=ROOT)  # noqa: ASYNC220
    try:
        await asyncio.sleep(4)  # it makes its events first
        yield
    finally:
        loader.kill()
        loader.wait()


async def _probe(at: Environment, port: int, read: Read, name: str, load_per_s: float) -> dict[str, Any]:
    """One event at a time, at irregular moments."""
    connection, bearer, times, missed = Connection(port), token(at, NAMESPACE, ORGANISATION), [], 0
    of_all = getattr(read, "of_all", False)
    known: dict[int, int] = {}
    deadline = time.monotonic() + (10 if load_per_s else 60)
    try:
        while len(times) + missed < PROBES and time.monotonic() < deadline:
            learner = f"probe-{uuid4().hex[:12]}"
            partition = partition_of(learner.encode(), PARTITIONS["learner"])
            place = -1 if of_all else partition
            if place not in known:
                known[place] = await read(partition)
            answer = await connection.ask(post("/events", event(learner), STRUCTURED, bearer))
            accepted = time.perf_counter()
            if answer.status != 202:
                raise Failed(f"the ingress answered {answer.status}: {answer.body!r}")
            known[place] += 1
            while await read(partition) < known[place] and (waited := time.perf_counter() - accepted) < LIMIT_S:
                # Whoever looks as often as he can takes a core from the system under load.
                await asyncio.sleep(max(0.0005, waited / 10))
            took = time.perf_counter() - accepted
            times.append(took)
            if took >= LIMIT_S:
                missed += 1
                break
            await asyncio.sleep(random.uniform(0.02, 0.12))  # noqa: S311
    finally:
        connection.close()
    return {
        "system": name,
        "load_per_s": round(load_per_s),
        "probes": len(times),
        "missed": missed,
        "ms": [round(1000 * took, 2) for took in times],
    }


def event(learner: str, programme: str = PROGRAMME) -> bytes:
    return (
        f'{{"specversion":"1.0","id":"{learner}","source":"/organisations/{ORGANISATION}",'
        f'"type":"praktika.learner.graduated.v1","subject":"{learner}","time":"{MONTH}-15T12:00:00Z",'
        f'"partitionkey":"{learner}","data":{{"programme":"{programme}","graduated_on":"{MONTH}-15"}}}}'
    ).encode()


def _said(row: dict[str, Any]) -> str:
    at = f"at {row['load_per_s']:,} events/s" if row["load_per_s"] else "idle"
    p50, p99 = (percentile(row["ms"], percent) for percent in (50, 99))
    return f"{row['system']:12} {at:20} p50 {p50:7.1f} ms, p99 {p99:7.1f} ms, {row['probes']} probes"


def report(rows: list[dict[str, Any]]) -> list[str]:
    """All rounds of a system and a load together."""
    together: dict[tuple[str, bool], dict[str, Any]] = {}
    for row in rows:
        known = together.setdefault((row["system"], bool(row["load_per_s"])), {**row, "ms": []})
        known["ms"] = known["ms"] + row["ms"]
    lines = [
        [
            name,
            f"{row['load_per_s']:,} events/s" if loaded else "idle",
            *(f"{percentile(row['ms'], percent):.1f}" for percent in (50, 90, 99)),
            str(len(row["ms"])),
        ]
        for (name, loaded), row in together.items()
    ]
    return table(("system", "load beside it", "p50 ms", "p90 ms", "p99 ms", "events"), lines)


def at_half(rows: list[dict[str, Any]], percent: float) -> float | None:
    """Praktika's latency at half load, in ms."""
    found = [ms for row in rows if row["system"] == WORKER.name and row["load_per_s"] for ms in row["ms"]]
    return percentile(found, percent) if found else None


def ratio(rows: list[dict[str, Any]]) -> float | None:
    """Idle p50 of Praktika over that of the consumer that writes each event at once."""
    idle = {
        name: [ms for row in rows if row["system"] == name and not row["load_per_s"] for ms in row["ms"]]
        for name in (WORKER.name, ONE_BY_ONE.name)
    }
    if not all(idle.values()):
        return None
    return percentile(idle[WORKER.name], 50) / percentile(idle[ONE_BY_ONE.name], 50)

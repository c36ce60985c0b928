"""Events accepted over HTTP, single and in batches, against a bare endpoint that only validates and publishes.

And over Kafka: how fast partners works off what an organisation has written to its own topic.
"""

import asyncio
import itertools
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from statistics import median
from typing import Any

from aiokafka import AIOKafkaProducer

from benchmarks import job, timing
from benchmarks.environment import Environment
from benchmarks.http_load import hammer, post
from benchmarks.plan import Plan, percentile, table
from benchmarks.processes import Service, answers, service, token
from benchmarks.timing import Process, started
from deploy.local.processes import free_port
from services.partners.app import core as partners
from services.partners.gateway.egress import forwarding
from shared.contract.events import (
    Data,
    LearnerEnrolled,
    OrganisationKind,
    OrganisationRegistered,
    ProgrammePublished,
    Publisher,
    compose,
)
from shared.log.producer import Producer, Record, record_of
from shared.log.topics import ensure_ingress
from shared.processing import mongo

NAMESPACE = "bingress"
SENDER = "institution-1"
BATCH = 500
CONNECTIONS = {"single": 32, "batch": 4}
SECONDS = 4
STRUCTURED, BATCHED = "application/cloudevents+json", "application/cloudevents-batch+json"
OURS, BARE, KAFKA = "Praktika's ingress", "bare endpoint", "Praktika's Kafka ingress"
WRITTEN = 60_000


async def measure(at: Environment, plan: Plan, *, over_kafka: bool = True) -> list[dict[str, Any]]:
    await at.fresh_topics(NAMESPACE)
    await mongo.ensure_indexes(at.client[f"{NAMESPACE}_partners"], partners.indexes)
    await ensure_ingress(at.settings(NAMESPACE), SENDER)
    learners = [one for one in job.learners(2_000, seed=3) if one.institution == SENDER]
    bodies = [message.value for message in job.log(learners)]
    await _introduce(at, learners)
    rows = []
    async with service(at, NAMESPACE, "partners", "api") as ours, bare(at) as (process, port):
        systems = ((OURS, ours.process, ours.port), (BARE, process, port))
        for number in range(min(5, plan.rounds)):
            for kind in ("single", "batch"):
                for name, of, at_port in systems:
                    bearer = token(at, NAMESPACE, SENDER) if name == OURS else ""
                    requests = _requests(bodies, kind, name, bearer)
                    rows.append(
                        {
                            "round": number,
                            "system": name,
                            "kind": kind,
                            **await _run(at, of, at_port, requests, kind),
                        }
                    )
                    print(f"  {name:25} {kind:7} {rows[-1]['events_per_s']:>8,} events/s", flush=True)
    if not over_kafka:
        return rows
    async with service(at, NAMESPACE, "partners", "worker") as ours:
        await _idle(at, ours)
        for number in range(min(5, plan.rounds)):
            measured = await _over_kafka(at, ours.process, bodies)
            rows.append({"round": number, "system": KAFKA, "kind": "kafka", **measured})
            print(f"  {KAFKA:33} {measured['events_per_s']:>8,} events/s", flush=True)
            await _idle(at, ours)
    return rows


async def _idle(at: Environment, worker: Service) -> None:
    """Wait until a worker has applied and forwarded all that was accepted."""
    topic, db = "learner", at.client[f"{NAMESPACE}_partners"]
    while True:
        worker.process.check()
        applied = {label: position.next_offset for label, position in (await mongo.positions(db)).items()}
        stands = [applied, await forwarding.positions(db)]
        ends = await at.ends(f"{NAMESPACE}.{topic}")
        if all(sum(n for label, n in stand.items() if label.startswith(f"{topic}-")) == ends for stand in stands):
            return
        await asyncio.sleep(0.5)


async def _introduce(at: Environment, learners: list[job.Learner]) -> None:
    """Let the registry know the programmes and the learners: what is measured refers to them."""
    said = {
        "source": f"/organisations/{SENDER}",
        "kind": Publisher.institution,
        "time": datetime(2020, 1, 1, tzinfo=UTC),
    }

    def about(id: str, data: Data) -> Record:
        return record_of(compose(data, id=id, subject=id, key=id, **said))

    programmes = {one.programme for one in learners}
    registered = OrganisationRegistered(kind=OrganisationKind.institution, name=SENDER, region="r")
    by = {"source": "/organisations/operator", "kind": Publisher.operator}
    records = [record_of(compose(registered, id=SENDER, subject=SENDER, key=SENDER, **said | by))]
    records += [about(id, ProgrammePublished(title=id, version="1", level=5)) for id in sorted(programmes)]
    records += [about(one.id, LearnerEnrolled(programme=one.programme)) for one in learners]
    producer = Producer(at.settings(NAMESPACE))
    await producer.publish(records)
    await producer.close()
    async with service(at, NAMESPACE, "partners", "all") as registry:
        while await registry.metric("praktika_events_applied_total") < len(records):
            registry.process.check()
            await asyncio.sleep(0.2)


async def _over_kafka(at: Environment, process: Process, bodies: list[bytes]) -> dict[str, Any]:
    """Write much to the sender's topic; from when all is written, see how fast the rest gets onto the log."""
    topic, headers = f"{NAMESPACE}.ingress.{SENDER}", [("content-type", STRUCTURED.encode())]
    end = await at.ends(f"{NAMESPACE}.learner") + WRITTEN
    async with AIOKafkaProducer(bootstrap_servers=at.kafka.address, compression_type="lz4", linger_ms=5) as producer:
        sent = [
            await producer.send(topic, body, headers=headers)
            for body in itertools.islice(itertools.cycle(bodies), WRITTEN)
        ]
        await asyncio.gather(*sent)
    started_at, left = time.perf_counter(), end - await at.ends(f"{NAMESPACE}.learner")
    before = [timing.usage(process.pid)[0], timing.usage(at.kafka.pid or 0)[0]]
    while await at.ends(f"{NAMESPACE}.learner") < end:
        process.check()
        await asyncio.sleep(0.02)
    after = [timing.usage(process.pid)[0], timing.usage(at.kafka.pid or 0)[0]]
    return {
        "events_per_s": round(left / (time.perf_counter() - started_at)),
        "own_us": round(1e6 * (after[0] - before[0]) / left, 1),
        "kafka_us": round(1e6 * (after[1] - before[1]) / left, 1),
    }


@asynccontextmanager
async def bare(at: Environment, namespace: str = NAMESPACE) -> AsyncIterator[tuple[Process, int]]:
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.peers.bare_ingress.app", str(port), f"{namespace}.learner"]
    async with started("bare-ingress", command, at.env(namespace)) as process:
        await answers(process, port, "/health/ready")
        yield process, port


def _requests(bodies: list[bytes], kind: str, name: str, bearer: str) -> Iterator[bytes]:
    if kind == "single":
        return itertools.cycle(
            [post("/events", body, STRUCTURED if name == OURS else "application/json", bearer) for body in bodies]
        )
    batches = []
    for start in range(0, 4 * BATCH, BATCH):
        content = b"[" + b",".join((bodies[start:] + bodies)[:BATCH]) + b"]"
        path, media = ("/events", BATCHED) if name == OURS else ("/batches", "application/json")
        batches.append(post(path, content, media, bearer))
    return itertools.cycle(batches)


async def _run(at: Environment, process: Process, port: int, requests: Iterator[bytes], kind: str) -> dict[str, Any]:
    await hammer(port, requests, CONNECTIONS[kind], 1, 202)  # warm
    before = [timing.usage(process.pid)[0], timing.usage(at.kafka.pid or 0)[0]]
    measured = await hammer(port, requests, CONNECTIONS[kind], SECONDS, 202)
    after = [timing.usage(process.pid)[0], timing.usage(at.kafka.pid or 0)[0]]
    each = 1 if kind == "single" else BATCH
    events = len(measured.seconds) * each
    await asyncio.sleep(0.2)
    return {
        "events_per_s": round(measured.per_s * each),
        "p50_ms": round(1000 * percentile(measured.seconds, 50), 2),
        "p99_ms": round(1000 * percentile(measured.seconds, 99), 2),
        "own_us": round(1e6 * (after[0] - before[0]) / events, 1),
        "kafka_us": round(1e6 * (after[1] - before[1]) / events, 1),
    }


def report(rows: list[dict[str, Any]]) -> list[str]:
    head = ("", "events/s, median", "least - most", "p50 ms", "p99 ms", "µs/event own", "Kafka")
    lines = []
    for kind, names in (("single", (OURS, BARE)), ("batch", (OURS, BARE)), ("kafka", (KAFKA,))):
        for name in names:
            own = [row for row in rows if (row["kind"], row["system"]) == (kind, name)]
            if not own:
                continue  # measured before there was this way in
            speeds = [row["events_per_s"] for row in own]
            figures = [_median(own, figure) for figure in ("p50_ms", "p99_ms", "own_us", "kafka_us")]
            what = {"single": "single events", "batch": f"batches of {BATCH}", "kafka": f"{WRITTEN:,} waiting"}[kind]
            lines.append(
                [
                    f"{name}, {what}",
                    f"{median(speeds):,.0f}",
                    f"{min(speeds):,} - {max(speeds):,}",
                    *figures,
                ]
            )
    return table(head, lines)


def _median(rows: list[dict[str, Any]], figure: str) -> str:
    found = [row[figure] for row in rows if figure in row]
    return f"{median(found):.1f}" if found else ""


def ratio(rows: list[dict[str, Any]], kind: str) -> float:
    """Ours over the bare endpoint's events per second."""
    by_name = [median(r["events_per_s"] for r in rows if (r["kind"], r["system"]) == (kind, n)) for n in (OURS, BARE)]
    return by_name[0] / by_name[1]

"""From `make up`, with data there and nothing running, until the first event counts."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any
from uuid import uuid4

from benchmarks import job
from benchmarks.environment import BENCH
from benchmarks.http_load import Connection, post
from benchmarks.latency import MONTH, ORGANISATION, STRUCTURED, event
from benchmarks.plan import Plan, table
from benchmarks.timing import Failed
from deploy.local.processes import ROOT, free_port, is_ok
from deploy.local.servers import STATE, direct, is_primary, kafka_answers
from shared.contract.events import Publisher
from shared.http.auth import Caller, Signer
from shared.log.producer import Producer, Record
from shared.log.topics import PARTITIONS, partition_of
from shared.processing import mongo
from shared.settings import Settings

FOLDER = BENCH / "cold-start"
SOURCES = ("deploy", "services", "shared")
FETCHED = ("kafka-libs", "kafka-classes", "mongodb")  # once for all stacks of this checkout
SERVICES = ("partners", "feedback", "certification", "monitoring", "monitoring-worker")
LEARNERS = 7_000  # 2.86 events each
ROUNDS = 3
LOOK_S = 0.1  # each look takes a little of what is measured
WITHIN_S = 120
KAFKA, MONGODB, READY, ACCEPTED, COUNTED = PARTS = (
    "Kafka answers",
    "MongoDB is primary",
    "all services are ready",
    "an event is accepted",
    "it is counted",
)


@dataclass(frozen=True)
class Stack:
    """What `make up` starts, from a copy of the sources: data, ports and keys are none of this checkout's."""

    ports: dict[str, int]

    @classmethod
    def made(cls) -> "Stack":
        remove()
        for name in SOURCES:
            shutil.copytree(ROOT / name, FOLDER / name)
        (FOLDER / STATE.name).mkdir()
        for name in FETCHED:
            (FOLDER / STATE.name / name).symlink_to(STATE / name)
        return cls({name: free_port() for name in SERVICES})

    def do(self, command: str) -> subprocess.Popen[bytes]:
        """Run a command of `deploy.stack`."""
        own = {f"PRAKTIKA_{name.upper().replace('-', '_')}_PORT": str(port) for name, port in self.ports.items()}
        given = {"KAFKA_BOOTSTRAP_SERVERS", "MONGODB_URI", "PYTHONPATH"}  # of another stack
        env = {name: value for name, value in os.environ.items() if name not in given} | own
        # The probes are of learners whom no institution has enrolled.
        env |= {"PRAKTIKA_STACK": "local", "PRAKTIKA_REGISTRY_CHECKS": "owners", "PRAKTIKA_FREE_IDS": "true"}
        with (FOLDER / f"{command}.log").open("wb") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "deploy.stack", command],
                cwd=FOLDER,
                env=env,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    async def done(self, command: str) -> None:
        code = await asyncio.to_thread(self.do(command).wait)
        if code:
            raise Failed(f"{command} ended with {code}\n{(FOLDER / f'{command}.log').read_text()[-1_500:]}")

    def server(self, name: str) -> int:
        """The port of Kafka or MongoDB, which the stack has chosen."""
        known: dict[str, int] = json.loads((FOLDER / STATE.name / "stack.json").read_text())["ports"]
        return known[name]

    def settings(self) -> Settings:
        keys = FOLDER / STATE.name / "keys"
        return Settings(
            _secrets_dir=[keys / "mongodb" / "services"],
            kafka_bootstrap_servers=f"127.0.0.1:{self.server('kafka')}",
            mongodb_uri=f"mongodb://127.0.0.1:{self.server('mongod')}/?replicaSet=rs0",
            keys_dir=keys,
        )

    def is_ready(self) -> bool:
        return all(is_ok(f"http://127.0.0.1:{port}/health/ready") for port in self.ports.values())


def remove() -> None:
    shutil.rmtree(FOLDER, ignore_errors=True)


async def measure(plan: Plan) -> list[dict[str, Any]]:
    """Per round, after how many seconds each part is there."""
    stack, rows = Stack.made(), []
    try:
        await stack.done("up")
        await _fill(stack)
        for number in range(min(ROUNDS, plan.rounds)):
            await stack.done("down")
            rows.append({"round": number, **await _start(stack)})
            print(f"  {', '.join(f'{part} {rows[-1][part]:.1f} s' for part in PARTS)}", flush=True)
    finally:
        await stack.done("down")
    remove()
    return rows


async def _fill(stack: Stack) -> None:
    """Events of the job, applied."""
    messages = job.log(job.learners(LEARNERS))
    producer, client = Producer(stack.settings()), mongo.connect(stack.settings())
    try:
        for first in range(0, len(messages), 1_000):
            some = messages[first : first + 1_000]
            await producer.publish([Record("learner", message.key.decode(), message.value) for message in some])
        async with asyncio.timeout(WITHIN_S):
            while await _applied(client) < len(messages):
                await asyncio.sleep(0.5)
    finally:
        await producer.close()
        client.close()


async def _applied(client: Any) -> int:
    positions = await mongo.positions(client["praktika_monitoring"])
    return sum(place.next_offset for label, place in positions.items() if label.startswith("learner-"))


async def _start(stack: Stack) -> dict[str, float]:
    began = time.monotonic()
    process = stack.do("up")
    kafka, mongod = f"127.0.0.1:{stack.server('kafka')}", direct(stack.server("mongod"))
    try:
        async with asyncio.timeout(WITHIN_S), asyncio.TaskGroup() as looks:
            parts = {
                KAFKA: looks.create_task(_since(began, lambda: kafka_answers(kafka))),
                MONGODB: looks.create_task(_since(began, lambda: is_primary(mongod))),
                READY: looks.create_task(_since(began, stack.is_ready)),
            }
            event = looks.create_task(_event(stack, began))
    finally:
        await asyncio.to_thread(process.wait)
    accepted, counted = event.result()
    return {part: task.result() for part, task in parts.items()} | {ACCEPTED: accepted, COUNTED: counted}


async def _since(began: float, holds: Callable[[], bool]) -> float:
    """After how many seconds it holds."""
    while not await asyncio.to_thread(holds):
        await asyncio.sleep(LOOK_S)
    return round(time.monotonic() - began, 2)


async def _event(stack: Stack, began: float) -> tuple[float, float]:
    """After how many seconds an event is accepted, and counted."""
    settings = stack.settings()
    bearer = Signer(settings).token(Caller(ORGANISATION, Publisher.institution))
    learner = f"cold-{uuid4().hex[:12]}"  # a programme of its own, too: its counter is not there yet
    request = post("/events", event(learner, learner), STRUCTURED, bearer)
    while not await _is_accepted(stack.ports["partners"], request):
        await asyncio.sleep(LOOK_S)
    accepted = round(time.monotonic() - began, 2)
    client = mongo.connect(settings)
    partition = partition_of(learner.encode(), PARTITIONS["learner"])
    counter = {"_id": f"learner-{partition}|programme|{learner}|{MONTH}"}
    try:
        while not await client["praktika_monitoring"]["_counters"].find_one(counter):
            await asyncio.sleep(0.02)
    finally:
        client.close()
    return accepted, round(time.monotonic() - began, 2)


async def _is_accepted(port: int, request: bytes) -> bool:
    connection = Connection(port)
    try:
        return (await connection.ask(request)).status == 202
    except (OSError, asyncio.IncompleteReadError):
        return False
    finally:
        connection.close()


def report(rows: list[dict[str, Any]]) -> list[str]:
    lines = []
    for part in PARTS:
        found = [float(row[part]) for row in rows]
        lines.append([part, f"{median(found):.1f}", f"{min(found):.1f}", f"{max(found):.1f}"])
    return table(("seconds after the command's start", "median", "least", "most"), lines)


def seconds(rows: list[dict[str, Any]]) -> float:
    """Until the first event counts."""
    return median(float(row[COUNTED]) for row in rows)

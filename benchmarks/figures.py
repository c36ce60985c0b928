"""Pages and answers about figures of a large network, for 20 readers at once while events arrive.

200 institutions in 10 regions, 2,000 programmes, and as many learners as BENCH_EVENTS makes (2.86 events each). Pages
are compared with a bare page of the same size, answers of the API with one document found and answered over HTTP.
"""

import asyncio
import itertools
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from statistics import median
from typing import Any
from uuid import uuid4

from benchmarks import timing
from benchmarks.environment import Environment, tools
from benchmarks.http_load import Connection, get, hammer
from benchmarks.ingress import bare
from benchmarks.pages import bare_pages
from benchmarks.plan import Plan, percentile, table
from benchmarks.processes import service, workers
from benchmarks.throughput import prepared
from deploy.local.processes import ROOT
from shared.contract import events as e
from shared.contract.events import Data, Publisher, compose
from shared.log.producer import Producer, Record, record_of
from shared.processing.mongo import COUNTERS

INSTITUTIONS, PROGRAMMES, REGIONS = 200, 2_000, 10
READERS, SECONDS, ARRIVING_PER_S, LONGEST_S = 20, 4, 500, 1_200
PAGE, ANSWER = "page", "answer"
RATE = "employment_rate_18m"
ASKED: tuple[tuple[str, str], ...] = (
    (PAGE, "/"),
    (PAGE, "/?scope=region&scope_id=region-3"),
    (PAGE, "/?scope=institution&scope_id=institution-7"),
    (PAGE, "/?scope=programme&scope_id=programme-7"),
    (PAGE, f"/ranking?indicator={RATE}&order=lowest"),
    (PAGE, f"/figures/{RATE}?scope=programme&scope_id=programme-7"),
    (PAGE, "/compare?of=institution:institution-7&of=institution:institution-8"),
    (PAGE, "/find?q=7"),
    (ANSWER, f"/indicators/{RATE}"),
    (ANSWER, f"/indicators/{RATE}?scope=programme&scope_id=programme-7"),
    (ANSWER, f"/indicators/{RATE}/series?scope=institution&scope_id=institution-7&step=year"),
    (ANSWER, f"/indicators/{RATE}/comparison?scope=region"),
    (ANSWER, "/values?scope=programme&scope_id=programme-7"),
)


async def measure(at: Environment, plan: Plan) -> list[dict[str, Any]]:
    log = await prepared(at, plan.events, programmes=PROGRAMMES)
    database, rows = f"{log.namespace}_monitoring", list[dict[str, Any]]()
    await at.fresh_database(database)
    producer = Producer(at.settings(log.namespace))
    await producer.publish(_registry())
    await producer.close()
    # What is measured are answers, not how many one address may ask for.
    free = {"PRAKTIKA_STRANGERS_PER_S": "1000000", "PRAKTIKA_STRANGERS_BURST": "1000000"}
    async with workers(at, log.namespace, 1) as (worker,):
        await timing.watch(at, at.stored(database), log.records, [worker.process])
        one = (await at.client[database][COUNTERS].find_one({"kind": "programme"}))["_id"]
        found = f"/counters/{database}/{one.replace('|', '%7C')}"
        async with (
            service(at, log.namespace, "monitoring", "api", **free) as api,
            bare(at, log.namespace) as (_, other),
            bare_pages(at, log.namespace) as plain,
            _arriving(at, log.topic),
        ):
            before = await api.metric("process_resident_memory_bytes")
            for number, (kind, path) in itertools.product(range(min(3, plan.rounds)), ASKED):
                size = await _size(api.port, path)
                beside = (plain, f"/page/{size}") if kind == PAGE else (other, found)
                p95 = [await _p95(port, asked) for port, asked in ((api.port, path), beside)]
                ratio = p95[0] / p95[1]
                rows.append({"round": number, "kind": kind, "path": path, "size": size, "p95_ms": p95, "ratio": ratio})
                print(f"  {path:70} {p95[0]:7.1f} ms, {ratio:5.1f} of a bare {kind}", flush=True)
            after = await api.metric("process_resident_memory_bytes")
    rows[0] |= {"events": log.records, "memory_mb": [round(each / 1e6) for each in (before, after)]}
    await at.client.drop_database(database)
    return rows


def _registry() -> list[Record]:
    start = datetime(2020, 1, 1, tzinfo=UTC)

    def said(data: Data, id: str, by: str, kind: Publisher) -> Record:
        source = f"/organisations/{by}"
        return record_of(compose(data, source=source, kind=kind, id=str(uuid4()), subject=id, key=id, time=start))

    found = [
        said(
            e.OrganisationRegistered(
                kind=e.OrganisationKind.institution, name=f"Institution {number}", region=f"region-{number % REGIONS}"
            ),
            f"institution-{number}",
            "operator",
            Publisher.operator,
        )
        for number in range(INSTITUTIONS)
    ]
    for number in range(PROGRAMMES):
        programme = e.ProgrammePublished(title=f"Programme {number}", version="1", level=4 + number % 4)
        by = f"institution-{number % INSTITUTIONS}"
        found.append(said(programme, f"programme-{number}", by, Publisher.institution))
    return found


@asynccontextmanager
async def _arriving(at: Environment, topic: str) -> AsyncIterator[None]:
    """Further events, so many a second, until the block ends."""
    steady = ("steady", str(ARRIVING_PER_S), str(LONGEST_S))
    load = await asyncio.create_subprocess_exec(
        tools(), "-m", "benchmarks.load", at.kafka.address, topic, *steady, cwd=ROOT
    )
    try:
        yield
        if load.returncode is not None:
            raise RuntimeError(f"the load ended with {load.returncode}")
    finally:
        if load.returncode is None:
            load.kill()
        await load.wait()


async def _size(port: int, path: str) -> int:
    connection = Connection(port)
    answer = await connection.ask(get(path))
    connection.close()
    if answer.status != 200:
        raise RuntimeError(f"{path} answered {answer.status}: {answer.body[:300]!r}")
    return len(answer.body)


async def _p95(port: int, path: str) -> float:
    done = await hammer(port, itertools.repeat(get(path)), READERS, SECONDS, 200)
    return 1000 * percentile(done.seconds, 95)


def report(rows: list[dict[str, Any]]) -> list[str]:
    lines = []
    for kind, path in ASKED:
        of = [row for row in rows if row["path"] == path]
        own, plain = (median(row["p95_ms"][side] for row in of) for side in (0, 1))
        size = f"{of[0]['size'] / 1000:.1f}"
        shown = re.sub(r"\|", r"\\|", path)
        lines.append([f"`{shown}`", kind, f"{own:.0f}", f"{plain:.1f}", f"{_ratio(rows, path):.1f}", size])
    first, last = rows[0]["memory_mb"]
    heads = ("what is asked for", "", "p95 ms", "bare", "ratio", "kB")
    said = (
        f"{rows[0]['events']:,} events before, {ARRIVING_PER_S} more a second; memory {first} MB, at the end {last} MB."
    )
    return [*table(heads, lines), "", said]


def _ratio(rows: list[dict[str, Any]], path: str) -> float:
    return median(row["ratio"] for row in rows if row["path"] == path)


def worst(rows: list[dict[str, Any]], kind: str) -> float:
    return max(_ratio(rows, path) for of, path in ASKED if of == kind)

"""An indicator summed over 1,000 programmes and 12 partitions, against reading one document."""

import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from statistics import median
from typing import Any

from benchmarks import timing
from benchmarks.environment import Environment
from benchmarks.http_load import Connection, get
from benchmarks.ingress import bare
from benchmarks.plan import Plan, percentile, table
from benchmarks.processes import service, workers
from benchmarks.timing import Log
from services.monitoring import counters
from services.monitoring.indicators import INDICATORS
from shared.processing.mongo import COUNTERS, POSITIONS

INDICATOR = "employment_rate"
REQUESTS = 100
ONE, SUMMED = "find_one", "counters.read"
ONE_HTTP, KEPT_HTTP, MOVED_HTTP = "find_one over HTTP", "API, nothing new", "API, new events before each"


async def measure(at: Environment, plan: Plan, log: Log) -> list[dict[str, Any]]:
    database = f"{log.namespace}_monitoring"
    db = at.client[database]
    await at.fresh_database(database)
    async with workers(at, log.namespace, 1) as (worker,):
        await timing.watch(at, at.stored(database), log.records, [worker.process])
    documents = await db[COUNTERS].count_documents({"kind": "programme"})
    print(f"  {documents:,} counter documents", flush=True)
    one = (await db[COUNTERS].find_one({"kind": "programme"}))["_id"]
    latest = f"{datetime.now(UTC):%Y-%m}"
    indicator = INDICATORS[INDICATOR]
    rows = []
    async with service(at, log.namespace, "monitoring", "api") as api, bare(at, log.namespace) as (_, bare_port):
        ours, other = Connection(api.port), Connection(bare_port)

        async def http(connection: Connection, path: str) -> None:
            answer = await connection.ask(get(path))
            if answer.status != 200:
                raise RuntimeError(f"answered {answer.status}: {answer.body[:300]!r}")

        async def move() -> None:
            await db[POSITIONS].update_one({"_id": "learner-0"}, {"$inc": {"next": 1}})

        path = f"/indicators/{INDICATOR}"
        ways: dict[str, tuple[Callable[[], Awaitable[Any]], Callable[[], Awaitable[None]] | None]] = {
            ONE: (lambda: db[COUNTERS].find_one({"_id": one}), None),
            SUMMED: (
                lambda: counters.read(db, [indicator], "programme", None, by=["period"], latest=latest),
                None,
            ),
            ONE_HTTP: (lambda: http(other, f"/counters/{database}/{one.replace('|', '%7C')}"), None),
            KEPT_HTTP: (lambda: http(ours, path), None),
            MOVED_HTTP: (lambda: http(ours, path), move),
        }
        for number in range(min(5, plan.rounds)):
            for name, (read, before) in ways.items():
                took = await _timed(read, before)
                rows.append({"round": number, "way": name, "documents": documents, "ms": took})
                print(f"  {name:30} p50 {percentile(took, 50):7.2f} ms", flush=True)
        ours.close()
        other.close()
    await at.client.drop_database(database)
    return rows


async def _timed(read: Callable[[], Awaitable[Any]], before: Callable[[], Awaitable[None]] | None) -> list[float]:
    took = []
    for _ in range(REQUESTS):
        if before:
            await before()
        began = time.perf_counter()
        await read()
        took.append(round(1000 * (time.perf_counter() - began), 3))
    return took


def report(rows: list[dict[str, Any]]) -> list[str]:
    lines = []
    for name in (ONE, SUMMED, ONE_HTTP, KEPT_HTTP, MOVED_HTTP):
        medians = [percentile(row["ms"], 50) for row in rows if row["way"] == name]
        worst = [percentile(row["ms"], 99) for row in rows if row["way"] == name]
        lines.append(
            [name, f"{median(medians):.2f}", f"{min(medians):.2f} - {max(medians):.2f}", f"{median(worst):.2f}"]
        )
    return table(("", "p50 ms, median of rounds", "least - most", "p99 ms"), lines)


def ratio(rows: list[dict[str, Any]], way: str, of: str) -> float:
    own, other = ([percentile(row["ms"], 50) for row in rows if row["way"] == name] for name in (way, of))
    return median(own) / median(other)

"""One, two and four workers on twelve partitions: throughput, cost of an event, transactions tried again."""

import time
from statistics import median
from typing import Any

from benchmarks import timing
from benchmarks.environment import Environment
from benchmarks.job import wrong
from benchmarks.plan import Plan, table
from benchmarks.processes import workers
from benchmarks.timing import Log

COUNTS = (1, 2, 4)
RETRIES = "praktika_transaction_retries_total"


async def measure(at: Environment, plan: Plan, log: Log) -> list[dict[str, Any]]:
    rows = []
    for number in range(min(3, plan.rounds)):
        for count in COUNTS:
            rows.append({"round": number, "workers": count, **await _run(at, log, count)})
            print(
                f"  {count} workers: {rows[-1]['warm_per_s']:,} events/s, {rows[-1]['retries']:.0f} retries", flush=True
            )
    return rows


async def _run(at: Environment, log: Log, count: int) -> dict[str, Any]:
    database = f"{log.namespace}_monitoring"
    await at.fresh_database(database)
    async with workers(at, log.namespace, count) as found:
        began = time.monotonic()
        samples = await timing.watch(at, at.stored(database), log.records, [worker.process for worker in found])
        retries = sum([await worker.metric(RETRIES) for worker in found])
    counted = await timing.counted(at, database, own=False)
    await at.client.drop_database(database)
    return {
        "events": log.records,
        **timing.figures(samples, began),
        "retries": retries,
        "wrong": wrong(counted, log.wanted),
    }


def report(rows: list[dict[str, Any]]) -> list[str]:
    head = ("workers", "events/s, median", "least - most", "µs/event own", "mongod", "Kafka", "retries", "result")
    lines = []
    for count in COUNTS:
        own = [row for row in rows if row["workers"] == count]
        if own:
            speeds = [row["warm_per_s"] for row in own]
            figures = [median(row[name] for row in own) for name in ("own_us", "mongod_us", "kafka_us")]
            lines.append(
                [
                    str(count),
                    f"{median(speeds):,.0f}",
                    f"{min(speeds):,} - {max(speeds):,}",
                    *(f"{figure:.1f}" for figure in figures),
                    f"{median(row['retries'] for row in own):.0f}",
                    "WRONG" if any(row["wrong"] for row in own) else f"right {len(own)} times",
                ]
            )
    return table(head, lines)

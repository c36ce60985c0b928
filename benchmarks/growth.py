"""Events per second and memory of the worker as the number of learners grows, on data with a published answer."""

import hashlib
import json
import time
from pathlib import Path
from typing import Any

from benchmarks import graduates, timing
from benchmarks.environment import HERE, Environment
from benchmarks.graduates import EVERYBODY, People
from benchmarks.http_load import Connection, get
from benchmarks.job import wrong
from benchmarks.plan import Plan, table
from benchmarks.processes import service, workers

FILE = HERE / "data" / "recent-grads.csv"
GENERATOR = hashlib.sha256(Path(graduates.__file__).read_bytes()).hexdigest()[:6]
SIZES = (10_000, 100_000)
FULL_SIZES = (1_000_000, EVERYBODY)


async def measure(at: Environment, plan: Plan) -> list[dict[str, Any]]:
    """One worker, each size once; every counter is compared, and of everybody every published rate, too."""
    rows = []
    for size in (*SIZES, *(FULL_SIZES if plan.full else ())):
        them = graduates.people(size, FILE)
        namespace = f"g{GENERATOR}x{size}"
        print(f"  {size:,} learners: loading", flush=True)
        await at.loaded(namespace, ["graduates", str(size), str(FILE)], 2 * size)
        rows.append(await _run(at, namespace, them))
        print(f"  {_said(rows[-1])}", flush=True)
        if size >= 1_000_000:  # the others are used again
            await at.remove_topics(f"{namespace}.")
    return rows


async def _run(at: Environment, namespace: str, them: People) -> dict[str, Any]:
    size, database = len(them.persons), f"{namespace}_monitoring"
    await at.fresh_database(database)
    async with workers(at, namespace, 1) as (worker,):
        began = time.monotonic()
        samples = await timing.watch(at, at.stored(database), 2 * size, [worker.process])
    found = await timing.counted(at, database, own=False)
    rates = await _rates(at, namespace, them) if size == EVERYBODY else None
    await at.client.admin.command("fsync")  # else a part of it is in memory only
    disk = await at.client[database].command("dbStats")
    await at.client.drop_database(database)
    return {
        "learners": size,
        "events": 2 * size,
        **timing.figures(samples, began),
        "bytes_per_learner": round(disk["totalSize"] / size),
        "wrong": wrong(found, graduates.expected(them)),
        "rates": rates,
    }


async def _rates(at: Environment, namespace: str, them: People) -> dict[str, Any]:
    """The published unemployment rates, as monitoring's API tells them."""
    async with service(at, namespace, "monitoring", "api") as monitoring:
        connection = Connection(monitoring.port)
        answer = await connection.ask(get("/indicators/unemployment_rate/comparison?scope=programme"))
        connection.close()
    told = {item["scope_id"]: item for item in json.loads(answer.body)["items"]}
    unlike = [major.programme for major in them.majors if not _is_published(told.get(major.programme), major)]
    return {"published": len(them.majors), "equal": len(them.majors) - len(unlike), "unlike": unlike[:10]}


def _is_published(told: dict[str, Any] | None, major: graduates.Major) -> bool:
    """Is it the published rate, to its last digit, made of the published counts?"""
    if told is None or told["value"] is None:
        return False
    counts = told["numerator"], told["denominator"]
    published = float(major.published_rate)
    digits = len(major.published_rate.partition(".")[2])
    return counts == (major.unemployed, major.unemployed + major.employed) and round(told["value"], digits) == published


def _said(row: dict[str, Any]) -> str:
    rates = f", {row['rates']['equal']} of {row['rates']['published']} published rates equal" if row["rates"] else ""
    result = f"WRONG: {row['wrong']}" if row["wrong"] else "every counter right"
    return f"{row['learners']:,} learners: {row['warm_per_s']:,} events/s, {row['rss_mb']} MB, {result}{rates}"


def _compared(rates: dict[str, Any]) -> str:
    """How many rates are as published; of a major with no people ours is "not enough data", which is right."""
    nobody = [major.programme for major in graduates.majors(FILE) if not major.employed + major.unemployed]
    empty = len({*nobody} & {*rates["unlike"]})
    said = f"{rates['equal']} of {rates['published']}"
    return f"{said}, {empty} has no people: not enough data" if empty else said


def report(rows: list[dict[str, Any]]) -> list[str]:
    head = (
        "learners",
        "events",
        "events/s",
        "worker MB",
        "µs/event own",
        "mongod",
        "bytes/learner on disk",
        "counters",
        "rates",
    )
    lines = [
        [
            f"{row['learners']:,}",
            f"{row['events']:,}",
            f"{row['warm_per_s']:,}",
            str(row["rss_mb"]),
            f"{row['own_us']:.1f}",
            f"{row['mongod_us']:.1f}",
            str(row["bytes_per_learner"]),
            "WRONG" if row["wrong"] else "right",
            _compared(row["rates"]) if row["rates"] else "",
        ]
        for row in rows
    ]
    return table(head, lines)

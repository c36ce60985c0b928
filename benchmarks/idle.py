"""What the whole stack takes of a processor when nobody asks and nothing arrives."""

import asyncio
import time
from contextlib import AsyncExitStack
from typing import Any

from benchmarks.environment import Environment
from benchmarks.plan import Plan, table
from benchmarks.processes import service
from benchmarks.timing import usage
from deploy.setup import set_up
from services.monitoring import published

NAMESPACE = "bidle"
SETTLED_S, SECONDS = 10, 30
RECORDED_WITHIN_S = 2 * published.LOOK_EVERY_S
# As `make up` starts them: each with its role.
PROCESSES = (
    ("partners", "all"),
    ("feedback", "all"),
    ("certification", "all"),
    ("monitoring", "api"),
    ("monitoring", "worker"),
)
PYTHON = "the Python processes together"


async def measure(at: Environment, plan: Plan) -> list[dict[str, Any]]:
    """Per process and round, its share of a core and its resident memory."""
    await at.fresh_topics(NAMESPACE)
    await set_up(at.settings(NAMESPACE))
    rows = []
    async with AsyncExitStack() as stack:
        pids = {"Kafka": at.kafka.pid or 0, "mongod": at.mongod.pid or 0}
        for name, role in PROCESSES:
            started = await stack.enter_async_context(service(at, NAMESPACE, name, role))
            pids[f"{name}, {role}"] = started.process.pid
        await _day_is_recorded(at)
        await asyncio.sleep(SETTLED_S)
        for number in range(plan.rounds):
            began, before = time.monotonic(), {name: usage(pid) for name, pid in pids.items()}
            await asyncio.sleep(SECONDS)
            took_s = time.monotonic() - began
            for name, pid in pids.items():
                cpu_s, rss = usage(pid)
                percent = round(100 * (cpu_s - before[name][0]) / took_s, 2)
                rows.append({"round": number, "process": name, "percent": percent, "rss_mb": round(rss / 1e6)})
                print(f"  {name:22} {percent:5.1f} % of a core, {rss / 1e6:.0f} MB", flush=True)
    return rows


async def _day_is_recorded(at: Environment) -> None:
    """Wait until monitoring has recorded the figures of today: that is once a day, and takes some seconds."""
    db = at.client[f"{NAMESPACE}_monitoring"]
    async with asyncio.timeout(RECORDED_WITHIN_S):
        while not (await published.days(db)).last:
            await asyncio.sleep(1)


def report(rows: list[dict[str, Any]]) -> list[str]:
    names = list(dict.fromkeys(row["process"] for row in rows))
    lines = [[name, *(f"{_mean(rows, name, figure):.1f}" for figure in ("percent", "rss_mb"))] for name in names]
    lines.append([PYTHON, f"{percent(rows):.1f}", f"{_together(rows, 'rss_mb'):.1f}"])
    return table(("process", "% of a core", "MB"), lines)


def percent(rows: list[dict[str, Any]]) -> float:
    """What the Python processes take of a core together."""
    return _together(rows, "percent")


def _together(rows: list[dict[str, Any]], figure: str) -> float:
    return sum(_mean(rows, f"{name}, {role}", figure) for name, role in PROCESSES)


def _mean(rows: list[dict[str, Any]], process: str, figure: str) -> float:
    found = [float(row[figure]) for row in rows if row["process"] == process]
    return sum(found) / len(found)

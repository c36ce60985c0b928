"""`make bench-quick`: what a change of the fast path moves, in three minutes, beside the committed results."""

import asyncio
import logging
import signal
import sys
from dataclasses import replace
from typing import Any

from benchmarks import frontier, idle, ingress, latency, throughput
from benchmarks.environment import Environment, environment
from benchmarks.plan import HERE, Plan, table
from benchmarks.systems import PEERS, PRAKTIKA, STREAMS, WORKER
from benchmarks.timing import run_once
from deploy.local.processes import ServerError

SECTIONS = ("latency", "ingress", "idle", "frontier")
EVENTS = 60_000
LIMIT_MS, PARTS = 300, (0.2, 0.35, 0.5, 0.65, 0.8)  # of its full speed on this machine
FELL_BY = 0.1  # what is looked into before a change is committed
Rows = dict[str, list[dict[str, Any]]]


async def measure(at: Environment, plan: Plan, committed: Rows) -> Rows:
    run = await run_once(at, WORKER, await throughput.prepared(at, EVENTS))
    full = run["warm_per_s"]
    print(f"  {PRAKTIKA} {full:,} events/s warm", flush=True)
    found = {
        "throughput": [{"system": PRAKTIKA, **run}],
        "latency": await latency.measure(at, plan, {PRAKTIKA: full / 2}),
        "ingress": await ingress.measure(at, plan, over_kafka=False),
        "idle": await idle.measure(at, plan),
    }
    peer = _best_peer(committed)
    _, tuning = frontier.held(committed["frontier"], peer, LIMIT_MS)
    climbs = [
        await frontier.climb(
            at, system, frontier.tuning_of(system.name, tuning), [round(full * part) for part in PARTS]
        )
        for system in (WORKER, *(each for each in PEERS if each.name == peer))
    ]
    return found | {"frontier": [row for rows in climbs for row in rows]}


def _best_peer(committed: Rows) -> str:
    return frontier.best_peer(committed["frontier"], LIMIT_MS)[0] or STREAMS


def figures(found: Rows) -> dict[str, tuple[float | None, bool]]:
    """By name: the figure, and whether more is better."""
    single, batch = (
        ingress.ratio(found["ingress"], kind) if found["ingress"] else None for kind in ("single", "batch")
    )
    return {
        "events/s, full speed": (throughput.speed(found["throughput"], PRAKTIKA), True),
        "half load p50, ms": (latency.at_half(found["latency"], 50), False),
        "half load p99, ms": (latency.at_half(found["latency"], 99), False),
        "ingress single, of the bare endpoint": (single, True),
        "ingress batch, of the bare endpoint": (batch, True),
        "idle Python, % of a core": (idle.percent(found["idle"]) if found["idle"] else None, False),
        f"events/s with p99 within {LIMIT_MS} ms": (
            frontier.held(found["frontier"], WORKER.name, LIMIT_MS)[0] or None,
            True,
        ),
        "the same, of the best peer": (frontier.ratio(found["frontier"], LIMIT_MS), True),
    }


def compared(found: Rows, committed: Rows) -> list[list[str]]:
    """Each figure beside the committed one, and whether it fell by more than a tenth."""
    lines, before = [], figures(committed)
    for name, (now, is_more_better) in figures(found).items():
        then, _ = before[name]
        fell = now and then and (now < then * (1 - FELL_BY) if is_more_better else now > then * (1 + FELL_BY))
        lines.append([name, _said(now), _said(then), "LOOK INTO IT" if fell else ""])
    return lines


def _said(number: float | None) -> str:
    return "-" if number is None else f"{number:,.0f}" if number >= 100 else f"{number:.2f}"


def summary(found: Rows) -> str:
    _, p50, p99, single, batch, percent, _, of_peer = (number or 0 for number, _ in figures(found).values())
    return (
        f"bench-quick: half load p50 {p50:.0f} ms p99 {p99:.0f} ms, ingress {single:.2f} single {batch:.2f} batch, "
        f"idle {percent:.0f} %, at {LIMIT_MS} ms {of_peer:.2f} of the best peer "
        f"({frontier.best_peer(found['frontier'], LIMIT_MS)[0] or 'none held'})"
    )


async def main() -> None:
    plan = replace(Plan.read(), rounds=1, folder=HERE / "results")
    committed = {name: plan.kept(name) for name in ("throughput", *SECTIONS)}
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)  # ends what was started, as Ctrl-C does
    async with environment() as at:
        found = await measure(at, plan, committed)
    print("", *table(("", "now", "committed", ""), compared(found, committed)), "", sep="\n")
    print(summary(found))


if __name__ == "__main__":
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # groups that are not there yet are expected
    try:
        asyncio.run(main())
    except ServerError as error:
        sys.exit(f"bench-quick: {error}")
    except (KeyboardInterrupt, asyncio.CancelledError):
        sys.exit("bench-quick: interrupted")

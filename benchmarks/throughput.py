"""Events per second: the same write module under every framework, what others would build, and the ceilings."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import job
from benchmarks.environment import Environment
from benchmarks.plan import Plan, table
from benchmarks.systems import CEILINGS, PEERS, SAME_MODULE
from benchmarks.timing import TROUBLE, Log, System, run_once
from deploy.local.processes import ROOT

GENERATOR = hashlib.sha256(Path(job.__file__).read_bytes()).hexdigest()[:6]
Run = dict[str, Any]

TABLES = (
    ("Same job, same write module", SAME_MODULE),
    ("Same job, built from the usual parts", PEERS),
    ("Ceilings", CEILINGS),
)


async def prepared(at: Environment, events: float, *, programmes: int = 200, cohorts: int = 6) -> Log:
    """A topic with about so many events, and what must be counted of them."""
    count, seed = max(1, round(events / job.EVENTS_PER_LEARNER)), 1
    made = job.learners(count, seed=seed, programmes=programmes, cohorts=job.COHORTS[:cohorts])
    records = len(job.log(made, seed=seed))
    namespace = f"b{GENERATOR}x{count}x{programmes}x{cohorts}"
    topic = await at.loaded(namespace, ["job", str(count), str(seed), str(programmes), str(cohorts)], records)
    return Log(namespace, topic, records, job.expected(made))


async def measure(at: Environment, plan: Plan) -> list[Run]:
    """Every system once a round, each round begun by another; what is known of an interrupted bench stays."""
    everybody = [c for _, systems in TABLES for c in systems if plan.wants(c.name)]
    logs = {c.share: await prepared(at, plan.events * c.share) for c in everybody}
    for system in everybody:
        system.command()  # what has to be installed or built first
    kept = plan.folder / "throughput.json"
    runs: list[Run] = json.loads(kept.read_text()) if plan.resume and kept.exists() else []
    known = {(run["round"], run["system"]) for run in runs}
    for number in range(plan.rounds):
        first = number * 3 % len(everybody)
        for system in [*everybody[first:], *everybody[:first]]:
            if (number, system.name) in known or _failed_twice(runs, system):
                continue
            run = {"round": number, "system": system.name, **await _run(at, system, logs[system.share])}
            runs.append(run)
            kept.write_text(json.dumps(runs, indent=1))
            print(f"  round {number + 1} of {plan.rounds}: {system.name:26} {_said(run)}", flush=True)
    return runs


async def _run(at: Environment, system: System, log: Log) -> Run:
    try:
        return await run_once(at, system, log)
    except TROUBLE as trouble:
        first, *others = str(trouble).splitlines() or [""]
        print(f"{trouble!r}\n{trouble}"[-2_000:], flush=True)
        # What is kept is published: no paths of this machine.
        return {
            "failed": f"{type(trouble).__name__}: {' ... '.join([first, *others[-1:]])}".replace(str(ROOT), "")[:300]
        }


def _failed_twice(runs: Iterable[Run], system: System) -> bool:
    return sum("failed" in run for run in runs if run["system"] == system.name) > 1


def _said(run: Run) -> str:
    if "failed" in run:
        return f"FAILED: {run['failed']}"
    if run["wrong"]:
        return f"WRONG: {run['wrong']}"
    return f"{run['warm_per_s']:>8,} events/s warm, {run['cold_per_s']:>7,} cold, {run['events']:,} events"


def speed(runs: Iterable[Run], name: str, figure: str = "warm_per_s") -> float | None:
    """The median over the rounds; None if it took no part, or was wrong once, or never arrived."""
    own = [run for run in runs if run["system"] == name]
    right = [run for run in own if "failed" not in run]
    if not right or any(run["wrong"] for run in right):
        return None
    return median(run[figure] for run in right)


def report(runs: Sequence[Run]) -> list[str]:
    lines: list[str] = []
    for title, systems in TABLES:
        present = [c for c in systems if any(run["system"] == c.name for run in runs)]
        present.sort(key=lambda c: -(speed(runs, c.name) or 0))
        if present:
            lines += [f"### {title}", "", *table(HEAD, [_row(runs, c) for c in present]), ""]
    return lines


HEAD = (
    "system",
    "events/s warm, median",
    "least - most",
    "events/s cold",
    "µs/event own",
    "mongod",
    "Kafka",
    "MB",
    "events",
    "at once",
    "result",
)


def _row(runs: Sequence[Run], system: System) -> list[str]:
    own = [run for run in runs if run["system"] == system.name]
    right = [run for run in own if "failed" not in run]
    name = f"{system.name} ({system.title})"
    if not right:
        return [name, "did not finish", *[""] * 8, "FAILED"]
    if any(run["wrong"] for run in right):
        return [name, *[""] * 9, "WRONG"]

    def middle(figure: str) -> float:
        return median(run[figure] for run in right)

    warm = [run["warm_per_s"] for run in right]
    return [
        name,
        f"{middle('warm_per_s'):,.0f}",
        f"{min(warm):,} - {max(warm):,}",
        f"{middle('cold_per_s'):,.0f}",
        *(f"{middle(figure):.1f}" for figure in ("own_us", "mongod_us", "kafka_us")),
        f"{middle('rss_mb'):.0f}",
        f"{right[0]['events']:,}",
        system.batch,
        f"right {len(right)} times" + (f", failed {len(own) - len(right)}" if len(own) > len(right) else ""),
    ]

"""`make bench`: Praktika against a bare loop, other frameworks, Java and the ceilings; see docs/benchmarks.md."""

import asyncio
import json
import logging
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

from benchmarks import (
    cold_start,
    figures,
    frontier,
    growth,
    idle,
    ingress,
    latency,
    machine,
    market,
    pages,
    reads,
    scale_out,
    status_list,
    throughput,
)
from benchmarks.environment import Environment, environment, tools
from benchmarks.plan import Plan, table
from benchmarks.systems import (
    BARE_LOOP,
    CEILINGS,
    COMMANDS,
    JAVA_CONSUMER,
    ONE_BY_ONE,
    PEERS,
    PRAKTIKA,
    SAME_MODULE,
    STREAMS,
)
from benchmarks.timing import TROUBLE
from deploy.local.processes import ROOT, ServerError

Rows = list[dict[str, Any]]
MACHINES = "machines.json"
TITLES = {
    "throughput": "Events per second",
    "latency": "From accepted to readable",
    "frontier": "Speed and freshness together",
    "idle": "When nothing happens",
    "cold-start": "From `make up` to the first event that counts",
    "growth": "As the number of learners grows",
    "scale-out": "More workers",
    "ingress": "The ingress",
    "reads": "Reading an indicator",
    "pages": "Pages, for 20 readers at once",
    "figures": "Pages and answers about figures of a large network, for 20 readers at once",
    "market": "The labour market",
    "status-list": "A status list, for 20 verifiers at once",
}


async def bench(plan: Plan) -> dict[str, Rows]:
    """Measure what is asked for; each section's rows are kept as soon as it is done."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)  # ends what was started, as Ctrl-C does
    async with environment() as at:
        found: dict[str, Rows] = {}
        if plan.does("throughput"):
            found["throughput"] = await _section(plan, "throughput", lambda: throughput.measure(at, plan), resumes=True)
        else:
            found["throughput"] = plan.kept("throughput")
        half = {
            name: (throughput.speed(found["throughput"], name) or usual) / 2
            for name, usual in ((PRAKTIKA, 20_000.0), (ONE_BY_ONE.name, 100.0))
        }
        for name, measure in _sections(at, plan, half).items():
            if plan.does(name):
                found[name] = await _section(plan, name, measure)
            elif plan.kept(name):
                found[name] = plan.kept(name)
        return found


def _sections(at: Environment, plan: Plan, half: dict[str, float]) -> dict[str, Callable[[], Awaitable[Rows]]]:
    async def more_workers() -> Rows:
        return await scale_out.measure(at, plan, await throughput.prepared(at, plan.events))

    async def reading() -> Rows:
        learners = min(40_000, plan.events // 4)
        log = await throughput.prepared(at, learners * 2.86, programmes=1_000, cohorts=1)
        return await reads.measure(at, plan, log)

    return {
        "latency": lambda: latency.measure(at, plan, half),
        "frontier": lambda: frontier.measure(at, plan),
        "idle": lambda: idle.measure(at, plan),
        "cold-start": lambda: cold_start.measure(plan),
        "growth": lambda: growth.measure(at, plan),
        "scale-out": more_workers,
        "ingress": lambda: ingress.measure(at, plan),
        "reads": reading,
        "pages": lambda: pages.measure(at, plan),
        "figures": lambda: figures.measure(at, plan),
        "market": lambda: market.measure(at, plan),
        "status-list": lambda: status_list.measure(at, plan),
    }


async def _section(plan: Plan, name: str, measure: Callable[[], Awaitable[Rows]], *, resumes: bool = False) -> Rows:
    if plan.resume and not resumes and (known := plan.kept(name)):
        print(f"{name}: kept")
        return known
    print(f"{name} ...", flush=True)
    began = time.monotonic()
    try:
        rows = await measure()
    except TROUBLE as trouble:  # the other sections go on
        print(f"{name}: FAILED: {trouble!r}"[:2_000], flush=True)
        return []
    (plan.folder / f"{name}.json").write_text(json.dumps(rows, indent=1) + "\n")
    places = measured_on(plan) | {name: machine.hardware()}
    (plan.folder / MACHINES).write_text(json.dumps(places, indent=1, sort_keys=True) + "\n")
    print(f"{name}: {time.monotonic() - began:.0f} s", flush=True)
    return rows


def measured_on(plan: Plan) -> dict[str, str]:
    """By section, the machine."""
    file = plan.folder / MACHINES
    places: dict[str, str] = json.loads(file.read_text()) if file.exists() else {}
    return places


REPORTS: dict[str, Callable[[Rows], list[str]]] = {
    "throughput": throughput.report,
    "latency": latency.report,
    "frontier": frontier.report,
    "idle": idle.report,
    "cold-start": cold_start.report,
    "growth": growth.report,
    "scale-out": scale_out.report,
    "ingress": ingress.report,
    "reads": reads.report,
    "pages": pages.report,
    "figures": figures.report,
    "market": market.report,
    "status-list": status_list.report,
}


def report(found: dict[str, Rows], places: dict[str, str]) -> list[str]:
    lines = ["# Results of `make bench`", "", *machine.described(), ""]
    goals = judged(found)
    if goals:
        lines += ["## Goals", "", *table(("goal", "wanted", "measured", ""), goals), ""]
    for name, rows in found.items():
        if rows:
            lines += [f"## {TITLES[name]}", "", f"On {places[name]}.", "", *REPORTS[name](rows), ""]
    return lines


def judged(found: dict[str, Rows]) -> list[list[str]]:
    """Each goal that there are figures for."""
    least = [
        [name, f"at least {goal}", f"{got:.2f}", "" if got >= goal else "MISSED"]
        for name, goal, got in _at_least(found)
        if got is not None
    ]
    return least + [
        [name, f"at most {goal}", f"{got:.2f}", "" if got <= goal else "MISSED"]
        for name, goal, got in _at_most(found)
        if got
    ]


Goal = tuple[str, float, float | None]


def _at_least(found: dict[str, Rows]) -> list[Goal]:
    runs = found.get("throughput", [])
    _, python = best(runs, without=STREAMS)
    goals: list[Goal] = [
        ("Praktika over the bare loop, same module", 0.95, share(runs, BARE_LOOP)),
        ("Praktika over the best Python peer", 2, over(runs, python)),
        ("Praktika over Kafka Streams", 1.3, share(runs, STREAMS)),
        ("Praktika over the MongoDB ceiling", 0.6, share(runs, COMMANDS)),
        ("Praktika over the same design in Java", 0.8, share(runs, JAVA_CONSUMER)),
    ]
    if rows := found.get("ingress"):
        goals += [
            (f"ingress over the bare endpoint, {kind}", goal, ingress.ratio(rows, kind))
            for kind, goal in (("single", 0.7), ("batch", 0.6))
        ]
    if rows := found.get("status-list"):
        goals += [
            (f"a status list over a static file, {way}", 0.7, status_list.ratio(rows, way))
            for way in (status_list.WHOLE, status_list.UNCHANGED)
        ]
    if rows := found.get("frontier"):
        goals += [
            (
                f"events/s with p99 within {limit} ms over the best peer ({frontier.best_peer(rows, limit)[0]})",
                goal,
                got,
            )
            for limit, goal in zip(frontier.LIMITS_MS, (1, 1, 0.8), strict=True)
            if (got := frontier.ratio(rows, limit)) is not None
        ]
    if rows := found.get("growth"):
        at_size = {row["learners"]: row["warm_per_s"] for row in rows}
        largest = max(at_size)
        if largest > 100_000:
            goals.append((f"{largest:,} learners over 100,000", 0.75, at_size[largest] / at_size[100_000]))
    return goals


def _at_most(found: dict[str, Rows]) -> list[Goal]:
    most: list[Goal] = []
    if rows := found.get("latency"):
        most.append(("idle latency over one by one, p50", 1.5, latency.ratio(rows)))
        most += [
            (f"latency at half load, p{at}, ms", goal, latency.at_half(rows, at)) for at, goal in ((50, 50), (99, 300))
        ]
    if rows := found.get("idle"):
        most.append(("% of a core that the idle Python processes take", 5, idle.percent(rows)))
    if rows := found.get("cold-start"):
        most.append(("first event counted after a cold start, s", 10, cold_start.seconds(rows)))
    if rows := found.get("reads"):
        most.append(("reading an indicator over find_one, driver", 3, reads.ratio(rows, reads.SUMMED, reads.ONE)))
        most.append(("the same over HTTP, nothing new", 3, reads.ratio(rows, reads.KEPT_HTTP, reads.ONE_HTTP)))
        most.append(
            ("the same over HTTP, new events before each", 3, reads.ratio(rows, reads.MOVED_HTTP, reads.ONE_HTTP))
        )
    if rows := found.get("pages"):
        most.append(("the slowest page over a bare one of its size, p95", 3, pages.worst(rows, pages.BARE)))
        most.append(("the slowest page over a bare one behind a sign-in, p95", 3, pages.worst(rows, pages.SIGNED_IN)))
        most.append(("the heaviest page in all, kB", 150, pages.heaviest(rows)))
    if rows := found.get("figures"):
        most.append(
            ("the slowest page of figures over a bare one of its size, p95", 5, figures.worst(rows, figures.PAGE))
        )
        most.append(
            ("the slowest answer about figures over find_one over HTTP, p95", 3, figures.worst(rows, figures.ANSWER))
        )
    if rows := found.get("market"):
        most += [
            (f"the gap table over find_one over HTTP, p95, {when}", 3, market.ratio(rows, when))
            for when in (market.IDLE, market.MOVING)
        ]
    return most


def share(runs: Rows, of: str) -> float | None:
    return over(runs, throughput.speed(runs, of))


def over(runs: Rows, speed: float | None) -> float | None:
    own = throughput.speed(runs, PRAKTIKA)
    return own / speed if own and speed else None


def best(runs: Rows, *, without: str = "") -> tuple[str, float | None]:
    """The fastest of those who built it themselves."""
    speeds = {c.name: throughput.speed(runs, c.name) for c in PEERS if c.name != without}
    return max(speeds.items(), key=lambda item: item[1] or 0)


def summary(runs: Rows) -> str:
    name, speed = best(runs)

    def said(value: float | None) -> str:
        return f"{value:.2f}" if value else "-"

    return (
        f"bench: same module {said(share(runs, BARE_LOOP))} of the bare loop, "
        f"{said(over(runs, speed))} times the best peer ({name}), {said(share(runs, COMMANDS))} of the ceiling"
    )


def draw(plan: Plan) -> None:
    groups = {"same": SAME_MODULE, "peer": PEERS, "ceiling": CEILINGS}
    named = {group: [c.name for c in systems] for group, systems in groups.items()}
    if (plan.folder / "throughput.json").exists():
        (plan.folder / "groups.json").write_text(json.dumps(named))
    subprocess.run([tools(), "-m", "benchmarks.plot", str(plan.folder)], cwd=ROOT, check=False)
    (plan.folder / "groups.json").unlink(missing_ok=True)


def main() -> int:
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # groups that are not there yet are expected
    plan = Plan.read()
    began = time.monotonic()
    try:
        found = asyncio.run(bench(plan))
    except (ServerError, subprocess.CalledProcessError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except (KeyboardInterrupt, asyncio.CancelledError):
        print("bench: interrupted; BENCH_RESUME=1 goes on", file=sys.stderr)
        return 130
    failed = [name for name, rows in found.items() if not rows and plan.does(name)]
    failed += [name for name, rows in found.items() if any(row.get("wrong") for row in rows)]
    lines = report(found, measured_on(plan))
    (plan.folder / "results.md").write_text("\n".join(lines))
    print("\n".join(lines))
    if found["throughput"] or found.get("frontier"):
        draw(plan)
    print(f"{(time.monotonic() - began) / 60:.0f} minutes; results are in {plan.folder.name}/")
    if failed:
        print(f"failed or wrong: {', '.join(failed)}")
    print(summary(found["throughput"]))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

"""`make faults`: breaks everything for FAULTS_MINUTES (5), as FAULTS_SEED says, and proves that nothing is lost.

Exits 0 only if nothing was lost, counted twice or certified twice. See docs/faults.md.
"""

import asyncio
import json
import os
import random
import signal
import sys
from statistics import median

from deploy.local.processes import ROOT, ServerError
from deploy.local.servers import STATE

from .breaking import KINDS, Faults, say
from .finding import Findings
from .run import Run, running
from .stack import Stack

RATE = 120  # events a second, with duplicates: two cores that run and restart all of it have as much again to catch up
EVERY_S = 8
GOAL_S = 15
MOST_WAITING = 2
NOT_COMPARED = ("repeats", "events of hostile", "refusals")
RESULT = ROOT / "benchmarks/results/faults.json"


async def main(seed: int, minutes: float) -> int:
    print(f"FAULTS_SEED={seed} FAULTS_MINUTES={minutes:g}")
    async with running(Stack(STATE / "faults"), seed, RATE) as run:
        progress = asyncio.create_task(report_progress(run))
        await run.compare_waiting()
        await run.faults.run(minutes * 60, EVERY_S)
        found = await run.prove()
        progress.cancel()
    for words in found.words[:50]:
        print(words)
    print_table(run, found)
    keep(run, found, minutes)
    worst = max((i.recovered_s or 0 for i in run.faults.injected), default=0)
    if worst > GOAL_S:
        print(f"warning: the goal is to recover within {GOAL_S} s")
    attacked = run.p99_s["attacked"] / run.p99_s["quiet"]
    print(f"hostile: the others' p99 was {attacked:.2f} times its quiet value; the goal is less than {MOST_WAITING:g}")
    total = len(run.faults.injected)
    print(f"faults: {total} injected, {found.lost} lost, {found.twice} twice, recovered in {worst:.1f} s at most")
    return 0 if found.clean and attacked < MOST_WAITING else 1


async def report_progress(run: Run) -> None:
    last = 0
    while not run.sending.done():
        await asyncio.sleep(10)
        behind = max(run.watch.behind(await run.watch.ends()).values())
        rate, last = (run.load.accepted - last) / 10, run.load.accepted
        faults = len(run.faults.injected)
        say(f"accepted {run.load.accepted:,} ({rate:.0f}/s), {behind:,} not applied, {faults} faults")


def rows(faults: Faults) -> list[tuple[str, int, list[float]]]:
    """Each kind of fault: how often it was injected, and the seconds that it took to recover."""
    found = []
    for kind in KINDS:
        of_kind = [i for i in faults.injected if i.kind is kind]
        found.append((kind.name, len(of_kind), sorted(i.recovered_s for i in of_kind if i.recovered_s is not None)))
    return found


def print_table(run: Run, found: Findings) -> None:
    """One row per fault. What is lost or doubled belongs to the whole run: faults overlap."""
    print(
        f"\n{'fault':36} {'times':>5} {'lost':>5} {'twice':>6} {'certificates doubled':>21} {'seconds to recover':>19}"
    )
    print(f"{'':36} {'':5} {'':5} {'':6} {'':21} {'median':>9} {'most':>9}")
    impossible = run.faults.impossible()
    for name, times, seconds in rows(run.faults):
        spread = f"{median(seconds):9.1f} {seconds[-1]:9.1f}" if seconds else f"{'–':>9} {'–':>9}"
        note = f"  not possible here: {impossible[name]}" if name in impossible else ""
        print(f"{name:36} {times:5} {'':5} {'':6} {'':21} {spread}{note}")
    every = sorted(s for _, _, seconds in rows(run.faults) for s in seconds)
    spread = f"{median(every):9.1f} {every[-1]:9.1f}" if every else ""
    total = len(run.faults.injected)
    print(f"{'the whole run':36} {total:5} {found.lost:5} {found.twice:6} {found.doubled:21} {spread}\n")
    for what, number in facts(run, found).items():
        print(f"{number:9,}  {what}")
    for attack, answers in run.hostile.answers.items():
        statuses = ", ".join(f"{status}: {number:,}" for status, number in sorted(answers.items()))
        print(f"{sum(answers.values()):9,}  {attack.replace('_', ' ')} ({statuses})")


def facts(run: Run, found: Findings) -> dict[str, int]:
    load = run.load
    return {
        "events accepted by the ingress": load.accepted,
        "of them sent again": load.repeated,
        "poison records sent": load.poisoned,
        **{
            what if what.startswith(NOT_COMPARED) else f"{what} compared": number
            for what, number in found.checked.items()
        },
        **run.faults.noted(),
        **{f"{name} ended without a fault": number for name, number in run.stack.ended.items()},
    }


def keep(run: Run, found: Findings, minutes: float) -> None:
    result = {
        "seed": run.seed,
        "minutes": minutes,
        "injected": len(run.faults.injected),
        "lost": found.lost,
        "twice": found.twice,
        "certificates_doubled": found.doubled,
        "faults": [
            {"fault": name, "times": times, "recovered_s": [round(s, 1) for s in seconds]}
            for name, times, seconds in rows(run.faults)
        ],
        "p99_s": {when: round(seconds, 4) for when, seconds in run.p99_s.items()},
        "hostile": run.hostile.answers,
        "impossible": run.faults.impossible(),
        "facts": facts(run, found),
        "differences": found.words[:1_000],
    }
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    seed = int(os.environ.get("FAULTS_SEED") or random.randrange(1_000_000))  # noqa: S311
    try:
        sys.exit(asyncio.run(main(seed, float(os.environ.get("FAULTS_MINUTES") or 5))))
    except KeyboardInterrupt:
        sys.exit("interrupted: everything is ended")
    except ServerError as error:
        sys.exit(f"faults: {error}")

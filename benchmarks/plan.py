"""What a bench is asked to do, and small things to print."""

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SECTIONS = (
    "throughput",
    "latency",
    "frontier",
    "idle",
    "cold-start",
    "growth",
    "scale-out",
    "ingress",
    "reads",
    "pages",
    "figures",
    "market",
    "status-list",
)
HERE = Path(__file__).parent


@dataclass(frozen=True)
class Plan:
    """Settings of a bench, read from the environment.

    Attributes:
        rounds, events: BENCH_ROUNDS, BENCH_EVENTS.
        full: BENCH_FULL; the largest sizes, too.
        resume: BENCH_RESUME; keep the runs of an interrupted bench.
        only: BENCH_ONLY; sections (latency, growth, ...) and systems, by name.
        folder: BENCH_RESULTS; where the results go.
    """

    rounds: int
    events: int
    full: bool
    resume: bool
    only: frozenset[str]
    folder: Path

    @classmethod
    def read(cls) -> "Plan":
        folder = Path(os.environ.get("BENCH_RESULTS") or HERE / "results").resolve()
        folder.mkdir(parents=True, exist_ok=True)
        return cls(
            rounds=int(os.environ.get("BENCH_ROUNDS", "5")),
            events=int(os.environ.get("BENCH_EVENTS", "200000")),
            full=bool(os.environ.get("BENCH_FULL")),
            resume=bool(os.environ.get("BENCH_RESUME")),
            only=frozenset(filter(None, os.environ.get("BENCH_ONLY", "").split(","))),
            folder=folder,
        )

    def kept(self, section: str) -> list[dict[str, Any]]:
        """The rows of a section that the folder has."""
        file = self.folder / f"{section}.json"
        rows: list[dict[str, Any]] = json.loads(file.read_text()) if file.exists() else []
        return rows

    def does(self, section: str) -> bool:
        named = self.only & set(SECTIONS)
        return section in named if named else not self.only or section == "throughput"

    def wants(self, system: str) -> bool:
        named = self.only - set(SECTIONS)
        return not named or system in named


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A Markdown table; all but the first column to the right."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return [f"| {' | '.join(line)} |" for line in lines]


def percentile(values: Iterable[float], percent: float) -> float:
    """The nearest rank."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]

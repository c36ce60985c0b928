"""The six indicators counted straight from the file, with none of the product's code: what the demo must equal."""

import csv
import gzip
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

INDICATORS = (
    "employment_rate_18m",
    "employment_rate_30m",
    "insertion_rate",
    "stable_job_rate",
    "full_time_rate",
    "status_response_rate",
)
Counts = dict[str, tuple[int, int]]  # numerator and denominator by indicator


def count(file: Path) -> tuple[Counts, dict[str, Counts]]:
    """Numerators and denominators of the whole file, and of each programme (by code, empty where there is none)."""
    with gzip.open(file, "rt", encoding="utf-8", newline="") as lines:
        people = list(csv.DictReader(lines))
    programmes: dict[str, list[dict[str, str]]] = defaultdict(list)
    for person in people:
        programmes[person["code_diplome"]].append(person)
    return _rates(people), {code: _rates(members) for code, members in programmes.items()}


def _rates(people: list[dict[str, str]]) -> Counts:
    work, seeking = "En emploi", "En recherche d'emploi"

    def share(
        numerator: Callable[[dict[str, str]], bool], denominator: Callable[[dict[str, str]], bool]
    ) -> tuple[int, int]:
        group = [p for p in people if denominator(p)]
        return sum(map(numerator, group)), len(group)

    return {
        "employment_rate_18m": share(lambda p: p["situationProN18"] == work, lambda p: p["situationProN18"] != ""),
        "employment_rate_30m": share(lambda p: p["situationProN30"] == work, lambda p: p["situationProN30"] != ""),
        "insertion_rate": share(lambda p: _latest(p) == work, lambda p: _latest(p) in (work, seeking)),
        "stable_job_rate": share(lambda p: _of(p, "emploiStable") == "True", lambda p: _of(p, "emploiStable") != ""),
        "full_time_rate": share(lambda p: _of(p, "emploiPlein") == "True", lambda p: _of(p, "emploiPlein") != ""),
        "status_response_rate": share(lambda p: _latest(p) != "", lambda _: True),
    }


def _latest(person: dict[str, str]) -> str:
    return person["situationProN30"] or person["situationProN18"]


def _of(person: dict[str, str], column: str) -> str:
    """The job's column at the latest known status, if that is a job."""
    months = "30" if person["situationProN30"] else "18"
    return person[f"{column}N{months}"] if _latest(person) == "En emploi" else ""

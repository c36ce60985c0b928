"""When a programme should be revised, by feedback and by demand: plain numbers, pure rules."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import NamedTuple

from shared.contract.events import (
    Data,
    Event,
    GapGround,
    ProgrammeGapFound,
    ProgrammeRevisionRecommended,
    derive,
    derived_id,
    is_sustainability,
)
from shared.processing import facts
from shared.processing.facts import State
from shared.statistics import wilson

LEAST_RATINGS = 5
LEAST_EMPLOYERS = 3
SATISFIED_SHARE = 0.6
BY = ("id", "period")  # what the counters that are read here are wanted summed by
Sums = Mapping[tuple[str, ...], Mapping[str, int]]


class Gap(NamedTuple):
    """Ratings of one of a programme's competencies in a window (calendar quarter, UTC)."""

    programme: str
    competency: str
    window: str
    ratings: int
    satisfied: int

    @property
    def is_open(self) -> bool:
        return self.ratings >= LEAST_RATINGS and self.satisfied < SATISFIED_SHARE * self.ratings


class Finding(NamedTuple):
    """What speaks for revising a programme, unless it was said of this window already.

    Attributes:
        ground: None: by ratings.
        evidence: the fields of the event that are the ground's own.
    """

    programme: str
    competency: str
    window: str
    ground: GapGround | None
    evidence: Mapping[str, int]

    @property
    def id(self) -> str:
        about = self.programme, self.competency, self.window
        if self.ground is None:
            return derived_id("programme.revision_recommended", *about)
        return derived_id("programme.gap_found", self.ground, *about)

    def is_about(self, declared: Iterable[str]) -> bool:
        """Does it hold of a programme with these competencies? What is wished is what the programme does not name."""
        return self.ground is GapGround.demand or (self.competency in declared) is (self.ground != GapGround.wishes)


class Demand(NamedTuple):
    """Places demanded of a competency in a region, and by whom."""

    competency: str
    region: str
    organisation: str
    places: int


def window_of(month: str) -> str:
    """The quarter of a month: 2026-05 is in 2026Q2."""
    year, number = month.split("-")[:2]
    return f"{year}Q{(int(number) + 2) // 3}"


def gaps(sums: Sums) -> list[Gap]:
    """Ratings by programme, competency and window, from the counters `programme_competency` summed by `BY`."""
    totals: dict[tuple[str, str, str], list[int]] = {}
    for (id, month), measures in sums.items():
        programme, competency = id.split(" ")
        total = totals.setdefault((programme, competency, window_of(month)), [0, 0])
        for measure, count in measures.items():
            total[0] += count
            total[1] += count if measure in ("rating_4", "rating_5") else 0
    return [Gap(*about, *total) for about, total in sorted(totals.items())]


def by_ratings(known: Iterable[Gap]) -> list[Finding]:
    """Competencies of which too few ratings are 4 or 5."""
    return [
        Finding(gap.programme, gap.competency, gap.window, None, {"ratings": gap.ratings, "satisfied": gap.satisfied})
        for gap in known
        if gap.is_open
    ]


def falls(known: Iterable[Gap]) -> list[Finding]:
    """Sustainability competencies whose share of 4 and 5 fell from one window to the next, by more than chance.

    What `by_ratings` finds already is not found again.
    """
    found: list[Finding] = []
    before: dict[tuple[str, str], Gap] = {}
    for gap in sorted(known):
        if gap.ratings < LEAST_RATINGS or not is_sustainability(gap.competency):
            continue
        earlier = before.get((gap.programme, gap.competency))
        before[gap.programme, gap.competency] = gap
        if earlier is None or gap.is_open or not _is_lower(gap, earlier):
            continue
        evidence = {
            "ratings": gap.ratings,
            "satisfied": gap.satisfied,
            "ratings_before": earlier.ratings,
            "satisfied_before": earlier.satisfied,
        }
        found.append(Finding(gap.programme, gap.competency, gap.window, GapGround.fall, evidence))
    return found


def _is_lower(gap: Gap, earlier: Gap) -> bool:
    return wilson(gap.satisfied, gap.ratings)[1] < wilson(earlier.satisfied, earlier.ratings)[0]


def wishes(sums: Sums) -> list[Finding]:
    """Competencies that several employers rated low in a window, from the counters `wish` summed by `BY`."""
    employers: dict[tuple[str, str, str], set[str]] = {}
    for (id, month), counts in sums.items():
        programme, competency, employer = id.split(" ")
        if any(counts.values()):
            employers.setdefault((programme, competency, window_of(month)), set()).add(employer)
    return [
        Finding(*about, GapGround.wishes, {"employers": len(some)})
        for about, some in sorted(employers.items())
        if len(some) >= LEAST_EMPLOYERS
    ]


class Programme(NamedTuple):
    """What it teaches, the region of its institution, and the enterprises that trained its learners."""

    id: str
    region: str | None
    competencies: frozenset[str]
    hosts: frozenset[str]


def unmet(
    programmes: Iterable[Programme], demanded: Iterable[Demand], certified: set[tuple[str, str | None]], window: str
) -> list[Finding]:
    """Demand that a programme could meet and that no institution of its region certifies.

    It could, if it teaches the competency and its own region demands it, or if those who train its learners do.

    Args:
        certified: competencies with the regions of the institutions that have a scheme for them.
        window: the one in which this is asked.
    """
    reports = list(demanded)
    found = []
    for programme in programmes:
        places: dict[str, int] = {}
        for one in reports:
            is_own = one.competency in programme.competencies and one.region == programme.region
            if (is_own or one.organisation in programme.hosts) and (one.competency, programme.region) not in certified:
                places[one.competency] = places.get(one.competency, 0) + one.places
        found += [
            Finding(programme.id, competency, window, GapGround.demand, {"places": count})
            for competency, count in sorted(places.items())
        ]
    return found


def recommend(programme: str, state: State, known: Iterable[Finding], now: datetime) -> list[Event[Data]]:
    """What should be said of a programme for these findings, once per window, and is not yet."""
    published = facts.last(state, "programme.published")
    if published is None:
        return []
    declared = {part["competency"] for part in published["data"].get("competencies", [])}
    said = facts.facts(state, "programme.revision_recommended") | facts.facts(state, "programme.gap_found")
    return [
        _event(finding, now)
        for finding in known
        if finding.programme == programme and finding.is_about(declared) and finding.id not in said
    ]


def _event(finding: Finding, now: datetime) -> Event[Data]:
    about = {"recommendation": finding.id, "competency": finding.competency, "window": finding.window}
    data: Data
    if finding.ground is None:
        data = ProgrammeRevisionRecommended(**about, **finding.evidence, threshold=SATISFIED_SHARE)
    else:
        data = ProgrammeGapFound(**about, ground=finding.ground, **finding.evidence)
    return derive("feedback", data, id=finding.id, subject=finding.programme, key=finding.programme, time=now)

"""When a programme should be revised, by feedback and by demand: plain numbers, pure rules."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

from shared.contract.events import (
    Data,
    Event,
    GapGround,
    ProgrammeDemandLapsed,
    ProgrammeGapFound,
    ProgrammeRevisionRecommended,
    derive,
    derived_id,
)
from shared.processing import facts
from shared.processing.facts import State
from shared.settings import Settings
from shared.statistics import wilson

from .market import History, Of

QUARTERS = 4  # the newest that have enough, of which ratings are taken together
YEAR = timedelta(days=365)
BY = ("id", "period")  # what the counters that are read here are wanted summed by
Sums = Mapping[tuple[str, ...], Mapping[str, int]]


class Rules(NamedTuple):
    """From when on a gap is one; settings of the operator, see there.

    Attributes:
        least_ratings: never fewer than are shown.
    """

    least_ratings: int = 5
    satisfied_share: float = 0.6
    least_employers: int = 3
    least_vacancies: int = 5
    undemanded_days: int = 365

    @classmethod
    def of(cls, settings: Settings) -> "Rules":
        return cls(
            max(settings.gap_least_ratings, settings.suppress_below),
            settings.gap_satisfied_share,
            settings.gap_least_employers,
            settings.gap_least_vacancies,
            settings.gap_undemanded_days,
        )


class Gap(NamedTuple):
    """Ratings of one of a programme's competencies in a window (calendar quarter, UTC)."""

    programme: str
    competency: str
    window: str
    ratings: int
    satisfied: int

    def is_open(self, rules: Rules) -> bool:
        return self.ratings >= rules.least_ratings and self.satisfied / self.ratings < rules.satisfied_share


class Finding(NamedTuple):
    """What speaks for revising a programme, unless it was said of this window already.

    Attributes:
        ground: a `GapGround`, "ratings", or "lapsed".
        evidence: the fields of the event that are the ground's own.
    """

    programme: str
    competency: str
    window: str
    ground: str
    evidence: Mapping[str, Any]

    @property
    def id(self) -> str:
        about = self.programme, self.competency, self.window
        if self.ground == "ratings":
            return derived_id("programme.revision_recommended", *about)
        if self.ground == "lapsed":
            return derived_id("programme.demand_lapsed", *about)
        return derived_id("programme.gap_found", self.ground, *about)

    def is_about(self, declared: Iterable[str]) -> bool:
        """Does it hold of a programme with these competencies? What is wished is what the programme does not name."""
        return self.ground == GapGround.demand or (self.competency in declared) is (self.ground != GapGround.wishes)


class ReportedDemand(NamedTuple):
    """Places that reports demand of a competency in a region, and by whom."""

    competency: str
    region: str | None
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


class Rated(NamedTuple):
    """How often each rating was given (`rating_4`) in quarters that are shown; others may be hidden."""

    counts: Counter[str]
    hidden: bool

    def __add__(self, other: "Rated") -> "Rated":  # type: ignore[override]
        return Rated(self.counts + other.counts, self.hidden or other.hidden)


NOT_RATED = Rated(Counter(), hidden=False)


def shown_ratings(sums: Sums, least: int) -> dict[tuple[str, str], Rated]:
    """Ratings by programme and competency, of quarters with at least *least*: those of others follow from no sum.

    Args:
        sums: the counters `programme_competency` summed by `BY`.
    """
    quarters: dict[tuple[str, str, str], Counter[str]] = {}
    for (id, month), measures in sums.items():
        programme, competency = id.split(" ")
        quarters.setdefault((programme, competency, window_of(month)), Counter()).update(measures)
    found: dict[tuple[str, str], Rated] = {}
    for (programme, competency, _), counts in quarters.items():
        few = counts.total() < least
        rated = Rated(Counter() if few else counts, few)
        found[programme, competency] = found.get((programme, competency), NOT_RATED) + rated
    return found


def by_ratings(known: Iterable[Gap], rules: Rules) -> list[Finding]:
    """Competencies of which too few ratings are 4 or 5."""
    return [Finding(*gap[:3], "ratings", _rated(gap)) for gap in known if gap.is_open(rules)]


def _rated(gap: Gap) -> dict[str, int]:
    return {"ratings": gap.ratings, "satisfied": gap.satisfied}


def falls(known: Iterable[Gap], sustainability: Collection[str], rules: Rules) -> list[Finding]:
    """Sustainability competencies whose share of 4 and 5 fell between windows with enough ratings, by more than chance.

    What `by_ratings` finds already is not found again.
    """
    found: list[Finding] = []
    before: dict[tuple[str, str], Gap] = {}
    for gap in sorted(known):
        if gap.ratings < rules.least_ratings or gap.competency not in sustainability:
            continue
        earlier = before.get((gap.programme, gap.competency))
        before[gap.programme, gap.competency] = gap
        if earlier is None or gap.is_open(rules) or not _is_lower(gap, earlier):
            continue
        evidence = _rated(gap) | {f"{name}_before": count for name, count in _rated(earlier).items()}
        found.append(Finding(gap.programme, gap.competency, gap.window, GapGround.fall, evidence))
    return found


def _is_lower(gap: Gap, earlier: Gap) -> bool:
    return wilson(gap.satisfied, gap.ratings)[1] < wilson(earlier.satisfied, earlier.ratings)[0]


def wishes(sums: Sums, rules: Rules) -> list[Finding]:
    """Competencies that several employers rated low in a window, from the counters `wish` summed by `BY`."""
    employers: dict[tuple[str, str, str], set[str]] = {}
    for (id, month), counts in sums.items():
        programme, competency, employer = id.split(" ")
        if any(counts.values()):
            employers.setdefault((programme, competency, window_of(month)), set()).add(employer)
    return [
        Finding(*about, GapGround.wishes, {"employers": len(some)})
        for about, some in sorted(employers.items())
        if len(some) >= rules.least_employers
    ]


class Programme(NamedTuple):
    """What it teaches, the region of its institution, and the enterprises that trained its learners."""

    id: str
    region: str | None
    competencies: frozenset[str]
    hosts: frozenset[str]


class DemandToday(NamedTuple):
    """What is demanded today, and what is certified.

    Attributes:
        reported: by reports that are in force.
        reported_until: the last day to which reports demand, or demanded, a competency in a region.
        history: of vacancies.
        certified: competencies with the regions of the institutions that have a scheme for them.
        day: today.
    """

    reported: list[ReportedDemand]
    reported_until: Mapping[Of, str]
    history: History
    certified: set[Of]
    day: date

    @property
    def window(self) -> str:
        return window_of(self.day.isoformat())


def unmet(programmes: Iterable[Programme], market: DemandToday, rules: Rules) -> list[Finding]:
    """ReportedDemand that a programme could meet and that no institution of its region certifies.

    It could, if it teaches the competency and vacancies or reports of its own region demand it, or if those who train
    its learners report that they do.
    """
    found = []
    for programme in programmes:
        evidence: dict[str, dict[str, int]] = {}
        for one in market.reported:
            is_own = one.competency in programme.competencies and one.region == programme.region
            if is_own or one.organisation in programme.hosts:
                places = evidence.setdefault(one.competency, {"places": 0})
                places["places"] += one.places
        for competency in programme.competencies:
            vacancies = market.history.open.get((competency, programme.region), 0) if programme.region else 0
            if vacancies >= rules.least_vacancies:
                evidence.setdefault(competency, {})["vacancies"] = vacancies
        found += [
            Finding(programme.id, competency, market.window, GapGround.demand, said)
            for competency, said in sorted(evidence.items())
            if (competency, programme.region) not in market.certified
        ]
    return found


def lapsed(programmes: Iterable[Programme], market: DemandToday, rules: Rules) -> list[Finding]:
    """Competencies that a programme teaches and its region certifies, and that nothing there has demanded for long.

    Only where the region's vacancies have been observed for as long, and a skill is mapped to the competency.
    """
    long_ago = (market.day - timedelta(days=rules.undemanded_days)).isoformat()
    found = []
    history = market.history
    for programme in programmes:
        for of in sorted((competency, programme.region) for competency in programme.competencies):
            if of not in market.certified or history.open.get(of) or not history.is_known(of, long_ago):
                continue
            until = max(filter(None, (history.until(of), market.reported_until.get(of))), default=None)
            if until is None or until <= long_ago:
                evidence = {"demanded_until": until, "observed_since": history.since[programme.region]}
                found.append(Finding(programme.id, of[0], market.window, "lapsed", evidence))
    return found


def recommend(state: State, known: Iterable[Finding], now: datetime, rules: Rules) -> list[Event[Data]]:
    """What should be said of a programme for the findings about it, once per window, and is not yet."""
    published = facts.last(state, "programme.published")
    if published is None:
        return []
    declared = {part["competency"] for part in published["data"].get("competencies", [])}
    said = {slot for event_class in facts.RECOMMENDATIONS for slot in facts.facts(state, event_class.short_type)}
    return [_event(finding, now, rules) for finding in known if finding.is_about(declared) and finding.id not in said]


def _event(finding: Finding, now: datetime, rules: Rules) -> Event[Data]:
    about = {"recommendation": finding.id, "competency": finding.competency, "window": finding.window}
    data: Data
    if finding.ground == "ratings":
        data = ProgrammeRevisionRecommended(**about, **finding.evidence, threshold=rules.satisfied_share)
    elif finding.ground == "lapsed":
        data = ProgrammeDemandLapsed(**about, **finding.evidence)
    else:
        data = ProgrammeGapFound(**about, ground=GapGround(finding.ground), **finding.evidence)
    return derive("feedback", data, id=finding.id, subject=finding.programme, key=finding.programme, time=now)

"""The gap table: what is demanded, certified and rated, programme by programme and competency by competency. Pure.

Small groups are hidden in each row by itself, and what is hidden is in no sum: other filters, or sums over a region,
tell nothing more than the rows do.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from operator import attrgetter
from typing import Any, NamedTuple

from shared.contract.events import GapGround
from shared.processing.employment import months_later
from shared.statistics import wilson

from .gaps import QUARTERS, YEAR, DemandToday, Finding, Gap, Rules, window_of
from .market import Of


class Offer(NamedTuple):
    """A programme as the table sees it.

    Attributes:
        expected: learners who are to graduate within a year; None: not known.
        answers: what became of its recommendations, by id; what the operator withdrew is "withdrawn".
    """

    id: str
    title: str
    institution: str
    region: str | None
    competencies: frozenset[str]
    expected: int | None
    answers: Mapping[str, str]


class Ground(NamedTuple):
    """Why a row is red, and how it was answered: open, revised, planned, overdue, declined; "": nobody was asked."""

    ground: str
    answer: str


class Quarter(NamedTuple):
    """Ratings of a calendar quarter; *satisfied* of them are 4 or 5."""

    window: str
    satisfied: int
    ratings: int


class Row(NamedTuple):
    """One competency of a programme, or of a region (then `programme` is empty). None: not enough data, or hidden.

    Attributes:
        programmes: how many teach it.
        vacancies: open ones of the region that demand it; `a_year_before`: how many were open then.
        coverage: the share of the region's open vacancies that have a mapped skill.
        places: demanded by reports in force in the region.
        is_certifiable: an institution of the region has a scheme for it.
        certified: people with a valid certificate.
        expected: learners of those who teach it who are to graduate within a year.
        hidden: names of counts that a small group is hidden in; those of a region are without it.
        quarters: of ratings, the newest four that have enough; `ratings` and the rest are of these together, with the
            95 % interval (Wilson) of the share of 4 and 5.
    """

    programme: str
    title: str
    institution: str
    region: str | None
    competency: str
    programmes: int
    vacancies: int | None
    a_year_before: int | None
    coverage: float | None
    places: int
    is_certifiable: bool
    certified: int | None
    expected: int | None
    hidden: tuple[str, ...]
    ratings: int | None
    satisfied: int | None
    share: float | None
    lower: float | None
    upper: float | None
    quarters: tuple[Quarter, ...]
    grounds: tuple[Ground, ...]


@dataclass
class Table:
    """The table, made of what is known.

    Args:
        ratings: by programme, competency and quarter, large and small.
        certified: people by programme and competency; None: not known.
        findings: about all programmes.
        coverage: by region, the share of open vacancies with a mapped skill.
        rules: by which the findings were found.
        least: the smallest group that is shown.
    """

    offers: list[Offer]
    ratings: Iterable[Gap]
    certified: Mapping[tuple[str, str], int] | None
    findings: Mapping[str, Iterable[Finding]]
    market: DemandToday
    coverage: Mapping[str | None, float | None]
    rules: Rules
    least: int
    _rated: dict[tuple[str, str], list[Quarter]] = field(default_factory=lambda: defaultdict(list))
    _demand: dict[Of, dict[str, Any]] = field(default_factory=dict)
    _places: dict[Of, int] = field(default_factory=lambda: defaultdict(int))

    def __post_init__(self) -> None:
        for gap in sorted(self.ratings):
            if gap.ratings >= self.least:
                quarter = Quarter(gap.window, gap.satisfied, gap.ratings)
                self._rated[gap.programme, gap.competency].append(quarter)
        for one in self.market.reported:
            self._places[one.competency, one.region] += one.places

    def rows(self) -> Iterator[Row]:
        """Each programme with what it teaches, and with what else is rated or found of it; by their ids."""
        rated: dict[str, set[str]] = defaultdict(set)
        for programme, competency in self._rated:
            rated[programme].add(competency)
        for offer in sorted(self.offers, key=lambda one: one.id):
            grounds = self._grounds(offer)
            for competency in sorted(offer.competencies | rated[offer.id] | grounds.keys()):
                yield self._row(offer, competency, grounds.get(competency, ()))

    def _row(self, offer: Offer, competency: str, grounds: Iterable[Ground]) -> Row:
        quarters = self._rated.get((offer.id, competency), [])[-QUARTERS:]
        certified = None if self.certified is None else self.certified.get((offer.id, competency), 0)
        expected = offer.expected if competency in offer.competencies else None
        counts = {"certified": certified, "expected": expected}
        hidden = tuple(name for name, count in counts.items() if count and count < self.least)
        return Row(
            programme=offer.id,
            title=offer.title,
            institution=offer.institution,
            region=offer.region,
            competency=competency,
            programmes=int(competency in offer.competencies),
            **self._demanded((competency, offer.region)),
            certified=None if "certified" in hidden else certified,
            expected=None if "expected" in hidden else expected,
            hidden=hidden,
            **_rated(quarters),
            grounds=tuple(grounds),
        )

    def regions(self, rows: Iterable[Row]) -> Iterator[Row]:
        """The *rows* of each region's competencies together, with what nobody there teaches and somebody demands.

        People and ratings are those that are shown of programmes. (Who is in two programmes is counted twice.)
        """
        together: dict[Of, list[Row]] = defaultdict(list)
        for row in rows:
            together[row.competency, row.region].append(row)
        for of in (*self.market.history.open, *self._places):
            together.setdefault(of, [])
        known = sorted((region, competency) for competency, region in together if region is not None)
        return (self._of_region((c, region), together[c, region]) for region, c in known)

    def _of_region(self, of: Of, rows: list[Row]) -> Row:
        competency, region = of
        return Row(
            programme="",
            title="",
            institution="",
            region=region,
            competency=competency,
            programmes=sum(row.programmes for row in rows),
            **self._demanded(of),
            certified=_sum(rows, "certified"),
            expected=_sum(rows, "expected"),
            hidden=tuple(name for name in ("certified", "expected") if any(name in row.hidden for row in rows)),
            **_rated(_together(rows)),
            grounds=tuple(dict.fromkeys(Ground(one.ground, "") for row in rows for one in row.grounds)),
        )

    def _demanded(self, of: Of) -> dict[str, Any]:
        """The demand of a competency in a region, worked out once for all its programmes."""
        if of not in self._demand:
            region, history, day = of[1], self.market.history, self.market.day
            is_known = region is not None and history.is_known(of, day.isoformat())
            self._demand[of] = {
                "vacancies": history.open.get(of, 0) if is_known else None,
                "a_year_before": history.on(of, (day - YEAR).isoformat()) if is_known else None,
                "coverage": self.coverage.get(region) if region in history.since else None,
                "places": self._places.get(of, 0),
                "is_certifiable": of in self.market.certified,
            }
        return self._demand[of]

    def _grounds(self, offer: Offer) -> dict[str, list[Ground]]:
        """What was found of late, by competency.

        By ratings in the newest quarter that has enough, by wishes in this quarter or the last; not what was withdrawn.
        """
        found: dict[str, list[Ground]] = defaultdict(list)
        for finding in self.findings.get(offer.id, ()):
            by_ratings = finding.ground in ("ratings", GapGround.fall)
            windows = [self._newest(offer.id, finding.competency)] if by_ratings else _of_late(self.market.day)
            answer = offer.answers.get(finding.id, "")
            if finding.window in windows and finding.is_about(offer.competencies) and answer != "withdrawn":
                found[finding.competency].append(Ground(finding.ground, answer))
        return found

    def _newest(self, programme: str, competency: str) -> str:
        enough = [
            q.window for q in self._rated.get((programme, competency), ()) if q.ratings >= self.rules.least_ratings
        ]
        return enough[-1] if enough else ""


def _of_late(day: date) -> list[str]:
    return [window_of(one.isoformat()) for one in (months_later(day, -3), day)]


def _rated(quarters: list[Quarter]) -> dict[str, Any]:
    satisfied, ratings = sum(one.satisfied for one in quarters), sum(one.ratings for one in quarters)
    share = satisfied / ratings if ratings else None
    lower, upper = wilson(satisfied, ratings) if ratings else (None, None)
    known = {"ratings": ratings, "satisfied": satisfied} if ratings else {"ratings": None, "satisfied": None}
    return {**known, "share": share, "lower": lower, "upper": upper, "quarters": tuple(quarters)}


def _together(rows: Iterable[Row]) -> list[Quarter]:
    sums: dict[str, tuple[int, int]] = {}
    for quarter in (quarter for row in rows for quarter in row.quarters):
        satisfied, ratings = sums.get(quarter.window, (0, 0))
        sums[quarter.window] = satisfied + quarter.satisfied, ratings + quarter.ratings
    return [Quarter(window, *sums[window]) for window in sorted(sums)[-QUARTERS:]]


def _sum(rows: list[Row], name: str) -> int | None:
    """What is shown of a count together; None: nothing is, or nothing but zeros beside what is hidden."""
    known = [count for row in rows if (count := getattr(row, name)) is not None]
    hidden = any(name in row.hidden for row in rows)
    return sum(known) if known and (any(known) or not hidden) else None


class Column(StrEnum):
    """What the table may be sorted by."""

    programme = "programme"
    competency = "competency"
    region = "region"
    vacancies = "vacancies"
    a_year_before = "a_year_before"
    coverage = "coverage"
    places = "places"
    certified = "certified"
    expected = "expected"
    ratings = "ratings"
    share = "share"
    grounds = "grounds"


def in_order(rows: Sequence[Row], column: Column, *, descending: bool) -> list[Row]:
    """By a column, what is unknown last; alike ones stay in their order."""
    value = _VALUES.get(column) or attrgetter(column)
    known = [row for row in rows if value(row) is not None]
    unknown = [row for row in rows if value(row) is None] if len(known) < len(rows) else []
    return sorted(known, key=value, reverse=descending) + unknown


_VALUES: dict[Column, Callable[[Row], Any]] = {
    Column.programme: lambda row: row.title.casefold(),
    Column.grounds: lambda row: len(row.grounds),
}

"""The gap table: what is demanded, certified and rated, programme by programme and competency by competency. Pure.

Small groups are hidden in each row by itself, and what is hidden is in no sum: other filters, or sums over a region,
tell nothing more than the rows do.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import StrEnum
from operator import attrgetter
from typing import Any, NamedTuple

from shared.contract.events import GapGround
from shared.statistics import wilson

from .gaps import Finding, Gap, Market, window_of
from .market import Of

QUARTERS = 4  # of ratings, the newest that have enough
YEAR = timedelta(days=365)


class Offer(NamedTuple):
    """A programme as the table sees it.

    Attributes:
        expected: learners who are to graduate within a year; None: hidden.
        answers: what became of its recommendations, by id.
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
    """One competency of a programme, or of a region (then `programme` is empty). None: not enough data.

    Attributes:
        programmes: how many teach it.
        vacancies: open ones of the region that demand it; `a_year_before`: as many as were open then.
        coverage: the share of the region's open vacancies that have a mapped skill.
        places: demanded by reports in force in the region.
        is_certifiable: an institution of the region has a scheme for it.
        certified: people with a valid certificate; `is_few`: there are some, and fewer than are shown.
        expected: learners who are to graduate within a year.
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
    is_few: bool
    expected: int | None
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
        certified: people by programme and competency.
        findings: about all programmes.
        coverage: by region, the share of open vacancies with a mapped skill.
        least: the smallest group that is shown.
    """

    offers: list[Offer]
    ratings: Iterable[Gap]
    certified: Mapping[tuple[str, str], int]
    findings: Iterable[Finding]
    market: Market
    coverage: Mapping[str | None, float | None]
    least: int
    _rated: dict[tuple[str, str], list[Quarter]] = field(default_factory=lambda: defaultdict(list))
    _found: dict[tuple[str, str], list[Finding]] = field(default_factory=lambda: defaultdict(list))
    _places: dict[Of, int] = field(default_factory=lambda: defaultdict(int))

    def __post_init__(self) -> None:
        for gap in sorted(self.ratings):
            if gap.ratings >= self.least:
                quarter = Quarter(gap.window, gap.satisfied, gap.ratings)
                self._rated[gap.programme, gap.competency].append(quarter)
        for finding in self.findings:
            self._found[finding.programme, finding.competency].append(finding)
        for one in self.market.demanded:
            self._places[one.competency, one.region] += one.places

    def rows(self) -> Iterator[Row]:
        """Each programme with what it teaches, and with what else is rated or found of it; by their ids."""
        others: dict[str, set[str]] = defaultdict(set)
        for programme, competency in (*self._rated, *self._found):
            others[programme].add(competency)
        for offer in sorted(self.offers, key=lambda one: one.id):
            for competency in sorted(offer.competencies | others[offer.id]):
                yield self._row(offer, competency)

    def _row(self, offer: Offer, competency: str) -> Row:
        held, quarters = self.certified.get((offer.id, competency), 0), self._rated[offer.id, competency][-QUARTERS:]
        few = 0 < held < self.least
        return Row(
            programme=offer.id,
            title=offer.title,
            institution=offer.institution,
            region=offer.region,
            competency=competency,
            programmes=int(competency in offer.competencies),
            **self._demand(competency, offer.region),
            certified=None if few else held,
            is_few=few,
            expected=offer.expected,
            **_rated(quarters),
            grounds=tuple(self._grounds(offer, competency)),
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
            **self._demand(competency, region),
            certified=_sum((row.certified for row in rows), of_none=None if rows else 0),
            is_few=any(row.is_few for row in rows),
            expected=_sum((row.expected for row in rows), of_none=None if rows else 0),
            **_rated(_together(rows)),
            grounds=tuple(dict.fromkeys(Ground(one.ground, "") for row in rows for one in row.grounds)),
        )

    def _demand(self, competency: str, region: str | None) -> dict[str, Any]:
        of, history, today = (competency, region), self.market.history, self.market.day
        is_known = region is not None and region in history.since
        return {
            "vacancies": history.open.get(of, 0) if is_known else None,
            "a_year_before": history.on(of, (today - YEAR).isoformat()) if is_known else None,
            "coverage": self.coverage.get(region) if is_known else None,
            "places": self._places.get(of, 0),
            "is_certifiable": of in self.market.certified,
        }

    def _grounds(self, offer: Offer, competency: str) -> Iterator[Ground]:
        """What was found of late: by ratings in the newest quarter that has enough, by wishes in this or the last."""
        quarters = self._rated[offer.id, competency]
        newest, of_late = quarters[-1].window if quarters else "", _of_late(self.market.day)
        for finding in self._found[offer.id, competency]:
            by_ratings = finding.ground in ("ratings", GapGround.fall)
            is_now = finding.window == newest if by_ratings else finding.window in of_late
            if is_now and finding.is_about(offer.competencies):
                yield Ground(finding.ground, offer.answers.get(finding.id, ""))


def _of_late(day: date) -> tuple[str, str]:
    return window_of(day.isoformat()), window_of((day.replace(day=1) - timedelta(days=60)).isoformat())


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


def _sum(counts: Iterable[int | None], *, of_none: int | None) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else of_none


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

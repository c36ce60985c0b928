"""Did a revision help? What is rated, demanded and achieved before and after, of groups large enough to be shown."""

from collections.abc import Callable, Iterable, Mapping
from datetime import date
from typing import Any, NamedTuple

from shared.processing.employment import months_later
from shared.statistics import wilson

from .gaps import QUARTERS, YEAR, Gap, Sums, window_of
from .outcomes import AFTER_MONTHS

TELLING = 10  # of fewer, all or none is everybody's own


class Quarter(NamedTuple):
    """So many of *n* in a quarter: satisfied ratings, or graduates in work."""

    window: str
    successes: int
    n: int


class Period(NamedTuple):
    """Some quarters, together with the 95 % interval (Wilson) of their share."""

    quarters: list[Quarter]

    @property
    def n(self) -> int:
        return sum(quarter.n for quarter in self.quarters)

    @property
    def successes(self) -> int:
        return sum(quarter.successes for quarter in self.quarters)

    def interval(self) -> tuple[float, float]:
        return wilson(self.successes, self.n)

    def shown(self, n: str, successes: str) -> dict[str, Any]:
        """With the names by which *n* and *successes* are called."""
        about = {
            "quarters": [quarter.window for quarter in self.quarters],
            "by_quarter": [{"quarter": q.window, n: q.n, successes: q.successes} for q in self.quarters],
            n: self.n,
        }
        if not self.n:
            return about | {successes: None, "share": None, "lower": None, "upper": None}
        lower, upper = self.interval()
        share = {"share": self.successes / self.n, "lower": lower, "upper": upper}
        return about | {successes: self.successes, **share}


class Known(NamedTuple):
    """What the effects of a programme's revisions are seen by.

    Attributes:
        ratings: by competency and quarter.
        cohorts: of the programme's graduates, see `cohorts`.
        demand: of a competency on a day (ISO), the region's open vacancies; None: not known.
        least: the smallest group that is shown.
    """

    ratings: Iterable[Gap]
    cohorts: list[Quarter]
    demand: Callable[[str, str], int | None]
    least: int
    today: date


def cohorts(sums: Sums, today: date, least: int) -> list[Quarter]:
    """Graduates by quarter of graduation: of those whose status half a year later is known, who is in work then.

    Quarters of which half a year has passed. Left out are the months that monitoring leaves out of a programme by
    itself, which says the same of months: small ones with the next smallest. So none follows by subtraction, neither
    here nor there. Of fewer than ten of whom all or none are in work nothing is said, because it would tell everybody's
    status.

    Args:
        sums: the counters `cohort` of a programme, summed by period.
    """
    latest = months_later(today.replace(day=1), -AFTER_MONTHS - 1).isoformat()[:7]
    months = {month: counts for (month,), counts in sorted(sums.items()) if month <= latest}
    hidden = _left_out(
        {m: (n, counts.get("working", 0)) for m, counts in months.items() if (n := counts.get("known"))}, least
    )
    found: dict[str, list[int]] = {}
    for month, counts in months.items():
        if month not in hidden and counts.get("known") and _last_month(window_of(month)) <= latest:
            quarter = found.setdefault(window_of(month), [0, 0])
            quarter[0] += counts.get("working", 0)
            quarter[1] += counts["known"]
    quarters = [Quarter(window, *counts) for window, counts in found.items()]
    return [q for q in quarters if _is_telling_of_nobody(q.n, q.successes)]


def _is_telling_of_nobody(n: int, successes: int) -> bool:
    return n >= TELLING or 0 < successes < n


def _left_out(months: Mapping[str, tuple[int, int]], least: int) -> set[str]:
    """Small months, and the next smallest until they are not small together."""

    def is_small(some: Iterable[str]) -> bool:
        n, successes = (sum(months[month][at] for month in some) for at in (0, 1))
        return n < least or not _is_telling_of_nobody(n, successes)

    hidden = {month for month in months if is_small([month])}
    for month in sorted(months.keys() - hidden, key=lambda month: (months[month][0], month)):
        if not hidden or not is_small(hidden):
            break
        hidden.add(month)
    return hidden


def _last_month(window: str) -> str:
    return f"{window[:4]}-{3 * int(window[5]):02}"


def effects(recommendations: Iterable[Mapping[str, Any]], known: Known) -> list[dict[str, Any]]:
    """What became of that for which a programme was revised.

    Quarters with fewer than `least` ratings are left out: they are hidden, and must not follow by subtraction. The
    quarter of the revision belongs to neither side.

    Returns:
        For each answer "revised": the competency, when; of its ratings `before` and `after`, and a `verdict`: better,
        worse, no_clear_difference (the intervals overlap), too_early (there is nothing since) or not_enough_data
        (before); the same in `employment` of the programme's graduates; and in `demand` the open vacancies.
    """
    return [_effect(one, known) for one in recommendations if one["status"] == "revised"]


def _effect(recommendation: Mapping[str, Any], known: Known) -> dict[str, Any]:
    competency, at = recommendation["competency"], recommendation["answered_at"]
    ratings = sorted(
        Quarter(gap.window, gap.satisfied, gap.ratings)
        for gap in known.ratings
        if gap.competency == competency and gap.ratings >= known.least
    )
    return {
        "recommendation": recommendation["id"],
        "competency": competency,
        "version": recommendation["answer"]["version"],
        "revised_at": at,
        **_compared(ratings, window_of(at[:7]), "ratings", "satisfied"),
        "employment": _compared(known.cohorts, window_of(at[:7]), "known", "working"),
        "demand": _demanded(competency, date.fromisoformat(at[:10]), known),
    }


def _compared(quarters: list[Quarter], revised: str, n: str, successes: str) -> dict[str, Any]:
    before = Period([quarter for quarter in quarters if quarter.window < revised][-QUARTERS:])
    after = Period([quarter for quarter in quarters if quarter.window > revised][:QUARTERS])
    return {
        "before": before.shown(n, successes),
        "after": after.shown(n, successes),
        "verdict": _verdict(before, after),
    }


def _verdict(before: Period, after: Period) -> str:
    if not before.n:
        return "not_enough_data"
    if not after.n:
        return "too_early"
    (least, most), (later_least, later_most) = before.interval(), after.interval()
    if later_least > most:
        return "better"
    return "worse" if later_most < least else "no_clear_difference"


def _demanded(competency: str, revised: date, known: Known) -> dict[str, Any]:
    """Open vacancies a year before a revision, on its day, and a year after it; None: not known, or not yet."""
    days = {"before": revised - YEAR, "at": revised, "after": revised + YEAR}
    found = {
        name: known.demand(competency, day.isoformat()) if day <= known.today else None for name, day in days.items()
    }
    return {**found, "days": {name: day.isoformat() for name, day in days.items()}}

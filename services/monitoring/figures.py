"""The arithmetic from counted measures to a value, and what is shown of it where few are behind it. Pure.

Small groups stay hidden when answers are subtracted: any two windows of one scope and indicator, and a window and the
whole, differ by no case or by at least as many as are shown at all (`left_out`). What is not covered: differences
between scopes (a region less its other programmes), between indicators, and between answers of different times.
"""

from collections.abc import Iterable, Mapping
from datetime import date
from itertools import accumulate
from typing import Any, NamedTuple

from shared.processing.employment import months_later
from shared.statistics import median_ranks, smallest, wilson

from .indicators import Indicator, Measures, Status


class Figures(NamedTuple):
    """A value and what it was made of; None where there is nothing to show."""

    value: float | None
    numerator: float | None
    denominator: float | None
    n: int


def figures(indicator: Indicator, counted: Measures) -> Figures:
    """Work out *indicator* from its measures; a histogram's are named `<histogram>/w<week>`."""

    def total(measures: Iterable[str]) -> int:
        return sum(counted.get(measure, 0) for measure in measures)

    if indicator.kind == "median":
        weeks = _weeks(indicator, counted)
        return Figures(median_days(weeks), None, None, sum(weeks.values()))
    if indicator.kind == "satisfied":
        return _satisfied(counted, f"{indicator.histogram}/")
    n = total(indicator.denominator if indicator.cases is None else indicator.cases)
    numerator: float = sum(indicator.weights.get(m, 1) * counted.get(m, 0) for m in indicator.numerator)
    numerator = numerator if indicator.divisor == 1 else numerator / indicator.divisor
    denominator = total(indicator.denominator) if indicator.denominator else None
    value: float | None = numerator
    if indicator.kind == "ratio":
        value = numerator / denominator if denominator else None
    if indicator.evidence and not total(indicator.evidence):
        value = None
    return Figures(value, numerator, denominator, n)


def _satisfied(counted: Measures, prefix: str) -> Figures:
    """Of those who gave ratings, how many are satisfied on average.

    Measures are named `<prefix><who>/answers` and `<prefix><who>/rating`, the sum of the ratings.
    """
    given: dict[str, dict[str, int]] = {}
    for measure, count in counted.items():
        if measure.startswith(prefix):
            who, _, what = measure.removeprefix(prefix).rpartition("/")
            given.setdefault(who, {})[what] = count
    answered = [one for one in given.values() if one["answers"]]
    satisfied = sum(one["rating"] >= SATISFIED * one["answers"] for one in answered)
    return Figures(satisfied / len(answered) if answered else None, satisfied, len(answered), len(answered))


SATISFIED = 4  # of 5


def median_days(weeks: Mapping[int, int]) -> float | None:
    """The median of days counted by the week, taken as evenly spread within a week."""
    return _days_at(weeks, sum(weeks.values()) / 2)


def _days_at(weeks: Mapping[int, int], rank: float) -> float | None:
    """The days below which *rank* values lie."""
    before = 0
    for week, count in sorted(weeks.items()):
        if count and before + count >= rank > 0:
            return 7 * (week + (rank - before) / count)
        before += count
    return None


def interval(indicator: Indicator, counted: Measures, found: Figures) -> tuple[float, float] | None:
    """The 95 % interval of a value about people: Wilson's of a share, of a median by its ranks; None: it has none.

    It says how far the value may be off for having so few cases, not for who is left out: see `caveats` for that.
    """
    if found.value is None or not indicator.personal or indicator.by == "stock":
        return None
    if indicator.kind == "median":
        weeks = _weeks(indicator, counted)
        low, high = (_days_at(weeks, rank) for rank in median_ranks(found.n))
        return None if low is None or high is None else (low, high)
    if _is_of_cases(indicator) and found.denominator and 0 <= (found.numerator or 0) <= found.denominator:
        return wilson(found.numerator or 0, found.denominator)
    return None


def _is_of_cases(indicator: Indicator) -> bool:
    """Is it a share of the cases, and not of their hours?"""
    return indicator.unit == "share" and indicator.cases is None


def _weeks(indicator: Indicator, counted: Measures) -> dict[int, int]:
    prefix = f"{indicator.histogram}/w"
    return {int(m.removeprefix(prefix)): count for m, count in counted.items() if m.startswith(prefix)}


def shown(indicator: Indicator, counted: Measures, suppress_below: int) -> dict[str, Any]:
    """What is said in public: value, status, what it is made of, interval. Not enough data is never zero."""
    found = figures(indicator, counted)
    few = indicator.personal and 0 < found.n < suppress_below
    status: Status = "not_enough_data" if found.value is None else "suppressed" if few else "ok"
    ends = interval(indicator, counted, found) if status == "ok" else None
    return {
        "value": None if few else found.value,
        "status": status,
        "numerator": None if few else found.numerator,
        "denominator": None if few else found.denominator,
        "n": f"<{suppress_below}" if few else found.n,
        "interval_from": ends and ends[0],
        "interval_to": ends and ends[1],
    }


NO_CAVEATS: dict[str, Any] = {"coverage": None, "thin": None, "lower": None, "upper": None, "left_out": None}


def caveats(
    indicator: Indicator, counted: Measures, said: Mapping[str, Any], suppress_below: int, coverage_min: float
) -> dict[str, Any]:
    """What a value is to be read with: who is left out of it and why, and how far it could be off for that.

    Args:
        counted: of all months; of windows nothing is said, because their differences would tell of few.
        said: the value, as `shown` gives it.
    Returns:
        `coverage`, the share of those whom the indicator is about that could be used for it; `thin`, whether that is
        too little; `lower` and `upper`, between which the value would lie if nobody was left out as unknown.
    """

    def total(measures: Iterable[str]) -> int:
        return sum(counted.get(measure, 0) for measure in measures)

    everybody = total(indicator.of_all)
    if said["status"] == "suppressed" or 0 < everybody < suppress_below:
        return NO_CAVEATS
    left_out = {reason: n for reason, measures in indicator.left_out.items() if (n := total(measures))}
    listed = _listed(left_out, suppress_below)
    if not everybody:
        return NO_CAVEATS | {"left_out": listed or None}
    numerator, denominator = total(indicator.numerator), total(indicator.denominator)
    unknown = everybody - denominator - sum(left_out.values())
    possible = denominator + unknown
    bounds = (numerator / possible, (numerator + unknown) / possible) if possible else (None, None)
    listed += [{"reason": "unknown", "n": unknown}] if unknown else []
    return {
        "coverage": (everybody - unknown) / everybody,
        "thin": everybody - unknown < coverage_min * everybody,
        "lower": bounds[0],
        "upper": bounds[1],
        "left_out": listed or None,
    }


def _listed(left_out: Mapping[str, int], suppress_below: int) -> list[dict[str, Any]]:
    """How many are left out for each reason; of few not even the reason is said (one of them is illness)."""
    hidden = smallest(left_out, suppress_below)
    listed: list[dict[str, Any]] = [{"reason": r, "n": n} for r, n in left_out.items() if r not in hidden]
    together = sum(left_out[reason] for reason in hidden)
    if hidden:
        listed.append({"reason": "other_reasons", "n": together if together >= suppress_below else None})
    return listed


LONGEST_SERIES = 240
HIDDEN: dict[str, Any] = {
    **{"value": None, "status": "suppressed", "numerator": None, "denominator": None, "n": None},
    **{"interval_from": None, "interval_to": None},
}


def of_window(
    indicator: Indicator, by_month: Mapping[str, Measures], begin: str | None, end: str | None, suppress_below: int
) -> dict[str, Any]:
    """What is said of the months from *begin* to *end* (None: not asked for), and how many of them are left out.

    Args:
        by_month: all that is counted of the scope in months that the indicator reads.
    """
    months = within(by_month, None if indicator.by == "stock" else begin, end)
    hidden = left_out(indicator, by_month, suppress_below)
    if indicator.by == "stock":
        few = max(months, default=None) in hidden
        return (HIDDEN if few else shown(indicator, sum_of(months), suppress_below)) | {"months_left_out": 0}
    left = hidden & months.keys() if begin or end else frozenset()
    said = shown(indicator, sum_of({m: months[m] for m in months.keys() - left}), suppress_below)
    return (HIDDEN if left and not said["n"] else said) | {"months_left_out": len(left)}


def of_months(
    indicator: Indicator, by_month: Mapping[str, Measures], begin: str | None, end: str, suppress_below: int
) -> list[dict[str, Any]]:
    """What is said month by month; a month that windows leave out is hidden here, too."""
    hidden = left_out(indicator, by_month, suppress_below)
    points: list[dict[str, Any]] = []
    for month, counted in series(indicator, by_month, begin, end):
        said_of = max(within(by_month, None, month), default=None) if indicator.by == "stock" else month
        said = HIDDEN if said_of in hidden else shown(indicator, counted, suppress_below)
        points.append({"period": month, **said})
    return points


def of_years(
    indicator: Indicator, by_month: Mapping[str, Measures], begin: str | None, end: str, suppress_below: int
) -> list[dict[str, Any]]:
    """What is said year by year: windows from January to December; the last may not be over (`months`: how many)."""
    first = begin or min((m for m, counted in by_month.items() if indicator.is_in(counted)), default=end)
    points: list[dict[str, Any]] = []
    for year in range(max(int(first[:4]), int(end[:4]) - LONGEST_SERIES // 12 + 1), int(end[:4]) + 1):
        january, last = max(f"{year}-01", begin or ""), min(f"{year}-12", end)
        said = of_window(indicator, by_month, january, last, suppress_below)
        if indicator.by == "stock" or said["n"] != 0:
            points.append({"period": str(year), "months": int(last[5:]), **said})
    return points


def left_out(indicator: Indicator, by_month: Mapping[str, Measures], suppress_below: int) -> frozenset[str]:
    """The months that nothing may be told of; of a stock, those at whose end it is hidden."""
    if not indicator.personal:
        return frozenset()
    cases = {month: _cases(indicator, by_month[month]) for month in sorted(by_month)}
    return frozenset((_between if indicator.by == "stock" else smallest)(cases, suppress_below))


def _cases(indicator: Indicator, counted: Measures) -> int:
    """How many cases a month is about, at least; a stock's may cancel out, in all or in the numerator."""
    found = figures(indicator, counted)
    part = abs(int(found.numerator or 0)) if _is_of_cases(indicator) else 0
    return max(abs(found.n), part)


def _between(cases: Mapping[str, int], least: int) -> set[str]:
    """The months at whose end fewer than *least* cases, but some, have changed since the last end that is shown.

    The end of the last month is shown, because it is the whole.
    """
    changed = dict(zip(cases, accumulate(cases.values()), strict=True))
    ends = [0]
    for so_far in changed.values():
        if so_far - ends[-1] >= least:
            ends.append(so_far)
    whole = max(changed.values(), default=0)
    if len(ends) > 1:
        ends[-1] = whole
    return {month for month, so_far in changed.items() if so_far not in (*ends, whole)}


def add(into: dict[str, int], counted: Measures) -> None:
    for measure, count in counted.items():
        into[measure] = into.get(measure, 0) + count


def within(by_month: Mapping[str, Measures], begin: str | None, end: str | None) -> dict[str, Measures]:
    """The months from *begin* to *end*; None: from the first, to the last."""
    return {m: counted for m, counted in by_month.items() if (begin or m) <= m <= (end or m)}


def sum_of(by_month: Mapping[str, Measures]) -> dict[str, int]:
    """The measures of all months together."""
    totals: dict[str, int] = {}
    for counted in by_month.values():
        add(totals, counted)
    return totals


def series(
    indicator: Indicator, by_month: Mapping[str, Measures], begin: str | None, end: str
) -> list[tuple[str, dict[str, int]]]:
    """The measures month by month: of a stock every month's changes so far, else only months that have any.

    Unless it is asked for, a stock's series does not begin more than `LONGEST_SERIES` months before its end: one event
    of long ago would make it long for everybody.
    """
    months = sorted(m for m, counted in by_month.items() if m <= end and indicator.is_in(counted))
    if indicator.by != "stock":
        return [(month, dict(by_month[month])) for month in months if month >= (begin or "")]
    points: list[tuple[str, dict[str, int]]] = []
    stock: dict[str, int] = {}
    month = months[0] if months else end
    begin = begin or months_later(date.fromisoformat(f"{end}-01"), 1 - LONGEST_SERIES).isoformat()[:7]
    while months and month <= end:
        add(stock, by_month.get(month, {}))
        if month >= begin:
            points.append((month, dict(stock)))
        month = months_later(date.fromisoformat(f"{month}-01"), 1).isoformat()[:7]
    return points

"""The arithmetic from counted measures to a value, and what is shown of it where few are behind it. Pure.

What is hidden of which scope is worked out in suppression.py, from all scopes at once; here it is left out.
"""

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any, NamedTuple

from shared.processing.employment import months_later
from shared.statistics import median_ranks, smallest, wilson

from .indicators import Indicator, Measures, Status
from .suppression import Cell, Hidden, Rule


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
    if is_of_cases(indicator) and found.denominator and 0 <= (found.numerator or 0) <= found.denominator:
        return wilson(found.numerator or 0, found.denominator)
    return None


def is_of_cases(indicator: Indicator) -> bool:
    """Is it a share of the cases, and not of their hours?"""
    return indicator.unit == "share" and indicator.cases is None


def _weeks(indicator: Indicator, counted: Measures) -> dict[int, int]:
    prefix = f"{indicator.histogram}/w"
    return {int(m.removeprefix(prefix)): count for m, count in counted.items() if m.startswith(prefix)}


def shown(indicator: Indicator, counted: Measures, suppress_below: int) -> dict[str, Any]:
    """What is said in public: value, status, what it is made of, interval. Not enough data is never zero."""
    found = figures(indicator, counted)
    few = indicator.personal and 0 < found.n < suppress_below
    small = few or (indicator.personal and rule_of(indicator, suppress_below).is_small(_cell(indicator, found)))
    status: Status = "not_enough_data" if found.value is None else "suppressed" if small else "ok"
    ends = interval(indicator, counted, found) if status == "ok" else None
    return {
        "value": None if small else found.value,
        "status": status,
        "numerator": None if small else found.numerator,
        "denominator": None if small else found.denominator,
        "n": f"<{suppress_below}" if few else None if small else found.n,
        "interval_from": ends and ends[0],
        "interval_to": ends and ends[1],
    }


def rule_of(indicator: Indicator, suppress_below: int) -> Rule:
    """When a group that a value is of is small."""
    return Rule(suppress_below, is_of_cases(indicator))


def cell_of(indicator: Indicator, counted: Measures) -> Cell:
    """How many cases a value is of, and of a share how many count in its numerator."""
    if indicator.kind in ("median", "satisfied"):
        return _cell(indicator, figures(indicator, counted))
    get, cases = counted.get, indicator.denominator if indicator.cases is None else indicator.cases
    part = sum([get(measure, 0) for measure in indicator.numerator]) if is_of_cases(indicator) else 0
    return sum([get(measure, 0) for measure in cases]), part


def _cell(indicator: Indicator, found: Figures) -> Cell:
    return found.n, int(found.numerator or 0) if is_of_cases(indicator) else 0


NO_CAVEATS: dict[str, Any] = {"coverage": None, "thin": None, "lower": None, "upper": None, "left_out": None}


def caveats(  # noqa: PLR0913, PLR0917
    indicator: Indicator,
    counted: Measures,
    said: Mapping[str, Any],
    suppress_below: int,
    coverage_min: float,
    hidden: Hidden | None = None,
) -> dict[str, Any]:
    """What a value is to be read with: who is left out of it and why, and how far it could be off for that.

    Args:
        counted: of all months; of windows nothing is said, because their differences would tell of few.
        said: the value, as `shown` gives it.
        hidden: the reasons that are hidden; None: as if there was no other scope.
    Returns:
        `coverage`, the share of those whom the indicator is about that could be used for it; `thin`, whether that is
        too little; `lower` and `upper`, between which the value would lie if nobody was left out as unknown.
    """

    def total(measures: Iterable[str]) -> int:
        return sum(counted.get(measure, 0) for measure in measures)

    everybody = total(indicator.of_all)
    if said["status"] == "suppressed" or 0 < everybody < suppress_below:
        return NO_CAVEATS
    left_out = reasons_of(indicator, counted)
    if 0 < everybody < 2 * suppress_below and suppress_below > 1:
        hidden = Hidden(whole=True)  # that nobody is left out for a reason would be told of few
    listed = _listed(left_out, suppress_below, hidden)
    if not everybody:
        return NO_CAVEATS | {"left_out": listed or None}
    if len(indicator.left_out) - len({each["reason"] for each in listed} & indicator.left_out.keys()) == 1 and any(
        each["n"] is None for each in listed
    ):
        return NO_CAVEATS | {"left_out": listed}  # how many are unknown would tell how few it is for the one reason
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


def reasons_of(indicator: Indicator, counted: Measures) -> dict[str, int]:
    """How many are left out for each reason."""
    totals = {
        reason: sum(counted.get(measure, 0) for measure in measures) for reason, measures in indicator.left_out.items()
    }
    return {reason: n for reason, n in totals.items() if n}


def _listed(left_out: Mapping[str, int], suppress_below: int, hidden: Hidden | None) -> list[dict[str, Any]]:
    """How many are left out for each reason; of few not even the reason is said (one of them is illness)."""
    if hidden is None:
        hidden = Hidden(months=frozenset(smallest(left_out, suppress_below)))
    few = {reason for reason, n in left_out.items() if hidden.whole or reason in hidden.months or n < suppress_below}
    listed: list[dict[str, Any]] = [{"reason": r, "n": n} for r, n in left_out.items() if r not in few]
    together = sum(left_out[reason] for reason in few)
    if few:
        listed.append({"reason": "other_reasons", "n": together if together >= suppress_below else None})
    return listed


LONGEST_SERIES = 240
HIDDEN: dict[str, Any] = {
    **{"value": None, "status": "suppressed", "numerator": None, "denominator": None, "n": None},
    **{"interval_from": None, "interval_to": None},
}


def of_window(  # noqa: PLR0913, PLR0917
    indicator: Indicator,
    by_month: Mapping[str, Measures],
    begin: str | None,
    end: str | None,
    suppress_below: int,
    hidden: Hidden,
) -> dict[str, Any]:
    """What is said of the months from *begin* to *end* (None: not asked for), and how many of them are left out.

    Args:
        by_month: all that is counted of the scope in months that the indicator reads.
        hidden: what is hidden of the scope.
    """
    months = within(by_month, None if indicator.by == "stock" else begin, end)
    if indicator.by == "stock":
        is_hidden = end is not None and hidden.has_end(end)
        said = HIDDEN if is_hidden else shown(indicator, sum_of(months), suppress_below)
        return (HIDDEN if hidden.whole and said["status"] == "ok" else said) | {"months_left_out": 0}
    hidden = _with_small(indicator, by_month, suppress_below, hidden)
    left = {month for month in hidden.months if (begin or month) <= month <= (end or month)} if begin or end else set()
    said = shown(indicator, sum_of({m: months[m] for m in months.keys() - left}), suppress_below)
    is_hidden = (left and not said["n"]) or (hidden.whole and said["status"] == "ok")
    return (HIDDEN if is_hidden else said) | {"months_left_out": len(left)}


def of_months(  # noqa: PLR0913, PLR0917
    indicator: Indicator,
    by_month: Mapping[str, Measures],
    begin: str | None,
    end: str,
    suppress_below: int,
    hidden: Hidden,
) -> list[dict[str, Any]]:
    """What is said month by month; a month that windows leave out is hidden here, too, whether it has cases or not."""
    is_stock = indicator.by == "stock"
    hidden = _with_small(indicator, by_month, suppress_below, hidden)
    points: dict[str, dict[str, Any]] = {}
    for month, counted in series(indicator, by_month, begin, end):
        is_hidden = hidden.has_end(month) if is_stock else hidden.whole or month in hidden.months
        points[month] = HIDDEN if is_hidden else shown(indicator, counted, suppress_below)
    if not is_stock:
        points |= {month: HIDDEN for month in hidden.months if (begin or month) <= month <= end}
    return [{"period": month, **said} for month, said in sorted(points.items())]


def of_years(  # noqa: PLR0913, PLR0917
    indicator: Indicator,
    by_month: Mapping[str, Measures],
    begin: str | None,
    end: str,
    suppress_below: int,
    hidden: Hidden,
) -> list[dict[str, Any]]:
    """What is said year by year: windows from January to December.

    The last may not be over: `months` says how many months of it are. `change` is the difference from the year before,
    where both are whole and shown.
    """
    first = begin or min((m for m, counted in by_month.items() if indicator.is_in(counted)), default=end)
    points: list[dict[str, Any]] = []
    for year in range(max(int(first[:4]), int(end[:4]) - LONGEST_SERIES // 12 + 1), int(end[:4]) + 1):
        january, last = max(f"{year}-01", begin or ""), min(f"{year}-12", end)
        said = of_window(indicator, by_month, january, last, suppress_below, hidden)
        if indicator.by == "stock" or said["n"] != 0:
            point = {"period": str(year), "months": int(last[5:]) - int(january[5:]) + 1, **said}
            points.append({**point, "change": _change(points[-1], point) if points else None})
    return points


def is_whole(year: Mapping[str, Any]) -> bool:
    """Is all of a year shown?"""
    return bool(year["status"] == "ok" and year["months"] == 12 and not year.get("months_left_out"))


def _change(before: Mapping[str, Any], now: Mapping[str, Any]) -> float | None:
    if not (is_whole(before) and is_whole(now)) or int(now["period"]) - int(before["period"]) > 1:
        return None
    return float(now["value"] - before["value"])


def _with_small(indicator: Indicator, by_month: Mapping[str, Measures], suppress_below: int, hidden: Hidden) -> Hidden:
    """With the months that are small now, though nobody may have worked out yet what is to be hidden beside them."""
    if not indicator.personal or indicator.by == "stock":
        return hidden
    rule = rule_of(indicator, suppress_below)
    small = {month for month, counted in by_month.items() if rule.is_small(cell_of(indicator, counted))}
    return hidden._replace(months=hidden.months | small)


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

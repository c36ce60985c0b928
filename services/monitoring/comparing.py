"""Whether two values differ, or it may be chance: between two scopes, and between two years of one. Pure."""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any, NamedTuple

from shared.statistics import difference

from .figures import is_of_cases, is_whole
from .indicators import Indicator

Item = Mapping[str, Any]  # a value, as `figures.shown` gives it


class Difference(NamedTuple):
    """How much a value is above another.

    Attributes:
        low: with *high*, the 95 % interval; None: it has none.
        is_clear: is it more than chance? None: that cannot be told.
    """

    by: float
    low: float | None = None
    high: float | None = None
    is_clear: bool | None = None


def differ(indicator: Indicator, one: Item, other: Item) -> Difference | None:
    """Compare the values of two groups that have nobody in common; None: one of them has none.

    Of shares the interval is Newcombe's; two medians differ clearly if their intervals have nothing in common; counts
    of everything that happened, and stocks, differ as they are.
    """
    if one["value"] is None or other["value"] is None:
        return None
    by = one["value"] - other["value"]
    if is_complete(indicator):
        return Difference(by, is_clear=bool(by))
    if found := between(indicator, *((each["numerator"], each["denominator"]) for each in (one, other))):
        low, high = found
        return Difference(by, low, high, low > 0 or high < 0)
    if one["interval_from"] is None or other["interval_from"] is None:
        return Difference(by)
    is_clear = one["interval_from"] > other["interval_to"] or one["interval_to"] < other["interval_from"]
    return Difference(by, is_clear=is_clear)


def is_complete(indicator: Indicator) -> bool:
    """Is every case counted, so that no difference is chance?"""
    return not indicator.personal or indicator.by == "stock"


def between(
    indicator: Indicator, one: tuple[float | None, float | None], other: tuple[float | None, float | None]
) -> tuple[float, float] | None:
    """The 95 % interval of how much a share is above another; None: it is no share of people, or not shown.

    Args:
        one: numerator and denominator.
    """
    (k, n), (other_k, other_n) = one, other
    if not is_of_cases(indicator) or k is None or other_k is None or not n or not other_n:
        return None
    return difference((k, n), (other_k, other_n)) if 0 <= k <= n and 0 <= other_k <= other_n else None


APART_YEARS = 3


class Change(NamedTuple):
    """How the last year that is shown whole differs from the one before that is, at most three years earlier."""

    year: str
    before: str
    difference: Difference


def changed(indicator: Indicator, years: Sequence[Item]) -> Change | None:
    """The change of the last year; None: there are no two to compare.

    Args:
        years: as `figures.of_years` gives them.
    """
    whole = [year for year in years if is_whole(year)]
    if len(whole) < 2:
        return None
    before, now = whole[-2:]
    if int(now["period"]) - int(before["period"]) > APART_YEARS:
        return None
    found = differ(indicator, now, before)
    return found and Change(now["period"], before["period"], found)


class Peers(NamedTuple):
    """The middle of those that are alike, and how many have a value."""

    middle: float
    n: int


def peers(items: Sequence[Item], own_id: str) -> Peers | None:
    """The middle of the others' values; None: they are fewer than three."""
    values = [item["value"] for item in items if item["value"] is not None and item["scope_id"] != own_id]
    return Peers(median(values), len(values)) if len(values) >= 3 else None

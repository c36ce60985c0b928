"""Small groups stay hidden when the answers for months are subtracted from each other."""

from collections.abc import Mapping
from datetime import date
from itertools import combinations_with_replacement, pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.monitoring.counters import hidden_values
from services.monitoring.figures import of_months, of_window
from services.monitoring.indicators import INDICATORS, Measures
from services.monitoring.suppression import NETWORK, Hidden

LEAST = 5
MONTHS = [f"2024-{month:02}" for month in range(1, 9)]
WINDOWS = [
    *combinations_with_replacement(MONTHS, 2),
    *((None, month) for month in MONTHS),
    *((m, None) for m in MONTHS),
]
Cases = Mapping[str, int]


def counted(indicator: str, cases: Cases) -> dict[str, Measures]:
    """So many cases by month, for one indicator of each shape; of shares half of them."""
    measure = {
        "insertion_rate": "status_seeking",
        "median_days_to_employment": "employment_weeks/w003",
        "workplace_hours_per_learner": "interns",
        "recognised_certificates_rate": "certificates",
        "competency_gap": "holders",
    }[indicator]
    half = {"status_seeking": "status_employed", "certificates": "certificates_recognised"}.get(measure, "none")
    alike = {month: n // 2 for month, n in cases.items()}
    rest = alike if measure == "status_seeking" else dict.fromkeys(cases, 0)
    return {
        month: {measure: n - rest[month], half: alike[month], "demand_reports": 1, "demand_places": 50}
        for month, n in cases.items()
    }


def hidden(indicator: str, by_month: Mapping[str, Measures]) -> Hidden:
    """What is hidden of the network, of which nothing is divided further."""
    entry = INDICATORS[indicator]
    of_all = {entry.scopes["network"]: {(("", "all"),): {month: dict(counts) for month, counts in by_month.items()}}}
    return hidden_values([entry], of_all, date(2026, 3, 15), LEAST)[entry.id].get(NETWORK, Hidden())


def window(
    indicator: str, by_month: Mapping[str, Measures], begin: str | None = None, end: str | None = None
) -> dict[str, Any]:
    return of_window(INDICATORS[indicator], by_month, begin, end, LEAST, hidden(indicator, by_month))


def points(indicator: str, cases: Cases) -> list[dict[str, Any]]:
    by_month = counted(indicator, cases)
    return of_months(INDICATORS[indicator], by_month, None, MONTHS[-1], LEAST, hidden(indicator, by_month))


def told(indicator: str, cases: Cases, begin: str | None = None, end: str | None = None) -> dict[str, Any]:
    return window(indicator, counted(indicator, cases), begin, end)


def n_of(indicator: str, cases: Cases, begin: str | None, end: str | None) -> int:
    return told(indicator, cases, begin, end)["n"] or 0


by_month = st.dictionaries(st.sampled_from(MONTHS), st.integers(0, 12))
flows = st.sampled_from(["insertion_rate", "median_days_to_employment", "workplace_hours_per_learner"])
stocks = st.sampled_from(["recognised_certificates_rate", "competency_gap"])
windows = st.sampled_from(WINDOWS)


def both(one: tuple[str | None, str | None], other: tuple[str | None, str | None]) -> tuple[str, str]:
    """The months that are in both windows."""
    return max(one[0] or "", other[0] or ""), min(one[1] or "9", other[1] or "9")


@given(flows, by_month, windows, windows)
def test_two_windows_differ_by_no_case_or_by_enough(
    indicator: str, cases: Cases, one: tuple[str | None, str | None], other: tuple[str | None, str | None]
) -> None:
    shared = n_of(indicator, cases, *both(one, other))
    for window in (one, other):
        assert n_of(indicator, cases, *window) - shared == 0 or n_of(indicator, cases, *window) - shared >= LEAST


@given(flows, by_month, windows)
def test_a_window_and_the_whole_differ_by_no_case_or_by_enough(
    indicator: str, cases: Cases, window: tuple[str | None, str | None]
) -> None:
    whole = told(indicator, cases)
    difference = sum(cases.values()) - n_of(indicator, cases, *window)
    assert whole["status"] == "suppressed" or difference == 0 or difference >= LEAST
    assert whole["months_left_out"] == 0


@given(flows, by_month)
def test_a_series_tells_no_more_than_windows_of_one_month(indicator: str, cases: Cases) -> None:
    for point in points(indicator, cases):
        month = point.pop("period")
        assert point == {k: v for k, v in told(indicator, cases, month, month).items() if k != "months_left_out"}


@given(stocks, by_month)
def test_two_ends_of_a_stock_differ_by_no_case_or_by_enough(indicator: str, cases: Cases) -> None:
    shown = {None: told(indicator, cases)} | {month: told(indicator, cases, None, month) for month in MONTHS}
    stocks_told = sorted(said["n"] for said in shown.values() if isinstance(said["n"], int))
    assert all(b == a or b - a >= LEAST for a, b in pairwise(stocks_told))
    for point in points(indicator, cases):
        assert point["n"] == shown[point["period"]]["n"]


@given(stocks, by_month)
def test_a_stock_that_is_shown_is_exact(indicator: str, cases: Cases) -> None:
    for end in MONTHS:
        n = told(indicator, cases, None, end)["n"]
        assert n in (None, f"<{LEAST}") or n == sum(count for month, count in cases.items() if month <= end)


def test_the_only_graduate_of_june_is_not_told_by_subtraction() -> None:
    cases = {"2024-05": 6, "2024-06": 1, "2024-07": 8}
    assert told("insertion_rate", cases, None, "2024-06")["status"] == "suppressed"
    assert told("insertion_rate", cases, None, "2024-07")["n"] == 8
    assert told("insertion_rate", cases)["n"] == 15


@pytest.mark.parametrize(
    ("cases", "months"),
    [
        ([6, 7], []),
        ([0, 6], []),
        ([1, 6, 7], [0, 1]),
        ([1, 4, 7], [0, 1]),
        ([4, 4, 5], [0, 1]),
        ([2, 9], [0, 1]),
        ([3], [0]),
    ],
)
def test_small_months_are_left_out_with_as_many_of_the_smallest_as_it_takes(
    cases: list[int], months: list[int]
) -> None:
    named = dict(zip(MONTHS, cases, strict=False))
    found = hidden("insertion_rate", counted("insertion_rate", named))
    assert (found.whole, found.months) == (sum(cases) < LEAST, {MONTHS[month] for month in months})


def test_a_window_with_nothing_but_what_is_left_out_is_suppressed_and_not_empty() -> None:
    said = told("insertion_rate", {"2024-05": 3, "2024-07": 9}, "2024-05", "2024-05")
    assert (said["status"], said["n"], said["months_left_out"]) == ("suppressed", None, 1)
    said = told("insertion_rate", {"2024-05": 3, "2024-07": 9}, "2024-06", "2024-06")
    assert (said["status"], said["n"], said["months_left_out"]) == ("not_enough_data", 0, 0)


def test_certificates_that_cancel_out_are_cases_all_the_same() -> None:
    months = {
        "2024-01": {"certificates": 20, "certificates_recognised": 5},
        "2024-02": {"certificates": 0, "certificates_recognised": 1},
        "2024-04": {"certificates": 9, "certificates_recognised": 9},
    }
    said = [window("recognised_certificates_rate", months, None, end) for end in MONTHS[:4]]
    assert [one["n"] for one in said] == [20, None, None, 29]


def test_what_is_not_about_people_is_never_left_out() -> None:
    months = {"2024-01": {"programmes": 1}, "2024-02": {"programmes": 1}}
    assert of_window(INDICATORS["joint_programmes_rate"], months, None, "2024-01", LEAST, Hidden())["n"] == 1

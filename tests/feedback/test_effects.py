"""Did a revision help? Worked out by hand, and safe against subtraction."""

from collections.abc import Callable, Iterable
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.feedback.effects import Known, Quarter, cohorts, effects
from services.feedback.gaps import Gap, window_of
from services.monitoring.counters import hidden_values
from services.monitoring.indicators import INDICATORS
from services.monitoring.suppression import Hidden

REVISED: dict[str, Any] = {
    "id": "r-1",
    "competency": "greencomp:3.1",
    "status": "revised",
    "answered_at": "2026-05-10T00:00:00.000000+00:00",
    "answer": {"version": "2"},
}
TODAY = date(2026, 11, 20)


def quarter(window: str, satisfied: int, ratings: int, competency: str = "greencomp:3.1") -> Gap:
    return Gap("welding", competency, window, ratings, satisfied)


def known(
    ratings: Iterable[Gap] = (),
    graduates: Iterable[Quarter] = (),
    demand: Callable[[str, str], int | None] = lambda *_: None,
) -> Known:
    return Known(ratings, [*graduates], demand, 5, TODAY)


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        ((4, 20), (18, 20), "better"),  # 8-42 % and 70-97 %
        ((18, 20), (4, 20), "worse"),
        ((10, 20), (13, 20), "no_clear_difference"),  # 30-70 % and 43-82 %
        ((4, 20), (0, 0), "too_early"),
        ((0, 0), (18, 20), "not_enough_data"),
    ],
)
def test_a_revision_helped_if_the_intervals_lie_apart(before: tuple[int, int], after: tuple[int, int], verdict: str):
    rated = [quarter("2026Q1", *before), quarter("2026Q2", 0, 9), quarter("2026Q3", *after)]
    (found,) = effects([REVISED], known(rated))
    assert found["verdict"] == verdict
    if before == (4, 20):
        (lower, upper) = found["before"]["lower"], found["before"]["upper"]
        assert (round(lower, 4), round(upper, 4), found["before"]["share"]) == (0.0807, 0.4160, 0.2)


def test_only_quarters_that_are_shown_are_in_a_sum():
    rated = [quarter(f"2025Q{n}", 1, ratings) for n, ratings in ((1, 9), (2, 4), (3, 6), (4, 7))]
    rated += [
        quarter("2024Q4", 1, 8),
        quarter("2024Q3", 1, 30),
        quarter("2026Q4", 3, 4),
        quarter("2026Q3", 5, 5, "x:1"),
    ]
    (found,) = effects([REVISED], known(rated))
    assert found["before"]["quarters"] == ["2024Q4", "2025Q1", "2025Q3", "2025Q4"]
    assert (found["before"]["ratings"], found["before"]["satisfied"]) == (30, 4)
    assert (found["after"]["ratings"], found["verdict"]) == (0, "too_early")
    assert effects([{**REVISED, "status": "declined"}], known(rated)) == []


def test_graduates_of_the_cohorts_before_and_after_are_compared_once_half_a_year_has_passed():
    def month(known: int, working: int) -> dict[str, int]:
        return {"known": known, "working": working}

    told = {("2025-06",): month(20, 8), ("2025-07",): month(30, 12), ("2025-08",): month(4, 4)}
    told |= {("2026-02",): month(15, 15), ("2026-03",): month(6, 6), ("2026-06",): month(40, 40)}
    found = cohorts(told, TODAY, 5)
    assert found == [Quarter("2025Q2", 8, 20), Quarter("2025Q3", 12, 30), Quarter("2026Q1", 15, 15)]
    # August, and March as the next smallest, are left out: monitoring shows neither.
    assert [one.window for one in cohorts(told, date(2026, 12, 31), 5)] == ["2025Q2", "2025Q3", "2026Q1"]
    later = cohorts(told, date(2027, 1, 1), 5)
    assert later[-1] == Quarter("2026Q2", 40, 40)
    (early,) = effects([{**REVISED, "answered_at": "2025-11-01T00:00:00.000000+00:00"}], known(graduates=found))
    work = early["employment"]
    assert (work["before"]["known"], work["before"]["working"], work["after"]["known"]) == (50, 20, 15)
    # Wilson: 20 of 50 is 0.2761 to 0.5382, 15 of 15 is 0.7961 to 1.
    assert [round(work["before"][end], 4) for end in ("lower", "upper")] == [0.2761, 0.5382]
    assert (round(work["after"]["lower"], 4), work["verdict"]) == (0.7961, "better")
    assert work["before"]["by_quarter"][0] == {"quarter": "2025Q2", "known": 20, "working": 8}
    (now,) = effects([REVISED], known(graduates=found))
    assert now["employment"]["verdict"] == "too_early"


def test_demand_is_that_of_a_year_before_of_the_day_and_of_a_year_after():
    (found,) = effects([REVISED], known(demand=lambda _, day: {"2025-05-10": 3, "2026-05-10": 12}.get(day)))
    assert [found["demand"][name] for name in ("before", "at", "after")] == [3, 12, None]
    assert found["demand"]["days"]["after"] == "2027-05-10"


@given(st.lists(st.tuples(st.integers(2023, 2028), st.integers(1, 4), st.integers(0, 12)), unique_by=lambda q: q[:2]))
def test_attack_what_is_hidden_does_not_follow_from_effects(quarters: list[tuple[int, int, int]]):
    """With the same quarters that are shown, hidden ones may be anything: the effect stays."""
    rated = [quarter(f"{year}Q{n}", ratings // 2, ratings) for year, n, ratings in quarters]
    shown = [gap for gap in rated if gap.ratings >= 5]
    assert effects([REVISED], known(rated)) == effects([REVISED], known(shown))


MONTHS = st.dictionaries(
    st.sampled_from([f"{year}-{n:02}" for year in (2024, 2025) for n in range(1, 13)]),
    st.integers(0, 14).flatmap(lambda known: st.tuples(st.just(known), st.integers(0, known))),
    max_size=9,
)


@given(MONTHS)
def test_attack_quarters_are_sums_of_months_that_monitoring_shows(months: dict[str, tuple[int, int]]):
    """Who subtracts quarters from what monitoring says of a programme's months and of all of them learns no more."""
    told = {(month,): {"known": known, "working": working} for month, (known, working) in months.items()}
    measures = {
        month: {"after_6m_employed": working, "after_6m_seeking": known - working}
        for month, (known, working) in months.items()
    }
    rate = INDICATORS["employment_rate_6m"]
    hidden = hidden_values([rate], {"programme": {(("programme", "welding"),): measures}}, TODAY, 5)
    left_out = hidden[rate.id].get(("programme", "welding"), Hidden())
    shown = {(month,): counts for (month,), counts in told.items() if month not in left_out.months}
    sums: dict[str, list[int]] = {}
    for (month,), counts in shown.items():
        quarter = sums.setdefault(window_of(month), [0, 0])
        quarter[0] += counts["working"]
        quarter[1] += counts["known"]
    telling = {window: (w, n) for window, (w, n) in sums.items() if n and (n >= 10 or 0 < w < n)}
    assert {quarter.window: quarter[1:] for quarter in cohorts(told, TODAY, 5)} == telling


def test_of_few_of_whom_all_or_none_are_in_work_nothing_is_said():
    for known, working, is_said in ((9, 9, False), (9, 0, False), (9, 8, True), (10, 10, True), (10, 0, True)):
        found = cohorts({("2025-01",): {"known": known, "working": working}}, TODAY, 5)
        assert bool(found) is is_said, (known, working)

"""Did a revision help? Worked out by hand, and safe against subtraction."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.feedback.effects import effects
from services.feedback.gaps import Gap

REVISED: dict[str, Any] = {
    "id": "r-1",
    "competency": "greencomp:3.1",
    "status": "revised",
    "answered_at": "2026-05-10T00:00:00.000000+00:00",
    "answer": {"version": "2"},
}


def quarter(window: str, satisfied: int, ratings: int, competency: str = "greencomp:3.1") -> Gap:
    return Gap("welding", competency, window, ratings, satisfied)


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
    known = [quarter("2026Q1", *before), quarter("2026Q2", 0, 9), quarter("2026Q3", *after)]
    (found,) = effects([REVISED], known, least=5)
    assert found["verdict"] == verdict
    if before == (4, 20):
        (lower, upper) = found["before"]["lower"], found["before"]["upper"]
        assert (round(lower, 4), round(upper, 4), found["before"]["share"]) == (0.0807, 0.4160, 0.2)


def test_only_quarters_that_are_shown_are_in_a_sum():
    known = [quarter(f"2025Q{n}", 1, ratings) for n, ratings in ((1, 9), (2, 4), (3, 6), (4, 7))]
    known += [
        quarter("2024Q4", 1, 8),
        quarter("2024Q3", 1, 30),
        quarter("2026Q4", 3, 4),
        quarter("2026Q3", 5, 5, "x:1"),
    ]
    (found,) = effects([REVISED], known, least=5)
    assert found["before"]["quarters"] == ["2024Q4", "2025Q1", "2025Q3", "2025Q4"]
    assert (found["before"]["ratings"], found["before"]["satisfied"]) == (30, 4)
    assert (found["after"]["ratings"], found["verdict"]) == (0, "too_early")
    assert effects([{**REVISED, "status": "declined"}], known, least=5) == []


@given(st.lists(st.tuples(st.integers(2023, 2028), st.integers(1, 4), st.integers(0, 12)), unique_by=lambda q: q[:2]))
def test_attack_what_is_hidden_does_not_follow_from_effects(quarters: list[tuple[int, int, int]]):
    """With the same quarters that are shown, hidden ones may be anything: the effect stays."""
    known = [quarter(f"{year}Q{n}", ratings // 2, ratings) for year, n, ratings in quarters]
    shown = [gap for gap in known if gap.ratings >= 5]
    assert effects([REVISED], known, least=5) == effects([REVISED], shown, least=5)

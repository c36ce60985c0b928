"""Figures by groups of learners: what is counted for whom, and that no group of few follows from what is shown."""

from collections import Counter
from typing import get_args

from hypothesis import given
from hypothesis import strategies as st

from services.monitoring import splits
from services.monitoring.indicators import CATALOGUE, INDICATORS
from services.monitoring.learners import SPLITS
from services.monitoring.splits import ByGroup, Part, in_all
from services.monitoring.tables import GROUPS, WORDS
from shared.contract.events import Data, Event, LearnerDescribed, LearnerEnrolled, LearnerErased
from tests.making import event

from .counting import at, fold, graduated, interned, status, total

LEAST = 5
RATE = INDICATORS["employment_rate_18m"]


def described(learner: str = "ann", on: str = "2024-01-01", **groups: object) -> Event[Data]:
    return event(LearnerDescribed(**groups), learner, time=at(on))


def of_groups(*events: Event[Data]) -> dict[tuple[str, str], int]:
    """What is counted for groups, by programme with group and measure."""
    found = Counter[tuple[str, str]]()
    for (kind, id, _, measure), n in total(fold(events)).items():
        found[id, measure] += n if kind == "programme_group" else 0
    return {about: n for about, n in found.items() if n}


def test_a_learner_counts_once_more_for_each_group_by_the_newest_description() -> None:
    studies = event(LearnerEnrolled(programme="welding", cohort="2024-06"), "ann", time=at("2022-09-01"))
    known = status("ann", "employed", "2025-12-01")
    said = [studies, graduated(), interned(hours=140), known, described(sex="female", rural=False)]
    counted = dict.fromkeys(
        ("expected", "expected_graduated", "graduates", "graduates_month_at_workplace", "after_18m_employed"), 1
    )
    expected = {("welding " + group, m): n for group in ("sex=female", "rural=not_rural") for m, n in counted.items()}
    assert of_groups(*said) == expected
    corrected = described(on="2024-02-01", disability=True)
    assert {group for group, _ in of_groups(corrected, *said)} == {"welding disability=with_disability"}


def test_a_description_is_taken_back_by_an_empty_one_and_goes_with_the_learner() -> None:
    said = [graduated(), described(sex="male", first_in_family=True)]
    assert of_groups(*said)
    assert of_groups(*said, described(on="2024-02-01")) == {}
    assert total(fold([*said, event(LearnerErased(), "ann")])) == {}


def test_what_is_split_is_made_of_what_is_counted_for_groups() -> None:
    assert {one.id for one in CATALOGUE if one.splits} == {
        *("employment_rate_12m", "employment_rate_18m", "workplace_month_rate", "participation", "completion_rate")
    }
    assert get_args(splits.Split) == tuple(SPLITS)
    assert set(SPLITS) <= set(WORDS)
    assert {splits.NOT_DESCRIBED, *(group for groups in SPLITS.values() for group in groups.values())} == set(GROUPS)
    assert all(set(groups) <= set(LearnerDescribed.model_fields) for groups in [SPLITS])


def counts(**known: int) -> ByGroup:
    """So many of each group whose status is known."""
    return {group: {"after_18m_employed": n // 2, "after_18m_seeking": n - n // 2} for group, n in known.items()}


def shown_of(parts: dict[Part, ByGroup]) -> set[tuple[str, str | None]]:
    return set(in_all(RATE, "sex", LEAST, parts).shown)


def test_one_small_group_hides_all_of_its_institution_and_what_would_tell_it_by_subtraction() -> None:
    many, few = counts(female=20, male=30), counts(female=3, male=30)
    alone = {Part("east", "uni"): many, Part("east", "college"): few}
    assert shown_of(alone) == {("network", None), ("region", "east")}
    third = {**alone, Part("east", "school"): counts(female=6, male=6)}
    assert shown_of(third) == {("network", None), ("region", "east"), ("institution", "uni")}
    west = {Part("west", "academy"): many}
    assert shown_of({**alone, **west}) >= {("region", "east"), ("region", "west"), ("institution", "academy")}
    assert shown_of({Part("east", "college"): few, **west}) == {("network", None)}
    assert shown_of({Part("east", "college"): few}) == set()
    assert shown_of({Part("east", "uni"): counts(male=9, not_described=2)}) == set()


def test_all_groups_are_said_or_none() -> None:
    parts = {Part("east", "uni"): counts(female=20, male=30, not_described=0), Part("west", "college"): counts(male=2)}
    groups = in_all(RATE, "sex", LEAST, parts)
    assert [(one["learners"], one["status"], one["n"]) for one in groups.items("region", "east")] == [
        ("female", "suppressed", None),
        ("male", "suppressed", None),
        ("not_described", "suppressed", None),
    ]
    assert [one["n"] for one in groups.items("network", None)] == [20, 32, 0]
    assert [one["status"] for one in groups.items("institution", "new")] == ["not_enough_data"] * 3


PARTS = st.dictionaries(
    st.builds(Part, st.sampled_from(["east", "west", "north"]), st.sampled_from(["a", "b", "c"]))
    | st.just(Part(None, None)),
    st.fixed_dictionaries({group: st.integers(0, 12) for group in ("female", "male", "not_described")}),
)


@given(PARTS, st.data())
def test_whatever_is_subtracted_leaves_enough_of_each_group_or_none(
    numbers: dict[Part, dict[str, int]], data: st.DataObject
) -> None:
    parts = {
        Part(part.region, part.region and f"{part.region}-{part.institution}"): counts(**known)
        for part, known in numbers.items()
    }
    groups = in_all(RATE, "sex", LEAST, parts)
    if not groups.shown:
        return
    whole = data.draw(st.sampled_from(sorted(groups.shown, key=str)))
    within = [scope for scope in sorted(groups.shown, key=str) if _is_part(scope, whole)]
    taken = data.draw(st.lists(st.sampled_from(within), unique=True)) if within else []
    taken = [scope for scope in taken if not any(_is_part(scope, other) for other in taken)]
    for group, counted in groups.counted[whole].items():
        left = sum(counted.values()) - sum(sum(groups.counted[scope].get(group, {}).values()) for scope in taken)
        assert left == 0 or left >= LEAST


def _is_part(scope: tuple[str, str | None], whole: tuple[str, str | None]) -> bool:
    if whole[0] == "network":
        return scope != whole
    return whole[0] == "region" and scope[0] == "institution" and str(scope[1]).startswith(f"{whole[1]}-")

"""Which of several spells says what somebody does on a day."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from shared.processing import employment
from shared.processing.employment import spells_of, usual_hours
from shared.processing.facts import age

DAYS = st.sampled_from(["2024-01-01", "2024-02-01", "2024-03-01"])
SAID = st.fixed_dictionaries(
    {"status": st.sampled_from(["employed", "self_employed", "seeking"])},
    optional={
        "since": DAYS,
        "full_time": st.booleans(),
        "hours_per_week": st.sampled_from([20, 40]),
        "basis": st.sampled_from(["survey", "employer"]),
    },
)
FACTS = st.builds(
    lambda id, kind, day, data: {
        "id": id,
        "source": "/organisations/x",
        "kind": kind,
        "time": f"{day}T12",
        "data": data,
    },
    st.sampled_from(["one", "two"]),
    st.sampled_from(["institution", "enterprise"]),
    DAYS,
    SAID,
)


@given(st.lists(FACTS, max_size=6), DAYS, st.data())
def test_whatever_the_order_of_spells_the_same_says_what_somebody_does(
    told: list[dict[str, Any]], day: str, data: st.DataObject
):
    spells = spells_of({"facts": {"employment.recorded": dict(enumerate(told))}})  # type: ignore[typeddict-item]
    found = employment.at(spells, day)
    assert employment.at(data.draw(st.permutations(spells)), day) == found


@given(st.lists(FACTS, min_size=1, max_size=6), DAYS)
def test_the_main_job_has_the_most_hours_then_began_first_then_is_the_one_of_the_oldest_fact(
    told: list[dict[str, Any]], day: str
):
    jobs = [{**fact, "data": {**fact["data"], "status": "employed", "basis": "employer"}} for fact in told]
    spells = spells_of({"facts": {"employment.recorded": dict(enumerate(jobs))}})  # type: ignore[typeddict-item]
    holding = [spell for spell in spells if spell.begin <= day < spell.end]
    expected = min(holding, key=lambda job: (-usual_hours(job.data), job.begin, age(job.fact)), default=None)
    assert employment.at(spells, day) == expected
